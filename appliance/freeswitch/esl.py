"""A lasting connection to FreeSWITCH's event socket: greenswitch, with what it lacks. Adapter: gevent's sockets.

greenswitch 0.0.19 waits without a limit, loses what is pending when a connection ends, decodes before it splits, and cannot
connect twice (each shown in tests/component/test_event_socket.py). This subclass keeps its place in the world (handlers by
event name, authentication) and replaces what moves bytes:

- every wait has a time limit; a command that is not answered in time ends the connection, because answers are told apart by
  their order alone;
- the end of a connection, however it comes, fails all pending commands at once and is told to whoever reads events, after
  the events that had arrived;
- events wait in a bounded queue: when it is full their reader gets a turn, and when it does not use it, new ones are dropped and
  counted; the reader knows by `lost` that it has to look at the state anew (FreeSWITCH would drop the listener instead);
- one object is one connection: `keeper` makes a fresh one each time.
"""

import time
from collections import deque
from typing import Protocol

import gevent
from gevent import socket
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from gevent.queue import Empty, Full, Queue
from greenswitch import InboundESL

from appliance.freeswitch import events as wire
from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.events import BadBlock, Block, Event
from appliance.freeswitch.quoting import command

CONNECT_S = 3.0
"""TCP, banner and password together: FreeSWITCH is on this machine."""

REPLY_S = 5.0
"""One command. Slow ones go by `bgapi`, which is answered at once."""

QUEUE_MAX = 10_000
"""Events that wait for their reader: ten seconds of a thousand a second, some 30 MB."""

HEADER_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 16 * 1024 * 1024
"""`show channels as json` of 400 legs has half a megabyte."""

READ_BYTES = 64 * 1024

HEARTBEAT_S = 20.0
"""FreeSWITCH's own heartbeat (`event-heartbeat-interval`)."""

SILENCE_MAX_S = 25.0
"""Without a byte for so long the connection is taken for dead: one heartbeat and some patience."""


class Clock(Protocol):
    """Monotonic seconds."""

    def __call__(self) -> float: ...


class EventSocket(InboundESL):  # type: ignore[misc]
    """One connection. `connect` it, `send` and read events until it ends; then it is used up."""

    connected: bool

    def __init__(
        self,
        host: str,
        port: int,
        password: str,
        *,
        connect_s: float = CONNECT_S,
        reply_s: float = REPLY_S,
        queue_max: int = QUEUE_MAX,
        clock: Clock = time.monotonic,
    ) -> None:
        """Nothing is opened yet."""
        super().__init__(host, port, password, timeout=connect_s)
        self._reply_s = reply_s
        self._clock = clock
        self._lock = BoundedSemaphore(1)
        self._pending: deque[AsyncResult] = deque()
        self._events: Queue = Queue(maxsize=queue_max)
        self._banner = AsyncResult()
        self._ended = False
        self.why = ""
        self.lost = 0
        self.heard_s = clock()

    # the connection

    def connect(self) -> None:
        """Connect and authenticate. Raises `FreeSwitchSilent` after `connect_s` at most; the object is then used up."""
        if self._ended or self.connected:
            raise FreeSwitchSilent("this connection is used up")
        try:
            with gevent.Timeout(self.timeout, FreeSwitchSilent(f"nothing within {self.timeout:g} s")):
                self.sock = socket.create_connection((self.host, self.port))
                self.connected = True
                self._receive_events_greenlet = gevent.spawn(self.receive_events)
                self._banner.get()
                answer = self._said(f"auth {self.password}", self.timeout)
                if not answer.startswith("+OK"):
                    raise FreeSwitchSilent("it refuses the box's password")
        except OSError as error:
            self._end(str(error))
            raise FreeSwitchSilent(str(error)) from error
        except FreeSwitchSilent as silent:
            self._end(str(silent.values.get("detail", "")))
            raise

    def stop(self) -> None:
        """End the connection, at once and without asking FreeSWITCH. Events that have arrived can still be read."""
        self._end("stopped here")
        greenlet = self._receive_events_greenlet
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(timeout=1)

    @property
    def waiting(self) -> int:
        """Events that wait for their reader."""
        return int(self._events.qsize())

    def silent_for_s(self) -> float:
        """Seconds since anything arrived."""
        return self._clock() - self.heard_s

    # commands

    def send(self, data: str, within_s: float | None = None) -> str:
        """Send a command and return what it is answered: the reply's text, or an API command's output.

        Raises `FreeSwitchSilent` when the connection is gone, ends meanwhile, or does not answer in time (and is then
        ended), ValueError for a command of several lines.
        """
        if "\n" in data or "\r" in data:
            raise ValueError(f"{data[:40]!r}: a command is one line")
        return self._said(data, within_s or self._reply_s)

    def api(self, name: str, *arguments: str) -> str:
        """An API command's output; see `quoting.command`."""
        return self.send(f"api {command(name, *arguments)}")

    def background(self, name: str, *arguments: str) -> str:
        """Start an API command that may take long; returns the Job-UUID that the event BACKGROUND_JOB will name."""
        return self.send(f"bgapi {command(name, *arguments)}").rpartition("Job-UUID: ")[2].strip()

    def _said(self, line: str, within_s: float) -> str:
        answer: AsyncResult = AsyncResult()
        try:
            with gevent.Timeout(within_s, FreeSwitchSilent(f"no answer within {within_s:g} s")):
                with self._lock:
                    if not self.connected:
                        raise FreeSwitchSilent(self.why or "not connected")
                    self._pending.append(answer)
                    self.sock.sendall(f"{line}\n\n".encode())
                return str(answer.get())
        except FreeSwitchSilent as silent:
            self._end(str(silent.values.get("detail", "")))
            raise
        except OSError as error:
            self._end(str(error))
            raise FreeSwitchSilent(str(error)) from error

    # events

    def next_event(self, within_s: float) -> Event | None:
        """The next event; None when there is none in time, or the connection has ended and all were read (`connected` tells
        which)."""
        try:
            found: Event | None = (
                self._events.get(timeout=within_s) if within_s else self._events.get_nowait()
            )
        except Empty:
            return None
        return found

    def receive_events(self) -> None:
        """Read until the connection ends. Runs in a greenlet of its own."""
        try:
            buffer = bytearray()
            while self.connected:
                head = self._until_blank(buffer)
                headers = wire.headers_of(head)
                body = self._exactly(buffer, wire.length_of(headers, BODY_BYTES_MAX))
                self._take(Block(headers, body))
        except (OSError, BadBlock, EOFError) as error:
            self._end(str(error) or type(error).__name__)
        except Exception as error:
            self._end(f"{type(error).__name__}: {error}")

    def _until_blank(self, buffer: bytearray) -> bytes:
        while (end := buffer.find(b"\n\n")) < 0:
            if len(buffer) > HEADER_BYTES_MAX:
                raise BadBlock(f"more than {HEADER_BYTES_MAX} bytes of headers")
            self._more(buffer)
        head = bytes(buffer[:end])
        del buffer[: end + 2]
        return head

    def _exactly(self, buffer: bytearray, count: int) -> bytes:
        while len(buffer) < count:
            self._more(buffer)
        body = bytes(buffer[:count])
        del buffer[:count]
        return body

    def _more(self, buffer: bytearray) -> None:
        data = self.sock.recv(READ_BYTES)
        if not data:
            raise EOFError("FreeSWITCH closed the connection")
        self.heard_s = self._clock()
        buffer += data

    def _take(self, block: Block) -> None:
        if block.kind == wire.AUTH_REQUEST:
            self._banner.set(True)
        elif block.kind in (wire.REPLY, wire.API_RESPONSE):
            if not self._pending:
                raise BadBlock("an answer that nobody asked for")
            text = block.text if block.kind == wire.API_RESPONSE else block.headers.get("reply-text", "")
            self._pending.popleft().set(text)
        elif block.kind in (wire.DISCONNECT, wire.REJECTION):
            raise EOFError("FreeSWITCH ended the connection")
        elif block.kind == wire.EVENT_PLAIN:
            try:
                event = wire.event_of(block)
            except BadBlock:
                self.lost += 1
                return
            if (
                self._events.full()
            ):  # what is here already is read without a switch: their reader may only have had no turn
                gevent.sleep(0)
            try:
                self._events.put_nowait(event)
            except Full:
                self.lost += 1

    def _end(self, why: str) -> None:
        """Close, once: pending commands fail now, and nobody waits for an answer that cannot come."""
        if self._ended:
            return
        self._ended, self.why = True, why
        self._run = self.connected = False
        sock = getattr(self, "sock", None)
        if sock is not None:
            sock.close()
        gone = FreeSwitchSilent(why)
        if not self._banner.ready():
            self._banner.set_exception(gone)
        while self._pending:
            self._pending.popleft().set_exception(gone)
