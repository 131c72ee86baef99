"""CORE. Tells a Kamailio that hangs from one that is busy, still starting, or gone. `hang_watch` looks and ends it.

systemd restarts a Kamailio that ends; one whose processes wait for each other for ever it takes for a healthy one.
Ending it costs the calls that are being set up; calls that are up, and registrations, outlive it.
"""

from dataclasses import dataclass

LOOK_S = 2.0
"""Looked at this often."""

HUNG_LOOKS = 5
"""So many looks in a row without an answer to a call, and without a request read from the line: about 12 s."""

STALLED_LOOKS = 30
"""So many looks in a row without an answer, whatever is read: about 75 s. Between the two it may be a flood, in which
ours is one of many that nobody reads; ending it would not help."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look. pid: the main process, None for none. answered: a call to the box itself had an answer. received:
    requests read since the start; None: its control does not answer either."""

    pid: int | None
    answered: bool
    received: int | None = None


class HangWatch:
    """Counts looks. A process that never answered is starting, or was told not to; it is left alone."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._answers = False
        self._received: int | None = None
        self._silent = self._still = 0

    def look(self, now: Look) -> bool:
        """Take a look into account; whether the process hangs, said once for each process."""
        if now.pid != self._pid:
            self._pid, self._answers = now.pid, False
        if now.answered:
            self._answers, self._silent, self._still = now.pid is not None, 0, 0
            return False
        self._silent += 1
        self._still += 1
        if now.received is not None and now.received != self._received:
            self._received, self._still = now.received, 0
        hangs = self._answers and (self._still >= HUNG_LOOKS or self._silent >= STALLED_LOOKS)
        self._answers = self._answers and not hangs
        return hangs
