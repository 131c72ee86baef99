"""HTTP/1.1 over TLS for thousands of simulated boxes in one process, as cheap as Python does it: one epoll, OpenSSL on the
sockets themselves, no task and no stream for a connection.

A connection asks one thing at a time and is opened anew when the other side has closed it. What comes back is a status
and a body; whatever goes wrong is a word for the counts. Nothing here knows what is asked.
"""

import heapq
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from itertools import count

READ_BYTES = 32 * 1024
CONNECT_LIMIT_S = 30.0
"""A handshake that takes longer counts as failed."""
IP_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h: the port is chosen when the target is known, so that every source address has all ports for each target."""

Answered = Callable[[int, bytes], None]
Failed = Callable[[str], None]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Loop:
    """Descriptors and timers of one process."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.late_s = 0.0
        """The latest that a timer was served since `late_s` was last set to 0."""

    def at(self, due_s: float, call: Callable[[], None]) -> None:
        """Call at that moment of the monotonic clock."""
        heapq.heappush(self._timers, (due_s, next(self._numbers), call))

    def add(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Watch a descriptor."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Watch it for something else."""
        self._epoll.modify(descriptor, events)

    def drop(self, descriptor: int) -> None:
        """Watch it no longer."""
        self._handlers.pop(descriptor, None)
        self._epoll.unregister(descriptor)

    def step(self) -> None:
        """Wait for whatever comes first, and serve it."""
        wait_s = self._timers[0][0] - time.monotonic() if self._timers else 1.0
        for descriptor, events in self._epoll.poll(max(0.0, wait_s), 512):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(events)
        now_s = time.monotonic()
        while self._timers and self._timers[0][0] <= now_s:
            due_s, _, call = heapq.heappop(self._timers)
            self.late_s = max(self.late_s, now_s - due_s)
            call()


class Connection:
    """One connection to `target`, from an address of the box's own."""

    __slots__ = (
        "_answered",
        "_buffer",
        "_context",
        "_failed",
        "_loop",
        "_out",
        "_ready",
        "_socket",
        "_source",
        "_target",
        "_tls",
    )

    def __init__(self, loop: Loop, context: ssl.SSLContext, target: tuple[str, int], source: str) -> None:
        self._loop, self._context, self._target, self._source = loop, context, target, source
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLSocket | None = None
        self._ready = False
        self._buffer = b""
        self._out = b""
        self._answered: Answered | None = None
        self._failed: Failed | None = None

    @property
    def busy(self) -> bool:
        """Whether something was asked and is not answered."""
        return self._answered is not None

    @property
    def held(self) -> bool:
        """Whether a request is with the other side."""
        return self._answered is not None and self._ready and not self._out

    def ask(self, request: bytes, answered: Answered, failed: Failed) -> None:
        """Send a request; one of the two is called, never from within this call unless the address is refused at once."""
        self._out, self._answered, self._failed = request, answered, failed
        if self._ready:
            self._write()
        elif self._socket is None:
            self._connect()

    def close(self) -> None:
        """Close without a word to whoever asked."""
        self._answered = self._failed = None
        self._shut()

    def _connect(self) -> None:
        plain = socket.socket()
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        plain.bind((self._source, 0))
        self._socket = plain
        plain.connect_ex(self._target)
        self._loop.add(plain.fileno(), select.EPOLLOUT, self._handle)

    def _handle(self, events: int) -> None:
        try:
            if self._tls is None:
                self._wrap()
            if not self._ready:
                self._shake_hands()
            elif events & select.EPOLLOUT and self._out:
                self._write()
            else:
                self._read()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._lost(_word(error))

    def _wrap(self) -> None:
        assert self._socket is not None
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, "connect")
        self._tls = self._context.wrap_socket(
            self._socket, server_hostname=self._target[0], do_handshake_on_connect=False
        )
        self._loop.change(self._tls.fileno(), select.EPOLLIN)

    def _shake_hands(self) -> None:
        assert self._tls is not None
        self._tls.do_handshake()
        self._ready = True
        if self._out:
            self._write()

    def _write(self) -> None:
        assert self._tls is not None
        try:
            while self._out:
                self._out = self._out[self._tls.send(self._out) :]
        except ssl.SSLWantWriteError:
            self._loop.change(self._tls.fileno(), select.EPOLLIN | select.EPOLLOUT)
        except OSError as error:
            self._lost(_word(error))

    def _read(self) -> None:
        assert self._tls is not None
        while True:
            piece = self._tls.recv(READ_BYTES)
            if not piece:
                self._lost("closed")
                return
            self._buffer += piece
            if self._complete():
                return

    def _complete(self) -> bool:
        """Whether an answer is whole; if so it is handed over."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._buffer[:end]
        length = _LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < whole:
            return False
        status, body = int(head[9:12]), self._buffer[end + 4 : whole]
        self._buffer = b""
        answered, self._answered, self._failed = self._answered, None, None
        if _CLOSE.search(head):
            self._shut()
        if answered is not None:
            answered(status, body)
        return True

    def _lost(self, word: str) -> None:
        failed, self._answered, self._failed = self._failed, None, None
        self._shut()
        if failed is not None:
            failed(word)

    def _shut(self) -> None:
        held = self._tls or self._socket
        if held is not None:
            self._loop.drop(held.fileno())
            held.close()
        self._socket = self._tls = None
        self._ready = False
        self._buffer = self._out = b""


def _word(error: OSError) -> str:
    return (
        type(error).__name__ if error.errno is None or isinstance(error, ssl.SSLError) else str(error.errno)
    )
