"""A gateway to the public network as a process: takes any number, answers with a tone, refuses when its channels are full.

Orders on stdin and events on stdout as in ``phone_process``. It can also call into the site.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import sys
import time
from typing import Any

import numpy as np

from tests.lab import sipmsg, tones
from tests.lab.rtp import Stream
from tests.lab.sipcall import Dialog, Incoming, Transaction
from tests.lab.sipmsg import Message
from tests.lab.sipua import Ua

INTERESTING = (
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Privacy",
    "Diversion",
    "Remote-Party-ID",
    "Priority",
)


class Channel:
    """One call through the gateway."""

    def __init__(self, number: int, stream: Stream) -> None:
        """``number`` names the call in orders and events."""
        self.number = number
        self.stream = stream
        self.incoming: Incoming | None = None
        self.outgoing: Transaction | None = None
        self.dialog: Dialog | None = None
        self.call_id = ""
        self.work: asyncio.Task[None] | None = None


class GatewayProcess:
    """The gateway: channels, and how it treats calls."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """``settings`` is what ``gateway.Gateway`` sends as first argument."""
        s = self._settings = settings
        self._channels: dict[int, Channel] = {}
        self._numbers = itertools.count(1)
        self._refused: dict[str, int] = {}
        self.ua = Ua(
            s["user"], s["address"], port=s["port"], advertise=s["advertise"], on_request=self._request
        )

    async def do_behave(self, **changes: Any) -> None:
        """Change settings: ``answer_after_s`` (``None`` only rings), ``early`` (audio before the answer), ``channels``."""
        self._settings.update(changes)

    async def do_refuse(self, number: str, code: int) -> None:
        """Answer calls to ``number`` with ``code``; 0 takes them again."""
        self._refused[number] = code

    async def do_hear(self, call: int) -> list[tuple[float, float]]:
        """Frequencies and levels heard right now."""
        channel = self._channels.get(call)
        return [(tone.hz, tone.level_db) for tone in channel.stream.hear()] if channel else []

    async def do_recorded(self, call: int) -> str:
        """What arrived in the last seconds: 16-bit samples, as text."""
        channel = self._channels.get(call)
        heard = channel.stream.recorded() if channel else np.zeros(0)
        return base64.b64encode(tones.pcm16(heard)).decode()

    async def do_dial(self, uri: str, caller: str, display: str = "") -> int:
        """Call into the site with the given caller number and name, as it is written into From; returns the call."""
        channel = self._new_channel()
        channel.work = asyncio.create_task(self._dial(channel, uri, caller, display))
        return channel.number

    async def do_hangup(self, call: int) -> None:
        """BYE, or CANCEL of a call that does not stand yet."""
        channel = self._channels[call]
        if channel.dialog is not None:
            await self.ua.bye(channel.dialog)
        elif channel.outgoing is not None:
            self.ua.cancel(channel.outgoing)
            return
        elif channel.incoming is not None:
            channel.incoming.reply(480, "Temporarily Unavailable")
        self._end(channel, "hung up")

    def _request(self, incoming: Incoming) -> None:
        request = incoming.request
        if request.method == "INVITE" and not sipmsg.tag_of(request.get("to")):
            self._call(incoming)
        elif request.method == "INVITE":
            self._reinvite(incoming)
        elif request.method == "BYE":
            incoming.reply(200, "OK")
            for channel in self._of(request):
                self._end(channel, "bye")
        else:
            incoming.reply(200 if request.method in ("OPTIONS", "INFO", "UPDATE", "NOTIFY") else 405, "")

    def _call(self, incoming: Incoming) -> None:
        request = incoming.request
        number = sipmsg.user_of(request.uri)
        refusal = self._refused.get(number, 0)
        if not refusal and len(self._channels) >= self._settings["channels"]:
            refusal = 503
        told = {
            "number": number,
            "from": request.get("from"),
            "headers": {name: request.get(name) for name in INTERESTING if request.get(name)},
            "call_id": request.get("call-id"),
            "code": refusal,
        }
        if refusal:
            _event("call", next(self._numbers), **told)
            incoming.reply(refusal, "Refused")
            return
        channel = self._new_channel()
        channel.incoming, channel.call_id = incoming, request.get("call-id")
        _event("call", channel.number, **told)
        channel.work = asyncio.create_task(self._serve(channel, incoming))

    async def _serve(self, channel: Channel, incoming: Incoming) -> None:
        media = sipmsg.media_of(incoming.request.body)
        body = sipmsg.sdp(self.ua.address, channel.stream.port)
        if self._settings["early"] and media:
            incoming.reply(183, "Session Progress", body=body)
            channel.stream.start(media[:2], media[2])
        else:
            incoming.reply(180, "Ringing")
        wait_s = self._settings["answer_after_s"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await incoming.cancelled.wait()
        if incoming.cancelled.is_set():
            self._end(channel, "cancelled")
            return
        channel.dialog = incoming.dialog()
        if media:
            channel.stream.start(media[:2], media[2])
        _event("answered", channel.number)
        try:
            await self.ua.answer_until_acknowledged(incoming, body)
        except TimeoutError:
            self._end(channel, "no ACK")

    async def _dial(self, channel: Channel, uri: str, caller: str, display: str) -> None:
        a = self.ua.address
        sender = f"{display} <sip:{caller}@{a}>".strip()
        headers = [("From", f"{sender};tag=g{channel.number}{time.monotonic_ns() % 100000}")]
        headers.append(("Content-Type", "application/sdp"))
        channel.outgoing = self.ua.start(
            "INVITE", uri, headers=headers, body=sipmsg.sdp(a, channel.stream.port)
        )
        channel.call_id = channel.outgoing.request.get("call-id")
        try:
            final = await channel.outgoing.wait(200, 60)
        except TimeoutError:
            self._end(channel, "no answer")
            return
        if final.code >= 300:
            self._end(channel, f"{final.code} {final.reason}")
            return
        channel.dialog = self.ua.dialog(channel.outgoing)
        media = sipmsg.media_of(final.body)
        if media:
            channel.stream.start(media[:2], media[2])
        _event("answered", channel.number)

    def _reinvite(self, incoming: Incoming) -> None:
        channels = self._of(incoming.request)
        if not channels:
            incoming.reply(481, "No Such Call")
            return
        channel = channels[0]
        media = sipmsg.media_of(incoming.request.body)
        held = "a=sendonly" in incoming.request.body or "a=inactive" in incoming.request.body
        if media:
            channel.stream.start(media[:2], media[2])
        _event("held" if held else "resumed", channel.number)
        body = sipmsg.sdp(self.ua.address, channel.stream.port, direction="recvonly" if held else "sendrecv")
        incoming.reply(200, "OK", body=body)

    def _new_channel(self) -> Channel:
        s = self._settings
        channel = Channel(next(self._numbers), Stream(s["address"], s["tone_hz"], range(*s["rtp"])))
        self._channels[channel.number] = channel
        return channel

    def _of(self, request: Message) -> list[Channel]:
        return [channel for channel in self._channels.values() if channel.call_id == request.get("call-id")]

    def _end(self, channel: Channel, cause: str) -> None:
        if self._channels.pop(channel.number, None) is not None:
            channel.stream.stop()
            _event("ended", channel.number, cause=cause)


def _event(name: str, call: int, **more: object) -> None:
    _say({"event": name, "call": call, "at": time.monotonic(), **more})


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Obey until stdin ends."""
    gateway = GatewayProcess(json.loads(sys.argv[1]))
    async with gateway.ua:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        _event("ready", 0)
        while line := await reader.readline():
            order = json.loads(line)
            if order["do"] == "quit":
                break
            number, name = order.pop("id"), order.pop("do")
            try:
                _say({"id": number, "ok": await getattr(gateway, f"do_{name}")(**order)})
            except Exception as error:  # the one who gave the order is told
                _say({"id": number, "error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    asyncio.run(main())
