"""Who is in a call, and who has been free for longest, from the journal's own rows. Pure.

Nobody follows calls for their own sake: it begins when somebody asks, a group of the site or an extension that waits for a
busy one, with the rows of the calls that are up by then, and ends when nobody does any more. Calls themselves write nothing for
it; the process that writes the journal hands each row on. Texts that the box did not write itself are escaped in the rows, so
that no Call-ID can be taken for a field.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

CALLS_MAX = 20_000
"""Calls followed at once; more than a box can carry."""

Publish = Callable[[str, str, str], None]
"""What, of which extension, value ("": none)."""

BUSY, IDLE = "busy", "idle"
"""What is published: extension -> calls that it is in; when its last answered call ended (milliseconds since 1970)."""


class Asked(StrEnum):
    """What somebody wants to know. IDLE: who is in a call, and since when the others are not."""

    NOTHING = "0"
    CALLS = "calls"
    IDLE = "idle"


@dataclass(slots=True)
class _Call:
    parties: list[str] = field(default_factory=list)
    answered: bool = False


class Members:
    """What is known in one run of Kamailio. publish: where it goes. now_ms: milliseconds since 1970."""

    def __init__(self, publish: Publish, now_ms: Callable[[], int]) -> None:
        self._publish = publish
        self._now_ms = now_ms
        self._calls: dict[str, _Call] = {}
        self._busy: dict[str, int] = {}
        self._asked = Asked.NOTHING

    @property
    def following(self) -> bool:
        """Whether rows are of any use now."""
        return self._asked is not Asked.NOTHING

    def ask(self, asked: Asked, up: Callable[[], Iterable[tuple[str, str, str]]]) -> None:
        """Say what is wanted from now on. up: gives the rows so far (call, event, data) of all calls that are up; asked where
        following begins."""
        if asked is self._asked:
            return
        was_following, self._asked = self.following, asked
        if not self.following:
            self._stop()
        elif not was_following:
            for row in up():
                self.take(*row)

    def take(self, call: str, event: str, data: str) -> None:
        """A row of the journal, while following. data: its JSON. Never raises."""
        if event == "start":
            self._start(call, data)
        elif event == "answer":
            self._answer(call, data)
        elif event == "end":
            self._end(call)

    def _stop(self) -> None:
        for user in self._busy:
            self._publish(BUSY, user, "")
        self._calls.clear()
        self._busy.clear()

    def _start(self, call: str, data: str) -> None:
        if len(self._calls) >= CALLS_MAX:
            return
        known = self._calls[call] = _Call()
        if '"origin":"phone"' in data:
            self._join(known, text_in(data, '"origin_id":"'))

    def _answer(self, call: str, data: str) -> None:
        known = self._calls.get(call)
        if known is not None:
            known.answered = True
            self._join(known, text_in(data, '"user":"'))

    def _join(self, known: _Call, user: str) -> None:
        if user and user not in known.parties:
            known.parties.append(user)
            self._busy[user] = self._busy.get(user, 0) + 1
            self._publish(BUSY, user, str(self._busy[user]))

    def _end(self, call: str) -> None:
        known = self._calls.pop(call, None)
        if known is None:
            return
        for user in known.parties:
            left = self._busy.pop(user, 1) - 1
            if left:
                self._busy[user] = left
            self._publish(BUSY, user, str(left) if left else "")
            if known.answered and self._asked is Asked.IDLE:
                self._publish(IDLE, user, str(self._now_ms()))


def text_in(data: str, name: str) -> str:
    """What stands behind `name` (quotation marks, colon and all) up to the next quotation mark; "" where it is not there."""
    begin = data.find(name)
    if begin < 0:
        return ""
    begin += len(name)
    return data[begin : data.find('"', begin)]
