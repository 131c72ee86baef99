"""One real SIP phone (baresip) as a process: orders arrive on stdin and events leave on stdout, one JSON value per line.

The stack allows one runtime per process. An order is ``{"id": n, "do": NAME, ...}`` and is answered with ``{"id": n, "ok":
value}`` or ``{"id": n, "error": text}``. Events are ``{"event": NAME, "call": handle, "at": monotonic seconds, ...}``.
"""

import asyncio
import base64
import contextlib
import json
import logging
import os
import sys
import time
from collections import deque
from typing import Any

import numpy as np
from baresip import AudioNotActive, AudioRestarted, Call, Config, Event, Runtime, StackEvent, UserAgent

from tests.lab import loopback_stack, tones

FRAME_S = 0.02
AHEAD_S = 0.08
"""How much of its tone a phone keeps written ahead: four packets, so that a busy machine leaves no hole."""

KEPT_S = 0.5
TIMELINE_STEP_S = 0.1
RECORDED_S = 30.0
"""How much of what arrived is kept for a closer look."""

READ_BYTES = 1 << 16

EVENTS = {
    Event.CALL_RINGING: "ringing",
    Event.CALL_PROGRESS: "progress",
    Event.CALL_ESTABLISHED: "established",
    Event.CALL_CLOSED: "closed",
    Event.CALL_HOLD: "held",
    Event.CALL_RESUME: "resumed",
    Event.CALL_TRANSFER: "transfer_asked",
    Event.CALL_TRANSFER_FAILED: "transfer_failed",
    Event.CALL_MENC: "encrypted",
}


class Media:
    """One call's audio: sends the phone's tone, remembers what was just heard and how that changed over time."""

    def __init__(self, call: Call, tone_hz: float) -> None:
        """``tone_hz`` 0 sends silence."""
        self._call = call
        self._tone_hz = tone_hz
        self._sent = 0
        self._recent: deque[tuple[float, tones.Samples]] = deque()
        self._recorded: deque[tuple[float, bytes]] = deque()
        self._rate_hz = 8000
        self.timeline: list[tuple[float, list[float]]] = []

    async def run(self) -> None:
        """Until cancelled."""
        next_note = 0.0
        while True:
            with contextlib.suppress(AudioNotActive, AudioRestarted):
                self._send()
                self._receive()
            now = time.monotonic()
            if now >= next_note:
                next_note = now + TIMELINE_STEP_S
                self.timeline.append((now, [tone.hz for tone in self.hear()]))
            await asyncio.sleep(FRAME_S)

    def hear(self) -> list[tones.Tone]:
        """What arrived in the last window; nothing when too little did."""
        since = time.monotonic() - tones.WINDOW_S
        pieces = [samples for at, samples in self._recent if at >= since]
        if not pieces:
            return []
        return tones.heard(np.concatenate(pieces), self._rate_hz)

    def recorded(self, last_s: float) -> tuple[int, bytes]:
        """Rate and 16-bit samples of what arrived in the last ``last_s`` seconds."""
        since = time.monotonic() - last_s
        return self._rate_hz, b"".join(data for at, data in self._recorded if at >= since)

    def _send(self) -> None:
        info = self._call.audio.info()
        if not info.tx_ready or not self._tone_hz:
            return
        rate_hz, channels = info.tx_sample_rate, info.tx_channels
        missing = int(AHEAD_S * rate_hz) - info.tx_buffered // (2 * channels)
        if missing > 0:
            samples = tones.sine(self._tone_hz, rate_hz, self._sent, missing)
            taken = self._call.audio.write(tones.pcm16(samples, channels))
            self._sent += taken // (2 * channels)

    def _receive(self) -> None:
        info = self._call.audio.info()
        if not info.rx_ready:
            return
        self._rate_hz = info.rx_sample_rate
        now = time.monotonic()
        if data := self._call.audio.read(READ_BYTES):
            heard = tones.from_pcm16(data, info.rx_channels)
            self._recent.append((now, heard))
            self._recorded.append((now, tones.pcm16(heard)))
        while self._recorded and self._recorded[0][0] < now - RECORDED_S:
            self._recorded.popleft()
        while self._recent and self._recent[0][0] < now - KEPT_S:
            self._recent.popleft()


class PhoneProcess:
    """The phone: one account, some calls, a way of answering."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """``settings`` is what ``phone.Phone`` sends as first argument."""
        self._settings = settings
        self._runtime = Runtime()
        self._ua: UserAgent | None = None
        self._calls: dict[int, Call] = {}
        self._media: dict[int, Media] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answer_after_s: float | None = settings["answer_after_s"]
        self._refuse = False

    async def start(self) -> None:
        """Start the stack and make the account."""
        s = self._settings
        loopback_stack.pretend(s["address"])
        await self._runtime.start(
            Config(
                net_interface=s["address"],
                max_concurrent_calls=s["max_calls"],
                instance_id=s["instance"],
                native_log_level="info",
                sip_trace=s["trace"],
                extra_config_text="\n".join(s["config"]),
            )
        )
        self._ua = await UserAgent.create(self._runtime, s["aor"], transfer_policy="auto")
        self._ua.on_incoming(self._incoming)
        self._ua.on_transfer_call(self._transferred)
        self._runtime.subscribe(self._stack_event)

    async def stop(self) -> None:
        """Unregister when registered and let the stack end its calls."""
        if self._ua is not None:
            with contextlib.suppress(Exception):
                await self._ua.unregister(timeout=1)
        await self._runtime.close()

    async def do_register(self, timeout_s: float) -> None:
        """Register once; the stack refreshes by itself."""
        assert self._ua is not None
        await self._ua.register(timeout=timeout_s)

    async def do_unregister(self, timeout_s: float) -> None:
        """Remove the registration."""
        assert self._ua is not None
        await self._ua.unregister(timeout=timeout_s)

    async def do_dial(self, uri: str, headers: dict[str, str]) -> dict[str, Any]:
        """Start a call; returns its handle and when the INVITE was ordered."""
        assert self._ua is not None
        at = time.monotonic()
        call = await self._ua.dial(uri, headers)
        self._adopt(call)
        return {"call": call.handle, "at": at}

    async def do_answer(self, call: int) -> None:
        """Answer a ringing call."""
        await self._calls[call].answer()

    async def do_reject(self, call: int) -> None:
        """486 to a ringing call."""
        await self._calls[call].reject()

    async def do_hangup(self, call: int) -> None:
        """BYE, CANCEL or a refusal, whichever fits."""
        await self._calls[call].hangup()

    async def do_hold(self, call: int) -> None:
        """Re-INVITE to hold."""
        await self._calls[call].hold()

    async def do_resume(self, call: int) -> None:
        """Re-INVITE to resume."""
        await self._calls[call].resume()

    async def do_dtmf(self, call: int, digits: str) -> None:
        """Send digits."""
        await self._calls[call].send_dtmf(digits)

    async def do_transfer(self, call: int, uri: str, timeout_s: float) -> None:
        """Blind transfer; returns when the outcome is known."""
        await self._calls[call].transfer(uri, timeout=timeout_s)

    async def do_attended_transfer(self, call: int, consultation: int, timeout_s: float) -> None:
        """Attended transfer; returns when the outcome is known."""
        await self._calls[call].attended_transfer(self._calls[consultation], timeout=timeout_s)

    async def do_behave(self, answer_after_s: float | None, refuse: bool) -> None:
        """How the next incoming calls are met."""
        self._answer_after_s, self._refuse = answer_after_s, refuse

    async def do_hear(self, call: int) -> list[tuple[float, float]]:
        """Frequencies and levels heard right now."""
        media = self._media.get(call)
        return [(tone.hz, tone.level_db) for tone in media.hear()] if media else []

    async def do_recorded(self, call: int, last_s: float) -> tuple[int, str]:
        """What arrived in the last seconds: rate, and 16-bit samples in base64."""
        media = self._media.get(call)
        rate_hz, samples = media.recorded(last_s) if media else (8000, b"")
        return rate_hz, base64.b64encode(samples).decode()

    async def do_timeline(self, call: int) -> list[tuple[float, list[float]]]:
        """What was heard, every ``TIMELINE_STEP_S``, since the call began."""
        media = self._media.get(call)
        return media.timeline if media else []

    def _incoming(self, call: Call) -> None:
        self._adopt(call)
        self._event("incoming", call.handle, peer=call.peer, call_id=call.call_id, headers=call.headers)
        if self._refuse:
            self._task(call.reject())
        elif self._answer_after_s is not None:
            self._task(self._answer_later(call, self._answer_after_s))

    def _transferred(self, call: Call) -> None:
        self._adopt(call)
        self._event("transferring", call.handle, peer=call.peer)

    async def _answer_later(self, call: Call, after_s: float) -> None:
        await asyncio.sleep(after_s)
        with contextlib.suppress(Exception):
            await call.answer()

    def _adopt(self, call: Call) -> None:
        self._calls[call.handle] = call
        media = self._media[call.handle] = Media(call, self._settings["tone_hz"])
        task = self._task(media.run())
        call.on(lambda event: task.cancel() if event.event is Event.CALL_CLOSED else None)
        call.on_dtmf(lambda digit: self._event("digit", call.handle, digit=digit.digit))

    def _stack_event(self, event: StackEvent) -> None:
        name = EVENTS.get(event.event)
        if name is not None:
            self._event(name, event.call, text=event.text, call_id=event.call_id, stats=event.stats or None)
        elif event.event in (Event.REGISTER_OK, Event.REGISTER_FAIL):
            self._event(
                "registered" if event.event is Event.REGISTER_OK else "register_failed", 0, text=event.text
            )

    def _event(self, name: str, call: int, **more: object) -> None:
        _say({"event": name, "call": call, "at": time.monotonic(), **more})

    def _task(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_events = os.fdopen(os.dup(1), "w", buffering=1)
"""Where events go. The stack prints to standard output now and then: that goes to the log instead."""


def _say(message: dict[str, Any]) -> None:
    _events.write(json.dumps(message) + "\n")


async def _obey(phone: PhoneProcess, order: dict[str, Any]) -> None:
    number, name = order.pop("id"), order.pop("do")
    try:
        _say({"id": number, "ok": await getattr(phone, f"do_{name}")(**order)})
    except Exception as error:  # the one who gave the order is told
        _say({"id": number, "error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    """Obey until stdin ends, so that a phone never outlives whoever started it."""
    os.dup2(2, 1)
    logging.basicConfig(
        level=logging.DEBUG, format="%(asctime)s.%(msecs)03d %(name)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    phone = PhoneProcess(json.loads(sys.argv[1]))
    await phone.start()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    _say({"event": "ready", "call": 0, "at": time.monotonic()})
    orders: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        order = json.loads(line)
        if order["do"] == "quit":
            break
        task = asyncio.create_task(_obey(phone, order))
        orders.add(task)
        task.add_done_callback(orders.discard)
    await phone.stop()


if __name__ == "__main__":
    asyncio.run(main())
