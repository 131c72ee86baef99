"""Calls that are up at a gateway or with the outside, counted by Kamailio's dialog profiles, and which one gives way.

Adapter over `KsrCall`, with one pure choice (`give_way`). Profiles empty themselves when a dialog ends; after a restart
of Kamailio they begin at nought, and a gateway that is full then says so itself.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.kamailio.call_key import call_key
from appliance.kamailio.kept import TABLE
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.members import BUSY
from appliance.model import LinkState

GATEWAY = "gateway"
"""Profile: every call on a gateway, under the gateway's id."""
LOWER = "lower"
"""Profile: those of them that an emergency call may end."""
OUTSIDE = "outside"
"""Profile: calls with the outside, without a value."""
OUTSIDE_OF = "outside_of"
"""Profile: those of them that an extension placed, under its number."""

LIFE_KEY = "life_ms"
"""Beside an upstream's state in the table `link`, as "<upstream>:life_ms" (`agent/publish.py` writes it)."""
LIFE_MAX_MS = 5_000
"""No caller waits longer for an upstream that says nothing; the site document's own limit ends there too."""

LAST = "last"
"""Table: extension -> who called it last. routes.cfg writes it for plain calls."""

CALLER_CHARACTERS_MAX = 64
"""Of a caller's number; what is longer is none."""

_EARLY, _TALKING = (1, 2), (3, 4)
"""Dialog states of the dialog module: unconfirmed and early, confirmed without and with ACK."""


EMERGENCY_KEY = "emergency"
"""When an emergency call was made last, in seconds since 1970 (`kept`)."""


def idle_key(extension: str) -> str:
    """Of the time when an extension's last answered call ended. It is not worth a new generation."""
    return f"idle:{extension}"


@dataclass(frozen=True, slots=True)
class Line:
    """One call on a gateway. number: the dialog module's handle, higher for later ones. talking: it was answered.
    row: all that Kamailio's RPC says of it."""

    number: int
    call_id: str
    from_tag: str
    talking: bool
    started: int = 0
    cseq: str = ""
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)


def give_way(lines: Iterable[Line]) -> Line | None:
    """The call that an emergency call takes the channel of: one that still rings before one that talks, and the
    youngest of those. None: there is none."""
    return max(lines, key=lambda line: (not line.talking, line.started, line.number), default=None)


def read_line(row: dict[str, Any]) -> Line | None:
    """One dialog as `dlg.profile_list` prints it; None for one that is over."""
    state = row.get("state", 0)
    if state not in (*_EARLY, *_TALKING):
        return None
    caller = row.get("caller", {})
    return Line(
        int(row.get("h_id", 0)),
        str(row.get("call-id", "")),
        str(caller.get("tag", "")),
        state in _TALKING,
        int(row.get("start_ts", 0) or 0),
        str(caller.get("cseq", "")),
        row,
    )


class Channels:
    """Counts of one Kamailio. Blocks for nothing."""

    def __init__(self, ksr: KsrCall) -> None:
        self._ksr = ksr

    def enter(self, gateway: str, emergency: bool) -> None:
        """The current call takes a channel of a gateway."""
        self._ksr.count_in(GATEWAY, gateway)
        if not emergency:
            self._ksr.count_in(LOWER, gateway)

    def leave(self, gateway: str, emergency: bool) -> None:
        """The current call gives its channel back."""
        self._ksr.count_out(GATEWAY, gateway)
        if not emergency:
            self._ksr.count_out(LOWER, gateway)

    def enter_outside(self, extension: str) -> None:
        """The current call reaches the outside, on behalf of an extension ("" for nobody)."""
        if extension:
            self._ksr.count_in(OUTSIDE_OF, extension)
        self._ksr.count_in(OUTSIDE)

    def leave_outside(self, extension: str) -> None:
        """The current call no longer does."""
        if extension:
            self._ksr.count_out(OUTSIDE_OF, extension)
        self._ksr.count_out(OUTSIDE)

    def free_one(self, gateway: str) -> Line | None:
        """The call on a gateway that shall give way. Ending it is the caller's business."""
        rows = self._ksr.rpc("dlg.profile_list", LOWER, gateway)
        if not isinstance(rows, list):
            rows = [rows] if isinstance(rows, dict) else []
        lines = [line for row in rows if (line := read_line(row)) is not None]
        return give_way(line for line in lines if not self._ending(line))

    def _ending(self, line: Line) -> bool:
        """Whether the call gives way already: its dialog lives a moment longer than the call."""
        return bool(self._ksr.look("ending", call_key(line.call_id, line.from_tag)))

    # the counting half of `snapshot_view.Live`

    def link(self, upstream_id: str) -> LinkState:
        """What the agent last said of an upstream, UNKNOWN when that has expired."""
        try:
            return LinkState(self._ksr.look("link", upstream_id) or LinkState.UNKNOWN)
        except ValueError:
            return LinkState.UNKNOWN

    def life_ms(self, upstream_id: str) -> int:
        """Least time for a sign of life that the agent asks for (three round trips), in ms; 0 when that has expired."""
        text = self._ksr.look("link", f"{upstream_id}:{LIFE_KEY}")
        return min(int(text), LIFE_MAX_MS) if text.isdigit() else 0

    def calls_on(self, gateway_id: str) -> int:
        """Calls on a gateway now."""
        return self._ksr.counted(GATEWAY, gateway_id)

    def outside_calls_of(self, extension: str) -> int:
        """Calls that an extension has with the outside now."""
        return self._ksr.counted(OUTSIDE_OF, extension)

    def outside_calls(self) -> int:
        """Calls with the outside now."""
        return self._ksr.counted(OUTSIDE)

    def in_call(self, extension: str) -> bool:
        """Whether an extension is in a call; known where a group of the site, or somebody who waits for a busy one, asks."""
        return bool(self._ksr.look(BUSY, extension))

    def wish(self, what: str, extension: str) -> str:
        """What an extension wants, "" for nothing or when it has expired. what: a table of `callback`."""
        return self._ksr.look(what, extension)

    def idle_since_ms(self, extension: str) -> int:
        """When the extension's last answered call ended, in milliseconds since 1970; 0: it had none."""
        text = self._ksr.look(TABLE, idle_key(extension))
        return int(text) if text.isdigit() else 0

    def ring_for(self, users: Iterable[str], caller: str) -> None:
        """These extensions are called by somebody, "" for one without a number."""
        caller = caller[:CALLER_CHARACTERS_MAX] or "anonymous"
        for user in users:
            if user != caller:
                self._ksr.keep(LAST, user, caller)

    def last_caller(self, extension: str) -> str:
        """Who called an extension last, "" for nobody."""
        return self._ksr.look(LAST, extension)

    def emergency_within(self, seconds: int) -> bool:
        """Whether somebody made an emergency call within so many seconds. A clock that was set back says yes."""
        text = self._ksr.look(TABLE, EMERGENCY_KEY)
        return text.isdigit() and time.time() - int(text) < seconds
