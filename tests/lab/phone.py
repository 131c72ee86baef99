"""Phones of the lab, as tests and the demo hold them: real SIP stacks with audio, one process each.

A phone sends its own tone in every call and tells which tones it hears. Times are ``time.monotonic`` seconds. The stack
has a habit that tests must expect: a called phone sends one re-INVITE of its own within 150 ms of its answer.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab import phone_call
from tests.lab.identity import Identity
from tests.lab.phone_call import PhoneCall
from tests.lab.processes import WAIT_S, wait_until
from tests.lab.worker import Worker

__all__ = ["Identity", "Phone", "PhoneCall", "start_all"]

ROOT = Path(__file__).resolve().parents[2]
RTP_PORTS = "10000-10999"


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

    async def register(self, timeout_s: float = WAIT_S) -> None:
        """Register and wait for the answer. Raises ``worker.OrderRefused`` with status and reason."""
        await self.worker.ask("register", timeout_s + 2, timeout_s=timeout_s)

    async def unregister(self, timeout_s: float = WAIT_S) -> None:
        """Remove the registration."""
        await self.worker.ask("unregister", timeout_s + 2, timeout_s=timeout_s)

    async def dial(self, target: str, headers: dict[str, str] | None = None) -> PhoneCall:
        """Call a number or URI; returns at once."""
        answer = await self.ask("dial", uri=self.uri(target), headers=headers or {})
        call = self._call(answer["call"], incoming=False)
        call.peer = self.uri(target)
        call.times["invite"] = answer["at"]
        return call

    async def call(self, target: str, timeout_s: float = WAIT_S) -> PhoneCall:
        """Call and wait until the other side has answered."""
        return await (await self.dial(target)).wait("established", timeout_s)

    async def behave(self, *, answer_after_s: float | None = 0.0, refuse: bool = False) -> None:
        """How coming calls are met: answered after a time, left ringing (``None``), or refused with 486."""
        await self.ask("behave", answer_after_s=answer_after_s, refuse=refuse)

    async def wait_incoming(self, count: int = 1, timeout_s: float = WAIT_S) -> PhoneCall:
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
        phone_call.apply(self._call(message["call"], incoming=name == "incoming"), message)


async def start_all(phones: Sequence[Phone]) -> None:
    """Start phones side by side."""
    await asyncio.gather(*(phone.start() for phone in phones))
