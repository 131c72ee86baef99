"""A plain SIP user agent in Python, for scale and for odd cases: registers, calls, answers, sends anything. No media.

One ``Ua`` is one socket at one address; it speaks UDP or TCP, answers digest challenges (MD5, SHA-256) and keeps
everything it received in ``received``.
"""

import asyncio
import contextlib
import itertools
import re
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tests.lab import sipmsg
from tests.lab.processes import WAIT_S
from tests.lab.sip_socket import Peer, SipSocket
from tests.lab.sipcall import Dialog, Incoming, Transaction
from tests.lab.sipmsg import Message

T1_S = 0.5
"""RFC 3261: first retransmission over UDP, doubling up to T2."""
T2_S = 4.0
FINAL_TIMEOUT_S = 32.0


class Ua:
    """One user agent. ``async with`` opens and closes it."""

    def __init__(
        self,
        user: str,
        address: str,
        server: tuple[str, int] | None = None,
        *,
        port: int = 5060,
        transport: str = "udp",
        password: str = "",
        domain: str = "",
        advertise: str = "",
        on_request: Callable[[Incoming], None] | None = None,
    ) -> None:
        """``server`` gets everything; without one, requests go to the host in their URI. ``advertise`` is the address
        as others see it, if behind a NAT. ``on_request`` gets what comes in except ACK and CANCEL; without it INVITE
        is answered 486 and the rest 200."""
        self.user, self.port, self.transport = user, port, transport
        self.address = advertise or address
        self.server, self.password = server, password
        self.domain = domain or (server[0] if server else address)
        self.received: list[tuple[float, Message]] = []
        self._on_request = on_request or _refuse
        self._transactions: dict[tuple[str, str], Transaction] = {}
        self._incoming: dict[str, Incoming] = {}
        self._numbers = itertools.count(secrets.randbelow(10000) + 1)
        self._socket = SipSocket(address, port, transport, self.take)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def contact(self) -> str:
        """Our contact URI."""
        return f"sip:{self.user}@{self.address}:{self.port};transport={self.transport}"

    async def __aenter__(self) -> "Ua":
        """Open the socket."""
        await self._socket.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        for task in list(self._tasks):
            task.cancel()
        await self._socket.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        headers: list[tuple[str, str]] | None = None,
        body: str = "",
        dialog: Dialog | None = None,
    ) -> Transaction:
        """Send a request and return its transaction at once; it is retransmitted over UDP until answered."""
        request = self._request(method, uri, to or f"<{uri}>", headers or [], body, dialog)
        return self._send_transaction(request)

    async def request(
        self,
        method: str,
        uri: str,
        *,
        timeout_s: float = WAIT_S,
        headers: list[tuple[str, str]] | None = None,
    ) -> Message:
        """Send a request, answer one digest challenge, return the final response."""
        transaction = self.start(method, uri, headers=headers)
        return (await self._authenticated(transaction, timeout_s)).responses[-1][1]

    async def register(self, expires_s: int = 600, timeout_s: float = WAIT_S, aor_user: str = "") -> Message:
        """Register this contact; 0 removes it."""
        aor = f"sip:{aor_user or self.user}@{self.domain}"
        headers = [("Contact", f"<{self.contact}>"), ("Expires", str(expires_s))]
        transaction = self.start("REGISTER", f"sip:{self.domain}", to=f"<{aor}>", headers=headers)
        return (await self._authenticated(transaction, timeout_s)).responses[-1][1]

    async def invite(
        self,
        uri: str,
        *,
        body: str | None = None,
        headers: list[tuple[str, str]] | None = None,
        challenge_s: float = 5.0,
    ) -> Transaction:
        """Begin a call; a digest challenge is answered, then the transaction is returned while it may still ring.

        Waits ``challenge_s`` at most for the first response above 100.
        """
        offer = sipmsg.sdp(self.address, 4000) if body is None else body
        kind = [("Content-Type", "application/sdp")] if offer else []
        transaction = self.start("INVITE", uri, headers=[*kind, *(headers or [])], body=offer)
        with contextlib.suppress(TimeoutError):
            await transaction.wait(101, challenge_s)
        if transaction.final is not None and transaction.final.code in (401, 407) and self.password:
            began = transaction.sent_at
            transaction = self._answer_challenge(transaction)
            transaction.sent_at = began
        return transaction

    def cancel(self, transaction: Transaction) -> None:
        """CANCEL an INVITE of ours."""
        request = transaction.request
        headers = [("Via", request.get("via"))]
        headers += [(n, request.get(n)) for n in ("Max-Forwards", "From", "To", "Call-ID")]
        headers += [("Route", route) for route in request.all("route")]
        headers.append(("CSeq", f"{request.get('cseq').split()[0]} CANCEL"))
        self.send(Message(f"CANCEL {request.uri} SIP/2.0", headers).encode(), self._next_hop(request))

    def dialog(self, transaction: Transaction) -> Dialog:
        """The dialog that the 2xx to our INVITE made (already acknowledged)."""
        answer = transaction.final
        if answer is None or answer.code >= 300:
            raise ValueError("no 2xx, no dialog")
        return Dialog(
            answer.get("call-id"),
            answer.get("from"),
            answer.get("to"),
            sipmsg.uri_of(answer.get("contact")),
            list(reversed(answer.all("record-route"))),
            int(answer.get("cseq").split()[0]),
        )

    async def bye(self, dialog: Dialog, timeout_s: float = WAIT_S) -> Message:
        """End a call."""
        return await self.start("BYE", dialog.target, dialog=dialog).wait(200, timeout_s)

    def send(self, data: bytes, to: Peer) -> None:
        """Send bytes as they are, however wrong they may be."""
        self._socket.send(data, to)

    def _request(
        self, method: str, uri: str, to: str, headers: list[tuple[str, str]], body: str, dialog: Dialog | None
    ) -> Message:
        via = f"SIP/2.0/{self.transport.upper()} {self.address}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}"
        if dialog is None:
            fixed = [
                ("From", f"<sip:{self.user}@{self.domain}>;tag={secrets.token_hex(4)}"),
                ("To", to),
                ("Call-ID", f"{secrets.token_hex(10)}@{self.address}"),
                ("CSeq", f"{next(self._numbers)} {method}"),
            ]
        else:
            dialog.sequence += method != "ACK"
            fixed = [
                ("From", dialog.local),
                ("To", dialog.remote),
                ("Call-ID", dialog.call_id),
                ("CSeq", f"{dialog.sequence} {method}"),
                *(("Route", route) for route in dialog.routes),
            ]
        given = {name.lower() for name, _ in headers}
        fixed = [(name, value) for name, value in fixed if name.lower() not in given]
        own = (
            [("Contact", f"<{self.contact}>")]
            if "contact" not in given and method in ("INVITE", "SUBSCRIBE")
            else []
        )
        return Message(
            f"{method} {uri} SIP/2.0", [("Via", via), ("Max-Forwards", "70"), *fixed, *own, *headers], body
        )

    def _send_transaction(self, request: Message) -> Transaction:
        transaction = Transaction(request, time.monotonic())
        self._transactions[_branch(request), request.method] = transaction
        hop = self._next_hop(request)
        self.send(request.encode(), hop)
        if self.transport == "udp":
            self._task(self._retransmit(transaction, hop))
        return transaction

    async def _retransmit(self, transaction: Transaction, hop: tuple[str, int]) -> None:
        pause_s, end = T1_S, time.monotonic() + FINAL_TIMEOUT_S
        while time.monotonic() < end:
            await asyncio.sleep(pause_s)
            invite_goes_on = transaction.request.method == "INVITE" and transaction.responses
            if transaction.final is not None or invite_goes_on:
                return
            self.send(transaction.request.encode(), hop)
            pause_s = pause_s * 2 if transaction.request.method == "INVITE" else min(pause_s * 2, T2_S)

    async def _authenticated(self, transaction: Transaction, timeout_s: float) -> Transaction:
        final = await transaction.wait(200, timeout_s)
        if final.code in (401, 407) and self.password:
            transaction = self._answer_challenge(transaction)
            await transaction.wait(200, timeout_s)
        return transaction

    def _answer_challenge(self, transaction: Transaction) -> Transaction:
        final, old = transaction.final, transaction.request
        assert final is not None
        asked, header = ("www-authenticate", "Authorization")
        if final.code == 407:
            asked, header = ("proxy-authenticate", "Proxy-Authorization")
        parameters = sipmsg.challenge(final.get(asked))
        answer = sipmsg.authorization(
            parameters, old.method, old.uri, self.user, self.password, secrets.token_hex(4)
        )
        number = int(old.get("cseq").split()[0]) + 1
        changed = {"cseq": f"{number} {old.method}", "via": _new_branch(old.get("via"))}
        # What lies below the first Via was written by those before us.
        headers = [(name, changed.pop(name.lower(), value)) for name, value in old.headers]
        return self._send_transaction(Message(old.first, [*headers, (header, answer)], old.body))

    def _next_hop(self, request: Message) -> tuple[str, int]:
        routes = request.all("route")
        if not routes and self.server is not None:
            return self.server
        uri = sipmsg.uri_of(routes[0]) if routes else request.uri
        found = re.match(r"sips?:(?:[^@]*@)?([^:;>]+)(?::(\d+))?", uri)
        if found is None:
            raise ValueError(f"no host in {uri!r}")
        return found.group(1), int(found.group(2) or 5060)

    def take(self, data: bytes, source: Peer) -> None:
        """A message that arrived."""
        if not data.strip():
            return
        try:
            message = sipmsg.parse(data)
        except ValueError:
            return
        self.received.append((time.monotonic(), message))
        if message.is_request:
            self._request_came(message, source)
        else:
            self._response_came(message)

    def _response_came(self, message: Message) -> None:
        transaction = self._transactions.get((_branch(message), message.method))
        if transaction is None:
            return
        transaction.responses.append((time.monotonic(), message))
        transaction.changed.set()
        if message.method == "INVITE" and message.code >= 200:
            self._acknowledge(transaction.request, message)

    def _acknowledge(self, request: Message, answer: Message) -> None:
        number = request.get("cseq").split()[0]
        if answer.code < 300:
            routes = list(reversed(answer.all("record-route")))
            uri, via = sipmsg.uri_of(answer.get("contact")) or request.uri, _new_branch(request.get("via"))
        else:
            routes, uri, via = request.all("route"), request.uri, request.get("via")
        headers = [("Via", via), ("Max-Forwards", "70"), *(("Route", route) for route in routes)]
        headers += [
            ("From", request.get("from")),
            ("To", answer.get("to")),
            ("Call-ID", request.get("call-id")),
        ]
        ack = Message(f"ACK {uri} SIP/2.0", [*headers, ("CSeq", f"{number} ACK")])
        self.send(ack.encode(), self._next_hop(ack))

    def _request_came(self, message: Message, source: Peer) -> None:
        if message.method == "ACK":
            for known in self._incoming.values():
                if known.request.get("call-id") == message.get("call-id"):
                    known.acknowledged.set()
            return
        branch = _branch(message)
        known_one = self._incoming.get(branch)
        if message.method == "CANCEL":
            Incoming(self, message, time.monotonic(), source).reply(200, "OK" if known_one else "Unknown")
            if known_one is not None and not known_one.acknowledged.is_set():
                known_one.cancelled.set()
                known_one.reply(487, "Request Terminated")
            return
        if known_one is not None:
            if known_one.last:
                self.send(known_one.last, source)
            return
        incoming = Incoming(self, message, time.monotonic(), source)
        self._incoming[branch] = incoming
        self._on_request(incoming)

    async def answer_until_acknowledged(self, incoming: Incoming, body: str) -> None:
        """200 with ``body``, repeated over UDP until the ACK comes. Raises ``TimeoutError`` when it does not."""
        incoming.reply(200, "OK", body=body)
        pause_s = T1_S
        async with asyncio.timeout(FINAL_TIMEOUT_S):
            while not incoming.acknowledged.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await incoming.acknowledged.wait()
                    return
                pause_s = min(2 * pause_s, T2_S)
                self.send(incoming.last, incoming.answer_to)

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(incoming: Incoming) -> None:
    if incoming.request.method == "INVITE":
        incoming.reply(486, "Busy Here")
    else:
        incoming.reply(200, "OK")


def _branch(message: Message) -> str:
    found = re.search(r"branch=([^;,\s]+)", message.get("via"))
    return found.group(1) if found else ""


def _new_branch(via: str) -> str:
    return re.sub(r"branch=[^;,\s]+", f"branch=z9hG4bK{secrets.token_hex(8)}", via)
