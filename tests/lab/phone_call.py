"""One call as its phone sees it, with what can be done in it. The phone's events keep it up to date (``apply``)."""

import base64
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.lab import prompts, tones
from tests.lab.identity import Identity
from tests.lab.processes import WAIT_S, wait_until
from tests.lab.worker import OrderRefused

IN_FLIGHT = "already in flight"
"""What the stack says to a re-INVITE while another is not answered."""

GONE = "call no longer exists"
"""What the stack says of a call that the other side has just ended."""

REFRESH_S = 3.0
"""How long that other one may take."""


class Owner(Protocol):
    """The phone, as far as a call needs it."""

    name: str
    identity: Identity

    @property
    def tone_hz(self) -> int:
        """The frequency that it sends."""

    def uri(self, target: str) -> str:
        """A number as a SIP URI."""

    async def ask(self, order: str, within_s: float = 10.0, /, **arguments: Any) -> Any:
        """Give the phone's process an order."""


@dataclass
class PhoneCall:
    """One call as its phone sees it; kept up to date by the phone's events."""

    phone: Owner = field(repr=False)
    handle: int
    incoming: bool
    peer: str = ""
    call_id: str = ""
    state: str = "calling"
    """calling, ringing, established, closed"""
    times: dict[str, float] = field(default_factory=dict)
    """invite, incoming, ringing, progress, established, closed: first time each"""
    cause: str = ""
    """Why it closed, e.g. ``486 Busy Here``; empty for an ordinary BYE from the other side"""
    digits: str = ""
    held: bool = False
    """the other side holds us"""
    encrypted: bool = False
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> int | None:
        """The SIP status that closed the call, if one did."""
        found = re.match(r"(\d{3}) ", self.cause)
        return int(found.group(1)) if found else None

    @property
    def post_dial_delay_s(self) -> float:
        """From ordering the INVITE to the first ringing or answer. Raises ``KeyError`` before that."""
        first = min(self.times[name] for name in ("ringing", "progress", "established") if name in self.times)
        return first - self.times["invite"]

    async def wait(self, state: str, timeout_s: float = WAIT_S) -> "PhoneCall":
        """Wait until the call has reached ``state`` (any later one but ``closed`` counts as well)."""
        order = ("calling", "ringing", "established")

        def reached() -> bool:
            if self.state == "closed" and state != "closed":
                raise AssertionError(f"{self.phone.name}: call closed ({self.cause!r}) before it was {state}")
            if state in order and self.state in order:
                return order.index(self.state) >= order.index(state)
            return self.state == state

        await wait_until(reached, f"{self.phone.name}: call {state} (is {self.state})", timeout_s)
        return self

    async def answer(self) -> "PhoneCall":
        """Answer and wait until the call stands."""
        await self.phone.ask("answer", call=self.handle)
        return await self.wait("established")

    async def reject(self) -> None:
        """486 Busy Here."""
        await self.phone.ask("reject", call=self.handle)

    async def hangup(self) -> "PhoneCall":
        """End the call and wait until it has."""
        if self.state != "closed":
            try:
                await self.phone.ask("hangup", call=self.handle)
            except OrderRefused as error:
                if GONE not in str(error):
                    raise
        return await self.wait("closed")

    async def hold(self) -> None:
        """Hold the other side."""
        await self._refresh("hold")

    async def resume(self) -> None:
        """Take the other side back."""
        await self._refresh("resume")

    async def _refresh(self, order: str) -> None:
        """A re-INVITE, once the one that the stack sends by itself after an answer is over."""

        async def done() -> bool:
            try:
                await self.phone.ask(order, call=self.handle)
            except OrderRefused as error:
                if IN_FLIGHT not in str(error):
                    raise
                return False
            return True

        await wait_until(done, f"{self.phone.name} may {order}", REFRESH_S)

    async def dtmf(self, digits: str) -> None:
        """Press keys. A hold less than 300 ms later swallows the last. The last may end the call before it is let go."""
        try:
            await self.phone.ask("dtmf", call=self.handle, digits=digits)
        except OrderRefused as error:
            if GONE not in str(error):
                raise

    async def transfer(self, uri: str, timeout_s: float = WAIT_S) -> None:
        """Blind transfer of the other side to ``uri`` (or an extension of the same server)."""
        await self.phone.ask(
            "transfer", timeout_s + 2, call=self.handle, uri=self.phone.uri(uri), timeout_s=timeout_s
        )

    async def transfer_to(self, consultation: "PhoneCall", timeout_s: float = WAIT_S) -> None:
        """Attended transfer: join the other sides of this call and of ``consultation``."""
        await self.phone.ask(
            "attended_transfer",
            timeout_s + 2,
            call=self.handle,
            consultation=consultation.handle,
            timeout_s=timeout_s,
        )

    async def hear(self) -> list[tones.Tone]:
        """The tones that arrive right now (the last 200 ms), loudest first."""
        return [tones.Tone(hz, level) for hz, level in await self.phone.ask("hear", call=self.handle)]

    async def wait_hears(self, *expected_hz: float, timeout_s: float = WAIT_S) -> None:
        """Wait until exactly these frequencies are heard; none given waits for silence."""
        last: list[tones.Tone] = []

        async def right() -> bool:
            nonlocal last
            last = await self.hear()
            return tones.only(last, expected_hz)

        try:
            await wait_until(right, f"{self.phone.name} hears {expected_hz or 'silence'}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it hears {last}") from None

    async def wait_digits(self, digits: str, timeout_s: float = WAIT_S) -> None:
        """Wait until exactly these digits have come in."""
        await wait_until(
            lambda: self.digits == digits,
            f"{self.phone.name}: digits {digits!r} (has {self.digits!r})",
            timeout_s,
        )

    async def recorded(self, last_s: float = 30.0) -> tuple[int, tones.Samples]:
        """Rate and samples of what arrived in the last ``last_s`` seconds (30 at most)."""
        rate_hz, text = await self.phone.ask("recorded", call=self.handle, last_s=last_s)
        return rate_hz, tones.from_pcm16(base64.b64decode(text))

    async def wait_hears_prompt(self, path: Path, timeout_s: float = WAIT_S) -> None:
        """Wait until the whole of a prompt's audio file has been heard."""
        best = 0.0

        async def heard() -> bool:
            nonlocal best
            rate_hz, samples = await self.recorded()
            best = max(best, prompts.likeness(samples, rate_hz, path))
            return best >= prompts.HEARD

        try:
            await wait_until(heard, f"{self.phone.name} hears {path.name}", timeout_s, prompts.LOOK_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; likeness {best:.2f}") from None

    async def timeline(self) -> list[tuple[float, list[float]]]:
        """What was heard every 100 ms since the call began: (monotonic seconds, frequencies)."""
        return [(at, list(heard)) for at, heard in await self.phone.ask("timeline", call=self.handle)]

    async def longest_gap_s(self, hz: float, since: float, until: float) -> float:
        """The longest time between ``since`` and ``until`` in which ``hz`` was not heard (steps of 100 ms)."""
        heard_at = [
            at
            for at, heard in await self.timeline()
            if since <= at <= until and any(abs(f - hz) <= tones.SAME_HZ for f in heard)
        ]
        marks = [since, *heard_at, until]
        return max(b - a for a, b in itertools.pairwise(marks))


def apply(call: PhoneCall, message: dict[str, Any]) -> None:
    """Change ``call`` as an event of its phone says."""
    name = message["event"]
    call.incoming = call.incoming or name == "incoming"
    call.times.setdefault(name, message["at"])
    call.call_id = message.get("call_id") or call.call_id
    call.peer = message.get("peer") or call.peer
    _APPLY.get(name, _nothing)(call, message)


def _nothing(call: PhoneCall, message: dict[str, Any]) -> None:
    pass


def _moved(state: str) -> Callable[[PhoneCall, dict[str, Any]], None]:
    def apply(call: PhoneCall, message: dict[str, Any]) -> None:
        if call.state not in ("closed", "established") or state in ("closed", "established"):
            call.state = state

    return apply


def _closed(call: PhoneCall, message: dict[str, Any]) -> None:
    call.state = "closed"
    call.cause = message.get("text") or ""
    call.stats = message.get("stats") or {}


def _digit(call: PhoneCall, message: dict[str, Any]) -> None:
    call.digits += message["digit"]


def _flag(name: str, value: bool) -> Callable[[PhoneCall, dict[str, Any]], None]:
    def apply(call: PhoneCall, message: dict[str, Any]) -> None:
        setattr(call, name, value)

    return apply


_APPLY: dict[str, Callable[[PhoneCall, dict[str, Any]], None]] = {
    "incoming": _moved("ringing"),
    "ringing": _moved("ringing"),
    "established": _moved("established"),
    "closed": _closed,
    "digit": _digit,
    "held": _flag("held", True),
    "resumed": _flag("held", False),
    "encrypted": _flag("encrypted", True),
}
