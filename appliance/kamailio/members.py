"""Who is in a call, who has been free for longest, and who called last, from the journal's own rows. Pure.

The process that writes the journal hands each row on, so calls themselves write nothing for this. Who is in a call is only
followed where a group of the site asks for it (`follow`); of who called whom a few characters are cut out of the rows. Texts
that the box did not write itself are escaped in them, so that no Call-ID can be taken for a field.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

CALLS_MAX = 20_000
"""Calls followed at once; more than a box can carry."""

Publish = Callable[[str, str, str], None]
"""What, of which extension, value ("": none)."""

BUSY, IDLE, LAST = "busy", "idle", "last"
"""What is published: extension -> calls that it is in; when its last answered call ended (milliseconds since 1970); who called
it last."""


@dataclass(slots=True)
class _Call:
    caller: str
    parties: list[str] = field(default_factory=list)
    answered: bool = False


class Members:
    """What is known in one run of Kamailio. publish: where it goes. now_ms: milliseconds since 1970. follow: whether calls of
    members are counted."""

    def __init__(self, publish: Publish, now_ms: Callable[[], int]) -> None:
        self._publish = publish
        self._now_ms = now_ms
        self._calls: dict[str, _Call] = {}
        self._busy: dict[str, int] = {}
        self.follow = False

    def take(self, call: str, event: str, data: str) -> None:
        """A row of the journal. data: its JSON. Never raises."""
        if event == "start":
            self._start(call, data)
        elif event == "step":
            self._step(call, data)
        elif event == "answer" and self.follow:
            self._answer(call, data)
        elif event == "end":
            self._end(call)

    def _start(self, call: str, data: str) -> None:
        if len(self._calls) >= CALLS_MAX:
            return
        known = self._calls[call] = _Call(text_in(data, '"caller":"'))
        if self.follow and '"origin":"phone"' in data:
            self._join(known, text_in(data, '"origin_id":"'))

    def _step(self, call: str, data: str) -> None:
        known = self._calls.get(call)
        if known is None or '"kind":"contacts"' not in data:
            return
        begin = data.find('"users":[')
        users = data[begin + 9 : data.find("]", begin)] if begin >= 0 else ""
        for user in users.replace('"', "").split(","):
            if user and user != known.caller:
                self._publish(LAST, user, known.caller or "anonymous")

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
            if known.answered:
                self._publish(IDLE, user, str(self._now_ms()))


def text_in(data: str, name: str) -> str:
    """What stands behind `name` (quotation marks, colon and all) up to the next quotation mark; "" where it is not there."""
    begin = data.find(name)
    if begin < 0:
        return ""
    begin += len(name)
    return data[begin : data.find('"', begin)]
