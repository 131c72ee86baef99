"""Records what a real FreeSWITCH says on its event socket, so that parsers can be tested where none is installed.

`python -m tests.lab.esl_record [SCENE...]` starts a lab for the scenes and writes tests/data/freeswitch/SCENE.jsonl. A line
is one thing said: by the "box" (a command) or by the "switch" (a block: headers and body as they came), or "end": the
connection ended, by the box ("") or otherwise, and another one may begin. The password and the machine's name are replaced
by letters of the same number, so that no length changes.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance.freeswitch import events as wire
from appliance.freeswitch import render
from tests.lab.freeswitch import FreeSwitch
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until

DATA = Path(__file__).resolve().parents[1] / "data" / "freeswitch"
BLOCK_BYTES_MAX = 1 << 22
LISTEN = (
    "event plain CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HANGUP_COMPLETE"
    " RECORD_START RECORD_STOP MESSAGE_WAITING BACKGROUND_JOB"
)
CUSTOM = "event plain CUSTOM conference::maintenance valet_parking::info vm::maintenance"
ORDER_S = 10.0

DOCUMENT = {
    "call_control": "local",
    "applications": [
        {"number": "700", "kind": "flow", "flow": "desk"},
        {"number": "703", "kind": "conference"},
        {"number": "771", "kind": "parking", "fallback": "202"},
    ],
    "flows": [
        {
            "id": "desk",
            "language": "en",
            "nodes": [
                {
                    "id": "main",
                    "do": "menu",
                    "prompts": ["welcome"],
                    "keys": [{"key": "1", "then": "call"}],
                    "timeout": "bye",
                    "invalid": "bye",
                },
                {"id": "call", "do": "transfer", "number": "202", "unanswered": "bye"},
                {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
            ],
        }
    ],
    "mailboxes": [{"number": "202", "code_md5": "0" * 32, "language": "en"}],
}

Said = tuple[str, str]
"""Who ("box", "switch", "end") and what."""


class Recorder:
    """One connection after the other to one FreeSWITCH, written down."""

    def __init__(self, freeswitch: FreeSwitch) -> None:
        """Nothing is opened yet."""
        self._settings = freeswitch.box.freeswitch
        self.password = render.password(freeswitch.layout)
        self.said: list[Said] = []
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self, password: str | None = None) -> None:
        """Connect and authenticate; wait for the answer."""
        self._closing = False
        banners = self.count(wire.AUTH_REQUEST)
        reader, self._writer = await asyncio.open_connection(self._settings.address, self._settings.esl_port)
        self._reading = asyncio.create_task(self._read(reader))
        await self._wait(wire.AUTH_REQUEST, banners)
        await self.send(f"auth {self.password if password is None else password}")

    async def send(self, line: str) -> None:
        """A command; returns when it was answered."""
        assert self._writer is not None
        kinds = (wire.REPLY, wire.API_RESPONSE)
        before = sum(map(self.count, kinds))
        self.said.append(("box", line))
        self._writer.write(f"{line}\n\n".encode())
        await wait_until(lambda: sum(map(self.count, kinds)) > before, line, ORDER_S)

    async def wait_event(self, name: str, count: int = 1) -> None:
        """Wait until that many events of a name have come since the beginning."""
        sign = f"\nEvent-Name: {name}\n"
        await wait_until(
            lambda: sum(who == "switch" and sign in f"\n{what}" for who, what in self.said) >= count,
            f"{count} {name}",
            ORDER_S,
        )

    async def wait_end(self) -> None:
        """Wait until FreeSWITCH has ended the connection."""
        assert self._reading is not None
        async with asyncio.timeout(ORDER_S):
            await self._reading

    def count(self, kind: str) -> int:
        """Blocks of a Content-Type so far."""
        return sum(who == "switch" and f"Content-Type: {kind}" in what for who, what in self.said)

    async def close(self) -> None:
        """End the connection, if FreeSWITCH has not."""
        self._closing = True
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            self._writer = None
        if self._reading is not None:
            await self.wait_end()
            self._reading = None

    async def _wait(self, kind: str, before: int) -> None:
        await wait_until(lambda: self.count(kind) > before, kind, ORDER_S)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\n\n")
                length = wire.length_of(wire.headers_of(head), BLOCK_BYTES_MAX)
                self.said.append(("switch", (head + await reader.readexactly(length)).decode()))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.said.append(("end", "" if self._closing else type(error).__name__))


async def refused(lab: Lab, tape: Recorder) -> None:
    """A wrong password."""
    await tape.open("ClueCon")
    await tape.wait_end()


async def application(lab: Lab, tape: Recorder) -> None:
    """A call to a menu, a key, a telephone that answers, the end; the legs as a list, and a command in the background."""
    await tape.open()
    await tape.send(LISTEN)
    await tape.send("api show channels as json")
    call = await lab.phones["201"].call("700")
    await call.dtmf("1")
    await call.wait_hears(lab.phones["202"].tone_hz, timeout_s=ORDER_S)
    await tape.wait_event("CHANNEL_BRIDGE")
    await tape.send("api show channels as json")
    await tape.send("bgapi status")
    await tape.wait_event("BACKGROUND_JOB")
    await tape.send("api uuid_kill 00000000-0000-0000-0000-000000000000")
    await call.hangup()
    await tape.wait_event("CHANNEL_HANGUP_COMPLETE", 2)


async def conference(lab: Lab, tape: Recorder) -> None:
    """Two come into a room and leave it."""
    await tape.open()
    await tape.send(LISTEN)
    await tape.send(CUSTOM)
    first = await lab.phones["201"].call("703")
    second = await lab.phones["202"].call("703")
    await first.wait_hears(lab.phones["202"].tone_hz, timeout_s=ORDER_S)
    await tape.send("api conference json_list")
    await second.hangup()
    await first.hangup()
    await wait_until(
        lambda: any("conference-destroy" in what for _, what in tape.said), "the room's end", ORDER_S
    )


async def parking(lab: Lab, tape: Recorder) -> None:
    """A call waits in a parking place and is given up."""
    await tape.open()
    await tape.send(LISTEN)
    await tape.send(CUSTOM)
    call = await lab.phones["201"].call("771")
    await tape.wait_event("CUSTOM")
    await call.hangup()
    await tape.wait_event("CHANNEL_HANGUP_COMPLETE")


async def voicemail(lab: Lab, tape: Recorder) -> None:
    """A message is left in 202's box."""
    await tape.open()
    await tape.send(LISTEN)
    await tape.send(CUSTOM)
    call = await lab.phones["201"].call("*98202")
    await tape.wait_event("RECORD_START")
    await call.wait_hears(640, timeout_s=ORDER_S)  # the beep
    await asyncio.sleep(4)  # longer than the shortest message that is kept
    await call.hangup()
    await tape.wait_event("CHANNEL_HANGUP_COMPLETE")
    await wait_until(lambda: any("leave-message" in what for _, what in tape.said), "the message", ORDER_S)


async def restart(lab: Lab, tape: Recorder) -> None:
    """FreeSWITCH ends in order with a call up, and is there again."""
    assert lab.box.freeswitch is not None
    await tape.open()
    await tape.send(LISTEN)
    await tape.send("api show channels as json")
    await lab.phones["201"].call("703")
    await tape.wait_event("CHANNEL_ANSWER")
    await lab.box.stop("freeswitch")
    await tape.wait_end()
    await tape.close()
    await lab.box.start("freeswitch")
    await tape.open()
    await tape.send("api show channels as json")


SCENES: dict[str, Callable[[Lab, Recorder], Awaitable[None]]] = {
    scene.__name__: scene for scene in (refused, application, conference, parking, voicemail, restart)
}


def lab_for_scenes() -> Lab:
    """A lab that they can be recorded in."""
    parts = Parts(phones=2, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    return Lab(parts, dict(DOCUMENT))


async def record(lab: Lab, name: str) -> list[Said]:
    """One scene, with what is nobody's business replaced."""
    assert lab.box.freeswitch is not None
    tape = Recorder(lab.box.freeswitch)
    try:
        await SCENES[name](lab, tape)
    finally:
        await tape.close()
    return [(who, _masked(what, tape.password)) for who, what in tape.said]


def _masked(text: str, password: str) -> str:
    text = text.replace(password, "p" * len(password))
    name = socket.gethostname()
    hidden = "b" * len(name)
    for before, after in (
        ("FreeSWITCH-Hostname: ", "\n"),
        ('"hostname":"', '"'),
        ("variable_hostname: ", "\n"),
    ):
        text = text.replace(f"{before}{name}{after}", f"{before}{hidden}{after}")
    return text


def as_lines(said: list[Said]) -> str:
    """A transcript as its file's text."""
    return "".join(json.dumps({who: what}, ensure_ascii=False) + "\n" for who, what in said)


async def main(names: list[str]) -> None:
    """Record the scenes anew, all of them when none is named."""
    DATA.mkdir(exist_ok=True)
    async with lab_for_scenes() as lab:
        for name in names or SCENES:
            (DATA / f"{name}.jsonl").write_text(as_lines(await record(lab, name)))
            print(f"{name}: {(DATA / f'{name}.jsonl').stat().st_size} bytes")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
