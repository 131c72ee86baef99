"""Gateways to the public network, as tests and the demo hold them: the site's own, and the carrier behind the cloud."""

import base64
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import prompts, sipmsg, tones
from tests.lab.processes import WAIT_S, wait_until
from tests.lab.rtp import PORTS, RATE_HZ
from tests.lab.worker import Worker

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class GatewayCall:
    """One call as the gateway sees it. Times are ``time.monotonic`` seconds."""

    gateway: "Gateway" = field(repr=False)
    handle: int
    number: str = ""
    """the number that was called"""
    caller: str = ""
    """user part of From"""
    headers: dict[str, str] = field(default_factory=dict)
    """P-Asserted-Identity, Privacy, Diversion… as far as present"""
    call_id: str = ""
    state: str = "calling"
    """calling, answered, refused, ended"""
    code: int = 0
    """what a refused call was refused with"""
    cause: str = ""
    """why it ended: bye, cancelled, hung up, no ACK, or the status of a call into the site"""
    held: bool = False
    times: dict[str, float] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """The user part of P-Asserted-Identity, or ``""``."""
        return sipmsg.user_of(self.headers.get("P-Asserted-Identity", ""))

    async def wait(self, state: str, timeout_s: float = WAIT_S) -> "GatewayCall":
        """Wait until the call's state is ``state``."""
        await wait_until(
            lambda: self.state == state, f"{self.gateway.name}: call {state} (is {self.state})", timeout_s
        )
        return self

    async def hear(self) -> list[tones.Tone]:
        """The tones that arrive right now."""
        return [
            tones.Tone(hz, level) for hz, level in await self.gateway.worker.ask("hear", call=self.handle)
        ]

    async def wait_hears(self, *expected_hz: float, timeout_s: float = WAIT_S) -> None:
        """Wait until exactly these frequencies are heard; none given waits for silence."""

        async def right() -> bool:
            return tones.only(await self.hear(), expected_hz)

        await wait_until(right, f"{self.gateway.name} hears {expected_hz or 'silence'}", timeout_s)

    async def wait_hears_prompt(self, path: Path, timeout_s: float = WAIT_S) -> None:
        """Wait until the whole of a prompt's audio file has been heard."""

        async def heard() -> bool:
            samples = tones.from_pcm16(
                base64.b64decode(await self.gateway.worker.ask("recorded", call=self.handle))
            )
            return prompts.likeness(samples, RATE_HZ, path) >= prompts.HEARD

        await wait_until(heard, f"{self.gateway.name} hears {path.name}", timeout_s, prompts.LOOK_S)

    async def hangup(self) -> None:
        """End the call from the public network's side."""
        await self.gateway.worker.ask("hangup", call=self.handle)
        await self.wait("ended")


class Gateway:
    """One gateway with a number of channels and a tone."""

    def __init__(
        self,
        name: str,
        address: str,
        folder: Path,
        tone_hz: int,
        *,
        channels: int = 30,
        port: int = 5060,
        advertise: str = "",
        rtp: range = PORTS,
    ) -> None:
        """Answers every call after 100 ms unless told otherwise (``behave``). ``advertise`` is its address as others see
        it, if that differs."""
        self.name = name
        self.address = address
        self.port = port
        self.tone_hz = tone_hz
        self.calls: list[GatewayCall] = []
        settings = {
            "user": name,
            "address": address,
            "port": port,
            "tone_hz": tone_hz,
            "channels": channels,
            "answer_after_s": 0.1,
            "early": False,
            "advertise": advertise,
            "rtp": [rtp.start, rtp.stop],
        }
        self.worker = Worker(
            name,
            [sys.executable, "-m", "tests.lab.gateway_process", json.dumps(settings)],
            folder,
            self._event,
            env={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )

    async def start(self) -> None:
        """Start the process."""
        await self.worker.start()

    async def stop(self) -> None:
        """End the process."""
        await self.worker.stop()

    async def kill(self) -> None:
        """The gateway loses its power."""
        await self.worker.kill()

    async def behave(self, **changes: Any) -> None:
        """Change ``answer_after_s`` (``None`` rings for ever), ``early`` (audio before the answer) or ``channels``."""
        await self.worker.ask("behave", **changes)

    async def refuse(self, number: str, code: int) -> None:
        """Answer calls to ``number`` with ``code``; 0 takes them again."""
        await self.worker.ask("refuse", number=number, code=code)

    async def dial(self, uri: str, caller: str, display: str = "") -> GatewayCall:
        """Call into the site (``sip:NUMBER@HOST:PORT``) as ``caller``, with a name as it is written into From."""
        call = self._call(await self.worker.ask("dial", uri=uri, caller=caller, display=display))
        call.number, call.caller = sipmsg.user_of(uri), caller
        return call

    async def wait_call(self, count: int = 1, timeout_s: float = WAIT_S) -> GatewayCall:
        """Wait until ``count`` calls have come (refused ones too); returns the newest."""
        await wait_until(lambda: len(self.calls) >= count, f"{self.name}: {count} calls", timeout_s)
        return self.calls[-1]

    @property
    def busy(self) -> int:
        """How many channels are taken."""
        return sum(call.state in ("calling", "answered") for call in self.calls)

    def _call(self, handle: int) -> GatewayCall:
        for call in reversed(self.calls):
            if call.handle == handle:
                return call
        self.calls.append(GatewayCall(self, handle))
        return self.calls[-1]

    def _event(self, message: dict[str, Any]) -> None:
        call = self._call(message["call"])
        name = message["event"]
        call.times.setdefault(name, message["at"])
        if name == "call":
            call.number, call.caller = message["number"], sipmsg.user_of(message["from"])
            call.headers, call.call_id = message["headers"], message["call_id"]
            if message["code"]:
                call.code, call.state = message["code"], "refused"
        elif name == "answered":
            call.state = "answered"
        elif name == "ended":
            call.state, call.cause = "ended", message["cause"]
        elif name in ("held", "resumed"):
            call.held = name == "held"
