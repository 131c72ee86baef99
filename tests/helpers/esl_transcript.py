"""What a real FreeSWITCH said on its event socket, read from tests/data/freeswitch, and said again by a stand-in for it.

Transcripts are recorded by `python -m tests.lab.esl_record`. The stand-in answers a command as FreeSWITCH did, refuses one
that was not recorded, and tells the recorded events, in their order, once it was asked for events.
"""

import contextlib
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.freeswitch import events as wire
from appliance.freeswitch.events import Block, Event

DATA = Path(__file__).resolve().parents[1] / "data" / "freeswitch"
SCENES = tuple(sorted(path.stem for path in DATA.glob("*.jsonl")))
BODY_BYTES_MAX = 1 << 22
LAST_ORDERS_S = 0.3
"""A connection that FreeSWITCH ended ends when nothing was asked for so long."""

NOT_RECORDED = "-ERR not in the transcript"


@dataclass
class Session:
    """One connection as it was recorded. said: who ("box" or "switch") and what, in order; ended: by FreeSWITCH."""

    said: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False

    @property
    def blocks(self) -> list[Block]:
        """All that FreeSWITCH said."""
        return [block_of(what) for who, what in self.said if who == "switch"]

    @property
    def events(self) -> list[Event]:
        """The events among it."""
        return [wire.event_of(block) for block in self.blocks if block.kind == wire.EVENT_PLAIN]

    @property
    def password(self) -> str:
        """What the box was let in with."""
        line = next(what for who, what in self.said if who == "box")
        return line.removeprefix("auth ")

    def answers(self) -> dict[str, list[str]]:
        """Command -> the blocks that answered it, in order."""
        found: dict[str, list[str]] = defaultdict(list)
        asked = ""
        for who, what in self.said:
            if who == "box":
                asked = key_of(what)
            elif asked and block_of(what).kind in (wire.REPLY, wire.API_RESPONSE):
                found[asked].append(what)
                asked = ""
        return found


def sessions(scene: str) -> list[Session]:
    """A scene's connections, one after the other."""
    lines = (DATA / f"{scene}.jsonl").read_text("utf-8").splitlines()
    return split([next(iter(json.loads(line).items())) for line in lines])


def split(said: Iterable[tuple[str, str]]) -> list[Session]:
    """What was said, by connection."""
    found = [Session()]
    for who, what in said:
        if who == "end":
            found[-1].ended = bool(what)
            found.append(Session())
        else:
            found[-1].said.append((who, what))
    return [one for one in found if one.said]


def block_of(text: str) -> Block:
    """A recorded block, read as the box reads it."""
    head, _, body = text.encode().partition(b"\n\n")
    headers = wire.headers_of(head)
    assert len(body) == wire.length_of(headers, BODY_BYTES_MAX)
    return Block(headers, body)


def key_of(command: str) -> str:
    """What makes two commands the same: an API command as a whole, of others the first word."""
    return command if command.startswith(("api ", "bgapi ")) else command.split(" ", 1)[0]


@contextlib.contextmanager
def said_again(scene: str) -> Iterator[int]:
    """A stand-in that plays the scene's connections, one for each that comes in; yields its port at 127.0.0.1."""
    waiting = sessions(scene)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set() and waiting:
            with contextlib.suppress(TimeoutError, OSError):
                one, _ = listening.accept()
                one.settimeout(0.1)
                with one, contextlib.suppress(OSError):
                    _play(one, waiting.pop(0), over)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        over.set()
        thread.join(6)
        listening.close()


def _play(one: socket.socket, session: Session, over: threading.Event) -> None:
    answers, told = session.answers(), False
    spoken = [(block_of(what).kind, what) for who, what in session.said if who == "switch"]
    tale = "".join(what for kind, what in spoken if kind == wire.EVENT_PLAIN)
    last_words = "".join(what for kind, what in spoken if kind == wire.DISCONNECT)
    one.sendall(spoken[0][1].encode())
    if session.ended:
        one.settimeout(LAST_ORDERS_S)
    buffer = b""
    while not over.is_set():
        while b"\n\n" not in buffer:
            try:
                more = one.recv(4096)
            except TimeoutError:
                if session.ended:
                    one.sendall(last_words.encode())
                    return
                continue
            if not more:
                return
            buffer += more
        line, _, buffer = buffer.partition(b"\n\n")
        key = key_of(line.decode())
        recorded = answers.get(key, [])
        if recorded:
            one.sendall((recorded.pop(0) if len(recorded) > 1 else recorded[0]).encode())
        elif key.startswith("api "):
            head = f"Content-Type: api/response\nContent-Length: {len(NOT_RECORDED)}\n\n"
            one.sendall((head + NOT_RECORDED).encode())
        else:
            one.sendall(f"Content-Type: command/reply\nReply-Text: {NOT_RECORDED}\n\n".encode())
        if key == "event" and not told:
            told = True
            one.sendall(tale.encode())
