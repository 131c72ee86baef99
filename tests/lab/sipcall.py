"""What the lab's plain user agent knows of a request of its own, of one that came in, and of a call."""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Protocol

from tests.lab import sipmsg
from tests.lab.processes import WAIT_S
from tests.lab.sip_socket import Peer
from tests.lab.sipmsg import Message


class Sender(Protocol):
    """The user agent, as far as an answer needs it."""

    @property
    def contact(self) -> str:
        """Its contact URI."""

    def send(self, data: bytes, to: Peer) -> None:
        """Send bytes."""


@dataclass
class Transaction:
    """One request of ours and its answers. Times are ``time.monotonic`` seconds."""

    request: Message
    sent_at: float = 0.0
    responses: list[tuple[float, Message]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def final(self) -> Message | None:
        """The final response, when there is one."""
        return next((m for _, m in self.responses if m.code >= 200), None)

    def first_at(self, least_code: int) -> float | None:
        """When the first response with at least that code came."""
        return next((at for at, m in self.responses if m.code >= least_code), None)

    async def wait(self, least_code: int = 200, timeout_s: float = WAIT_S) -> Message:
        """The first response with at least ``least_code``. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout_s):
            while True:
                for _, message in self.responses:
                    if message.code >= least_code:
                        return message
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Dialog:
    """What both sides of a call agree on."""

    call_id: str
    local: str
    remote: str
    target: str
    routes: list[str]
    sequence: int = 1


@dataclass
class Incoming:
    """A request that came in, with the way to answer it."""

    ua: Sender
    request: Message
    at: float
    answer_to: Peer
    to_tag: str = field(default_factory=lambda: secrets.token_hex(4))
    last: bytes = b""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(
        self, code: int, reason: str = "", headers: list[tuple[str, str]] | None = None, body: str = ""
    ) -> None:
        """Send a response."""
        to = self.request.get("to")
        if code > 100 and not sipmsg.tag_of(to):
            to += f";tag={self.to_tag}"
        copied = [("Via", via) for via in self.request.all("via")]
        copied += [("Record-Route", route) for route in self.request.all("record-route")]
        copied += [(n, self.request.get(n)) for n in ("From", "Call-ID", "CSeq")]
        contact = [("Contact", f"<{self.ua.contact}>")] if 101 <= code < 300 else []
        kind = [("Content-Type", "application/sdp")] if body else []
        message = Message(
            f"SIP/2.0 {code} {reason or code}", [*copied, ("To", to), *contact, *kind, *(headers or [])], body
        )
        self.last = message.encode()
        self.ua.send(self.last, self.answer_to)

    def dialog(self) -> Dialog:
        """The dialog that a 2xx of ours makes."""
        to = self.request.get("to")
        local = to if sipmsg.tag_of(to) else f"{to};tag={self.to_tag}"
        return Dialog(
            self.request.get("call-id"),
            local,
            self.request.get("from"),
            sipmsg.uri_of(self.request.get("contact")),
            self.request.all("record-route"),
        )
