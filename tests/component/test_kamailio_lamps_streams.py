"""Lamps of telephones that are reached by the connection they made: TLS, WebSocket, and TCP over a restart of Kamailio."""

import asyncio
import base64
import contextlib
import secrets
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.helpers.box_calls import answer
from tests.helpers.registrar_box import RegistrarBox, password_of, registrar_box
from tests.lab import sipmsg
from tests.lab.processes import wait_until
from tests.lab.sipmsg import Message
from tests.lab.watcher import WAIT_S, Watcher, states_of

pytestmark = pytest.mark.asyncio

USER = "206"


class StreamPhone:
    """A telephone on one connection: sends requests, answers NOTIFY with 200, keeps what came."""

    def __init__(self, kind: str, rig: RegistrarBox) -> None:
        """kind: "tls" or "ws"."""
        self.kind = kind
        self.host = rig.addresses.box_lan
        self.own = rig.addresses.phone(30)
        self.came: list[Message] = []

    async def open(self) -> None:
        port = {"tls": 5061, "ws": 5062}[self.kind]
        secure = ssl.create_default_context() if self.kind == "tls" else None
        if secure is not None:  # the box's certificate is its own
            secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
        self.reader, self.writer = await asyncio.open_connection(
            self.host, port, ssl=secure, local_addr=(self.own, 0)
        )
        if self.kind == "ws":
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            self.writer.write(
                f"GET / HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n".encode()
            )
            assert b" 101 " in (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        self.task = asyncio.create_task(self._read())

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()

    def send(self, message: Message) -> None:
        data = message.encode()
        if self.kind == "ws":
            mask = secrets.token_bytes(4)
            size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
            data = b"\x81" + size + mask + bytes(one ^ mask[at % 4] for at, one in enumerate(data))
        self.writer.write(data)

    async def _read(self) -> None:
        rest = b""
        while True:
            if self.kind == "ws":
                if self.reader.at_eof():
                    return
                head = await self.reader.readexactly(2)
                size = head[1] & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                text = await self.reader.readexactly(size)
                whole = [text] if head[0] & 0x0F == 1 else []
            else:
                data = await self.reader.read(65536)
                if not data:
                    return
                whole, rest = sipmsg.split_stream(rest + data)
            for one in whole:
                self._take(sipmsg.parse(one))

    def _take(self, message: Message) -> None:
        self.came.append(message)
        if message.is_request:
            names = ("via", "from", "to", "call-id", "cseq")
            lines = [(name, value) for name, value in message.headers if name.lower() in names]
            self.send(Message("SIP/2.0 200 OK", lines))

    async def subscribe(self, number: str) -> int:
        """Code of the final answer, a challenge answered."""
        uri, call, tag = f"sip:{number}@{self.host}", secrets.token_hex(8), secrets.token_hex(4)
        more: list[tuple[str, str]] = []
        for sequence in (1, 2):
            via = f"SIP/2.0/{self.kind.upper()} {self.own}:7777;rport;branch=z9hG4bK{secrets.token_hex(6)}"
            self.send(
                Message(
                    f"SUBSCRIBE {uri} SIP/2.0",
                    [
                        ("Via", via),
                        ("Max-Forwards", "70"),
                        ("From", f"<sip:{USER}@{self.host}>;tag={tag}"),
                        ("To", f"<{uri}>"),
                        ("Call-ID", call),
                        ("CSeq", f"{sequence} SUBSCRIBE"),
                        ("Contact", f"<sip:{USER}@{self.own}:7777;transport={self.kind}>"),
                        ("Event", "dialog"),
                        ("Expires", "600"),
                        *more,
                    ],
                )
            )

            def final(asked: str = f"{sequence} SUBSCRIBE") -> Message | None:
                found = [one for one in self.came if one.get("cseq") == asked and one.code >= 200]
                return found[0] if found else None

            answered = await wait_until(final, "an answer", WAIT_S)
            assert isinstance(answered, Message)
            if answered.code != 407:
                break
            asked = sipmsg.challenge(answered.get("proxy-authenticate"))
            word = sipmsg.authorization(asked, "SUBSCRIBE", uri, USER, password_of(USER), "c")
            more = [("Proxy-Authorization", word)]
        return answered.code

    @property
    def states(self) -> list[list[tuple[str, str]]]:
        """What each NOTIFY said."""
        return [states_of(one.body) for one in self.came if one.is_request]


@asynccontextmanager
async def site() -> AsyncIterator[RegistrarBox]:
    async with registrar_box(call_control="local") as rig:
        yield rig


@pytest.mark.parametrize("kind", ["tls", "ws"])
async def test_lamp_by_a_connection_that_the_telephone_made(kind: str) -> None:
    async with (
        site() as rig,
        rig.phone("201", 1) as a,
        rig.phone("202", 2, on_request=answer(0.3)) as b,
        contextlib.AsyncExitStack() as stack,
    ):
        assert [(await one.register()).code for one in (a, b)] == [200, 200]
        phone = StreamPhone(kind, rig)
        await phone.open()
        stack.push_async_callback(phone.close)
        assert await phone.subscribe("202") == 200
        await wait_until(lambda: phone.states, f"{kind}: told at once", WAIT_S)
        call = await a.invite(f"sip:202@{rig.addresses.box_lan}")
        assert (await call.wait(timeout_s=10)).code == 200
        await wait_until(lambda: phone.states[-1] == [("recipient", "confirmed")], f"{kind}: talks", WAIT_S)
        await a.bye(a.dialog(call))
        await wait_until(lambda: phone.states[-1] == [("recipient", "terminated")], f"{kind}: dark", WAIT_S)
        assert phone.states[:2] == [[], [("recipient", "early")]]


async def test_telephone_with_tcp_is_told_again_once_it_has_registered_after_a_restart() -> None:
    async with (
        site() as rig,
        rig.phone("201", 1) as a,
        rig.phone("202", 2, on_request=answer(0.3)) as b,
    ):
        assert [(await one.register()).code for one in (a, b)] == [200, 200]
        async with rig.phone(USER, 3, transport="tcp") as old:
            assert (await old.register()).code == 200
            lamp = await Watcher(old, rig.addresses.box_lan).watch("202")
            await lamp.wait()
            await asyncio.sleep(1.2)
            await rig.box.kamailio.kill()
        await rig.box.kamailio.start()
        async with rig.phone(USER, 3, transport="tcp") as new:
            watcher = Watcher(new, rig.addresses.box_lan)
            watcher.lamps.append(lamp)
            assert (await new.register()).code == 200
            call = await a.invite(f"sip:202@{rig.addresses.box_lan}")
            await lamp.wait(("recipient", "confirmed"))
            await a.bye(a.dialog(call))
            await lamp.wait_dark()
