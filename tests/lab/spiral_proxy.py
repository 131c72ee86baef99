"""A cloud that only proxies: it sends every call back to the box it came from, record-routed, with the same Call-ID.

Stateless, UDP, no media. ``alive = False`` makes it a black hole.
"""

import asyncio
import re

from tests.lab import sipmsg
from tests.lab.sipmsg import Message

PORT = 5060


class SpiralProxy:
    """``async with`` opens and closes it."""

    def __init__(self, address: str, box: str) -> None:
        """``box`` is where calls are sent back to."""
        self.alive = True
        self.seen: list[Message] = []
        self._at = (address, PORT)
        self._box = (box, PORT)
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def methods(self) -> list[str]:
        """Methods of the requests seen."""
        return [message.method for message in self.seen if message.is_request]

    async def __aenter__(self) -> "SpiralProxy":
        """Open."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=self._at
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        if self._transport is not None:
            self._transport.close()

    def take(self, data: bytes, source: tuple[str, int]) -> None:
        """A message that arrived."""
        if not self.alive:
            return
        message = sipmsg.parse(data)
        self.seen.append(message)
        if message.is_request:
            self._request(message, source)
        else:
            self._response(message)

    def _request(self, message: Message, source: tuple[str, int]) -> None:
        first = message.method == "INVITE" and not sipmsg.tag_of(message.get("to"))
        if first:
            copied = ("via", "from", "to", "call-id", "cseq")
            trying = [(name, value) for name, value in message.headers if name.lower() in copied]
            self._send(Message("SIP/2.0 100 Trying", trying), source)
        above = message.get("via").split("branch=")[1].split(";")[0].replace(".", "-")
        headers = [("Via", f"SIP/2.0/UDP {self._at[0]}:{PORT};branch={above}-proxy"), *message.headers]
        routes = [entry for entry in headers if entry[0].lower() == "route"]
        if routes and self._at[0] in routes[0][1]:
            headers.remove(routes.pop(0))
        if first:
            headers.insert(1, ("Record-Route", f"<sip:{self._at[0]};lr>"))
        there = self._box
        if not first and message.method != "CANCEL":
            there = _host(sipmsg.uri_of(routes[0][1]) if routes else message.uri)
        self._send(Message(message.first, headers, message.body), there)

    def _response(self, message: Message) -> None:
        headers = list(message.headers)
        headers.remove(next(entry for entry in headers if entry[0].lower() == "via"))
        answer = Message(message.first, headers, message.body)
        self._send(answer, _host("sip:" + answer.get("via").split(" ")[1]))

    def _send(self, message: Message, there: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(message.encode(), there)


def _host(uri: str) -> tuple[str, int]:
    found = re.match(r"sips?:(?:[^@]*@)?([^:;>]+)(?::(\d+))?", uri)
    if found is None:
        raise ValueError(f"no host in {uri!r}")
    return found.group(1), int(found.group(2) or PORT)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, proxy: SpiralProxy) -> None:
        self._proxy = proxy

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._proxy.take(data, addr)
