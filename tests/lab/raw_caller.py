"""A caller of a few lines who writes into SIP whatever a test wants: for what no telephone would send. No media."""

import asyncio
import re
import secrets

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
)


class RawCaller(asyncio.DatagramProtocol):
    """One call over UDP from ``address`` to a server. ``sender`` is the From header's value without its tag."""

    def __init__(self, address: str, server: tuple[str, int], sender: str) -> None:
        """Nothing is sent yet."""
        self._address, self._server, self._sender = address, server, sender
        self.call_id = secrets.token_hex(8)
        self._sequence, self._number = 1, ""
        self._to = ""
        self._replies: asyncio.Queue[str] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Keep replies; requests (a BYE) are answered."""
        text = data.decode("utf-8", "replace")
        if text.startswith("SIP/2.0"):
            self._replies.put_nowait(text)
        elif not text.startswith("ACK"):
            head = [line for line in text.split("\r\n") if re.match("(Via|From|To|Call-ID|CSeq):", line)]
            self._write("\r\n".join(("SIP/2.0 200 OK", *head, "Content-Length: 0", "", "")))

    async def call(self, number: str) -> int:
        """Send the INVITE; the final reply's code, acknowledged."""
        self._number = number
        self._send("INVITE", SDP.format(address=self._address), "application/sdp")
        while True:
            async with asyncio.timeout(10):
                reply = await self._replies.get()
            code = int(reply.split(" ")[1])
            if code >= 200:
                self._to = next(line for line in reply.split("\r\n") if line.lower().startswith("to:"))[
                    3:
                ].strip()
                self._send("ACK")
                return code

    async def press(self, signal: str) -> int:
        """A key as SIP INFO, with anything in its place; the reply's code."""
        self._sequence += 1
        self._send("INFO", f"Signal={signal}\r\nDuration=160\r\n", "application/dtmf-relay")
        async with asyncio.timeout(10):
            return int((await self._replies.get()).split(" ")[1])

    async def __aenter__(self) -> "RawCaller":
        """Open the socket."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._address, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send a BYE and close."""
        self._sequence += 1
        self._send("BYE")
        if self._transport is not None:
            self._transport.close()

    def _send(self, method: str, body: str = "", kind: str = "") -> None:
        assert self._transport is not None
        port = self._transport.get_extra_info("sockname")[1]
        target = f"sip:{self._number}@{self._server[0]}:{self._server[1]}"
        lines = (
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._address}:{port};rport;branch=z9hG4bK{secrets.token_hex(6)}",
            "Max-Forwards: 70",
            f"From: {self._sender};tag=raw",
            f"To: {self._to or f'<{target}>'}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:raw@{self._address}:{port}>",
            *([f"Content-Type: {kind}"] if kind else []),
            f"Content-Length: {len(body.encode())}",
            "",
            body,
        )
        self._write("\r\n".join(lines))

    def _write(self, text: str) -> None:
        if self._transport is not None:
            self._transport.sendto(text.encode(), self._server)
