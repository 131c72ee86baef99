"""The controller's socket and desk without a FreeSWITCH: what is asked of it, what it says, what it refuses, and once."""

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

gevent = pytest.importorskip("gevent")

from gevent.threadpool import ThreadPool  # noqa: E402

from agent import watch  # noqa: E402
from appliance.errors import KyusaiError  # noqa: E402
from appliance.freeswitch.control_http import BODY_MAX_BYTES, ControlHttp  # noqa: E402
from appliance.freeswitch.controller import Controller  # noqa: E402
from appliance.freeswitch.desk import HOLD_LEAST_S, Desk  # noqa: E402
from appliance.freeswitch.events import Event  # noqa: E402
from appliance.freeswitch.legs import Leg  # noqa: E402
from appliance.freeswitch.media_journal import MediaJournal  # noqa: E402
from appliance.freeswitch.orders import Recording  # noqa: E402
from appliance.kamailio.journal import SystemClock  # noqa: E402

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
JOB = "cccccccc-0000-4000-8000-000000000003"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Line:
    """FreeSWITCH's end: remembers commands, answers as it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.answer = "+OK"
        self.waiting = 0

    def send(self, line: str) -> str:
        self.said.append(line)
        return f"+OK Job-UUID: {JOB}" if line.startswith("bgapi") else self.answer


class Keeper:
    """A living connection, or none."""

    def __init__(self) -> None:
        self.socket: Any = Line()
        self.lost = self.connections = self.comparisons = self.faults = 0


class Recorder:
    def __init__(self) -> None:
        self.orders: list[tuple[str, str]] = []

    def order(self, call_id: str, what: Recording, by: str) -> bool:
        self.orders.append((call_id, what.value))
        return len(self.orders) <= 2


class Ground:
    """A desk behind its socket."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.controller = Controller(MediaJournal(folder / "media.sqlite", clock), clock)
        self.keeper, self.recorder = Keeper(), Recorder()
        self.controller.book.legs = {
            A: Leg(A, "call-a", True, "700", "201", True, peer=B),
            B: Leg(B, "call-b", False, "202", "201", True, peer=A),
        }
        self.desk = Desk(
            self.controller,
            self.keeper,
            "127.0.0.1:5092",
            {"203", "204"}.__contains__,
            self.recorder,  # type: ignore[arg-type]
        )
        self.path = folder / "control.sock"
        self.server = ControlHttp(self.desk).serve(self.path)
        self.pool = ThreadPool(8)

    def order(self, **fields: str) -> dict[str, Any]:
        return dict(self.pool.apply(watch.control_order, (self.path, {"by": "test", **fields})))

    def said(self) -> list[str]:
        return list(self.keeper.socket.said)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.server.stop(timeout=0)


def key_of(ground: Ground, **fields: str) -> str:
    with pytest.raises(KyusaiError) as refused:
        ground.order(**fields)
    return refused.value.key


def test_orders_become_one_command_each(ground: Ground) -> None:
    assert ground.order(do="hold", call="202") == {"done": True, "leg": B}
    assert ground.order(do="transfer", call="202", number="203") == {"done": True, "leg": A}
    assert ground.order(do="transfer", call="202", number="203", keep="202")["leg"] == B
    assert ground.order(do="hangup", call=A[:8])["leg"] == A
    assert ground.said() == [
        f"api uuid_hold {B}",
        f"api uuid_transfer {A} call-203 XML control",
        f"api uuid_transfer {B} call-203 XML control",
        f"api uuid_kill {A} NORMAL_CLEARING",
    ]


def test_what_is_so_already_is_not_done_again(ground: Ground) -> None:
    ground.controller.book.legs[A] = Leg(A, "call-a", True, "700", "201", True, held=True, peer=B)
    assert ground.order(do="hold", call=A)["already"]
    assert ground.order(do="hangup", call="dddddddd-0000-4000-8000-000000000004")["already"]
    assert ground.said() == []
    ground.keeper.socket.answer = "-ERR No such channel!"
    assert ground.order(do="hangup", call=A)["already"], "it has ended meanwhile"


def test_orders_on_a_hold_are_done_one_after_the_other(ground: Ground) -> None:
    """Without FreeSWITCH's events: a resume that waits for the music is not overtaken, and the hold behind it is a new one."""
    assert ground.order(do="hold", call="202") == {"done": True, "leg": B}
    assert ground.order(do="hold", call="202")["already"]
    begun_s = time.monotonic()
    resume, hold = (
        {"by": "test", "do": "resume", "call": "202"},
        {"by": "test", "do": "hold", "call": "202"},
    )
    first = ground.pool.spawn(watch.control_order, ground.path, resume)
    while not ground.desk._turns[B].lock.locked():
        gevent.sleep(0.01)
    assert ground.order(**hold) == {"done": True, "leg": B}, "not the hold that is about to end"
    assert first.get() == {"done": True, "leg": B}
    assert time.monotonic() - begun_s >= HOLD_LEAST_S - 0.5
    assert ground.said() == [f"api uuid_hold {B}", f"api uuid_hold off {B}", f"api uuid_hold {B}"]
    assert ground.controller.book.legs[B].held


def test_a_recording_is_switched_for_every_leg_of_the_call(ground: Ground) -> None:
    assert ground.order(do="record", call="201", recording="pause") == {"done": True, "already": False}
    assert sorted(ground.recorder.orders) == [("call-a", "pause"), ("call-b", "pause")]
    assert ground.order(do="record", call="201", recording="pause")["already"]


def test_errors_have_their_keys_and_nothing_is_done(ground: Ground) -> None:
    assert key_of(ground, do="hold", call="999") == "control.no_call"
    assert key_of(ground, do="listen", call="201", number="0312345678") == "control.no_extension"
    assert key_of(ground, do="listen", call="201", number="203", keep="777") == "control.no_side"
    assert key_of(ground, do="fly", call="201") == "control.order"
    assert key_of(ground, do="originate", number="0312345678", then="203") == "control.no_extension"
    assert ground.said() == []
    ground.keeper.socket.answer = "-ERR no"
    assert key_of(ground, do="hold", call="201") == "control.failed"
    ground.keeper.socket = None
    assert key_of(ground, do="hold", call="201") == "freeswitch.silent"
    assert (ground.desk.done, ground.desk.refused) == (0, 6), "what is no order does not get so far"


def test_two_orders_with_one_key_at_once_ring_once(ground: Ground) -> None:
    fields = {"by": "test", "do": "originate", "number": "203", "then": "204", "key": "k"}
    first = ground.pool.spawn(watch.control_order, ground.path, fields)
    while not ground.said():
        gevent.sleep(0.01)
    assert ground.order(**fields)["already"]
    ground.controller.event(Event("BACKGROUND_JOB", {"Job-UUID": JOB}, f"+OK {A}\n"))
    assert first.get() == {"done": True, "leg": A}
    assert ground.order(**fields) == {"done": True, "leg": A, "already": True}
    assert len(ground.said()) == 1


def test_a_telephone_that_does_not_answer_is_told_and_its_key_is_free_again(ground: Ground) -> None:
    fields = {"by": "test", "do": "originate", "number": "203", "then": "204", "key": "k"}
    first = ground.pool.spawn(watch.control_order, ground.path, fields)
    while not ground.said():
        gevent.sleep(0.01)
    ground.controller.event(Event("BACKGROUND_JOB", {"Job-UUID": JOB}, "-ERR NO_ANSWER\n"))
    with pytest.raises(KyusaiError, match="NO_ANSWER"):
        first.get()
    again = ground.pool.spawn(watch.control_order, ground.path, fields)
    while len(ground.said()) < 2:
        gevent.sleep(0.01)
    ground.controller.gone("killed")
    with pytest.raises(KyusaiError, match="connection"):
        again.get()


def raw(path: Path, method: str, what: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(path))
    connection.request(method, what, body)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("method", "what", "body", "status"),
    [
        ("POST", "/v1/orders", b"no json", 400),
        ("POST", "/v1/orders", b"\xff\xfe", 400),
        ("POST", "/v1/orders", b"[]", 400),
        ("POST", "/v1/orders", json.dumps({"do": "x" * BODY_MAX_BYTES}).encode(), 400),
        ("GET", "/v1/orders", b"", 404),
        ("GET", "/etc/passwd", b"", 404),
    ],
)
def test_a_request_that_is_none_is_refused(
    ground: Ground, method: str, what: str, body: bytes, status: int
) -> None:
    assert ground.pool.apply(raw, (ground.path, method, what, body)) == status
    assert ground.said() == []


def test_somebody_else_is_refused_whatever_he_asks(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid()
    for asks, answer in ((uid, "200 OK"), (0, "200 OK"), (uid + 7, "403 Forbidden")):
        environ = {"kyusai.uid": asks, "REQUEST_METHOD": "GET", "PATH_INFO": "/v1/calls"}
        assert ControlHttp(ground.desk)._answer(environ)[0] == answer


def test_the_socket_is_not_open_to_everybody(ground: Ground) -> None:
    assert ground.path.stat().st_mode & 0o007 == 0


def test_a_controller_that_is_away_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(KyusaiError) as silent:
        watch.control_calls(tmp_path / "none.sock")
    assert (silent.value.key, "kyusai-control" in silent.value.hint) == ("control.silent", True)
