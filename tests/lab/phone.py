"""Phones of the lab, as tests and the demo hold them: real SIP stacks with audio, one process each.

A phone sends its own tone in every call and tells which tones it hears. Times are ``time.monotonic`` seconds.
"""

import asyncio
import itertools
import json
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import tones
from tests.lab.processes import wait_until
from tests.lab.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
RTP_PORTS = "10000-10999"
ENCRYPTIONS = {"": (), "sdes": ("mediaenc=srtp-mand",), "dtls": ("mediaenc=dtls_srtp",)}


@dataclass(frozen=True)
class Identity:
    """Who a phone is and where it stands."""

    user: str
    address: str
    tone_hz: int
    server: str = ""
    """``host:port`` that everything is sent to; empty for a phone that is called directly."""
    password: str = ""
    transport: str = "udp"
    """udp, tcp, tls or ws."""
    port: int = 5060
    domain: str = ""
    """Domain of its address of record; empty is the server's host, or its own address."""
    display: str = ""
    expires_s: int = 600
    encryption: str = ""
    """"" (RTP), "sdes" or "dtls"."""
    codecs: tuple[str, ...] = ("pcmu", "pcma")
    """As the stack names them: pcmu, pcma, g722/16000/1, opus/48000/2."""
    extra: tuple[str, ...] = ()
    """More account parameters, e.g. ``catchall=yes``."""

    @property
    def aor(self) -> str:
        """The account line of the stack."""
        host = self.domain or self.server.rpartition(":")[0] or self.address
        display = f'"{self.display}" ' if self.display else ""
        words = [
            f"{display}<sip:{self.user}@{host};transport={self.transport}>",
            *([f'auth_pass="{self.password}"'] if self.password else []),
            f"regint={self.expires_s if self.server else 0}",
            "answermode=manual",
            "audio_codecs=" + ",".join(self.codecs),
            "dtmfmode=rtpevent",
            *([f'outbound="sip:{self.server};transport={self.transport}"'] if self.server else []),
            *ENCRYPTIONS[self.encryption],
            *self.extra,
        ]
        return ";".join(words)


@dataclass
class PhoneCall:
    """One call as its phone sees it; kept up to date by the phone's events."""

    phone: "Phone" = field(repr=False)
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

    async def wait(self, state: str, timeout_s: float = 5.0) -> "PhoneCall":
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
            await self.phone.ask("hangup", call=self.handle)
        return await self.wait("closed")

    async def hold(self) -> None:
        """Hold the other side."""
        await self.phone.ask("hold", call=self.handle)

    async def resume(self) -> None:
        """Take the other side back."""
        await self.phone.ask("resume", call=self.handle)

    async def dtmf(self, digits: str) -> None:
        """Send digits as telephone events. A hold less than 300 ms later swallows the last."""
        await self.phone.ask("dtmf", call=self.handle, digits=digits)

    async def transfer(self, uri: str, timeout_s: float = 10.0) -> None:
        """Blind transfer of the other side to ``uri`` (or an extension of the same server)."""
        await self.phone.ask(
            "transfer", timeout_s + 2, call=self.handle, uri=self.phone.uri(uri), timeout_s=timeout_s
        )

    async def transfer_to(self, consultation: "PhoneCall", timeout_s: float = 10.0) -> None:
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

    async def wait_hears(self, *expected_hz: float, timeout_s: float = 3.0) -> None:
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


class Phone:
    """One phone. ``start`` it, ``register``, then call and be called."""

    def __init__(
        self,
        identity: Identity,
        folder: Path,
        *,
        answer_after_s: float | None = 0.0,
        max_calls: int = 4,
        trace: bool = True,
        config: Sequence[str] = (),
    ) -> None:
        """``answer_after_s`` ``None`` lets incoming calls ring. ``trace`` writes every SIP message to the log."""
        self.identity = identity
        self.name = f"phone-{identity.user}-{identity.address}"
        self.calls: list[PhoneCall] = []
        self.registered = False
        self.register_events: list[tuple[float, str]] = []
        i = identity
        settings = {
            "address": i.address,
            "tone_hz": i.tone_hz,
            "aor": i.aor,
            "instance": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{i.user}@{i.address}")),
            "answer_after_s": answer_after_s,
            "max_calls": max_calls,
            "trace": trace,
            "config": [
                f"sip_listen {i.address}:{i.port}",
                f"rtp_ports {RTP_PORTS}",
                "sip_verify_server no",
                "call_hold_other_calls no",
                "audio_jitter_buffer_ms 40-100",
                *config,
            ],
        }
        self.worker = Worker(
            self.name,
            [sys.executable, "-m", "tests.lab.phone_process", json.dumps(settings)],
            folder,
            self._event,
            env={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )

    @property
    def tone_hz(self) -> int:
        """The frequency that this phone sends."""
        return self.identity.tone_hz

    def uri(self, target: str) -> str:
        """``target`` as a SIP URI: itself when it is one, else that user at this phone's server."""
        if target.startswith(("sip:", "sips:")):
            return target
        host = self.identity.domain or self.identity.server
        return f"sip:{target}@{host}"

    async def start(self) -> None:
        """Start the process and its SIP stack."""
        await self.worker.start()

    async def stop(self) -> None:
        """Hang up, unregister, end."""
        await self.worker.stop()

    async def kill(self) -> None:
        """Vanish as by a power cut: nobody is told."""
        await self.worker.kill()

    async def register(self, timeout_s: float = 5.0) -> None:
        """Register and wait for the answer. Raises ``worker.OrderRefused`` with status and reason."""
        await self.worker.ask("register", timeout_s + 2, timeout_s=timeout_s)

    async def unregister(self, timeout_s: float = 5.0) -> None:
        """Remove the registration."""
        await self.worker.ask("unregister", timeout_s + 2, timeout_s=timeout_s)

    async def dial(self, target: str, headers: dict[str, str] | None = None) -> PhoneCall:
        """Call a number or URI; returns at once."""
        answer = await self.ask("dial", uri=self.uri(target), headers=headers or {})
        call = self._call(answer["call"], incoming=False)
        call.peer = self.uri(target)
        call.times["invite"] = answer["at"]
        return call

    async def call(self, target: str, timeout_s: float = 5.0) -> PhoneCall:
        """Call and wait until the other side has answered."""
        return await (await self.dial(target)).wait("established", timeout_s)

    async def behave(self, *, answer_after_s: float | None = 0.0, refuse: bool = False) -> None:
        """How coming calls are met: answered after a time, left ringing (``None``), or refused with 486."""
        await self.ask("behave", answer_after_s=answer_after_s, refuse=refuse)

    async def wait_incoming(self, count: int = 1, timeout_s: float = 5.0) -> PhoneCall:
        """Wait until ``count`` calls have come in since the phone started; returns the newest."""
        await wait_until(lambda: len(self._incoming()) >= count, f"{self.name}: {count} calls in", timeout_s)
        return self._incoming()[-1]

    def current(self) -> PhoneCall:
        """The newest call that has not closed. Raises ``LookupError`` when there is none."""
        for call in reversed(self.calls):
            if call.state != "closed":
                return call
        raise LookupError(f"{self.name} has no call")

    async def ask(self, order: str, within_s: float = 10.0, /, **arguments: Any) -> Any:
        """Give the process an order (see ``phone_process``)."""
        return await self.worker.ask(order, within_s, **arguments)

    def _incoming(self) -> list[PhoneCall]:
        return [call for call in self.calls if call.incoming]

    def _call(self, handle: int, *, incoming: bool) -> PhoneCall:
        for call in reversed(self.calls):
            if call.handle == handle:
                return call
        call = PhoneCall(self, handle, incoming)
        self.calls.append(call)
        return call

    def _event(self, message: dict[str, Any]) -> None:
        name, at = message["event"], message["at"]
        if name in ("registered", "register_failed"):
            self.registered = name == "registered"
            self.register_events.append((at, message["text"] or name))
            return
        call = self._call(message["call"], incoming=name == "incoming")
        call.incoming = call.incoming or name == "incoming"
        call.times.setdefault(name, at)
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


async def start_all(phones: Sequence[Phone]) -> None:
    """Start phones side by side."""
    await asyncio.gather(*(phone.start() for phone in phones))
