"""The controller's journal and its reader: whoever is killed, whenever, each stay is told once, in one call record."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gevent")

from agent.call_records import PLACE_WAIT_MS, CallRecords
from agent.journal_events import Moment
from agent.spool import Spool
from agent.spool_files import open_spool
from appliance.freeswitch.controller import Controller
from appliance.freeswitch.events import Event
from appliance.freeswitch.legs import Leg, Stay
from appliance.freeswitch.media_journal import MediaJournal
from appliance.kamailio import journal_mark
from appliance.kamailio.journal import SCHEMA, boot_id, connect
from cloudsync.wire import cdr_with_empty

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
WALL_MS = 1_790_000_000_000


class Clock:
    """One millisecond passes with each look."""

    def __init__(self, now_ms: int = 1_000) -> None:
        self.now_ms = now_ms

    def mono_ms(self) -> int:
        self.now_ms += 1
        return self.now_ms

    def wall_ms(self) -> int:
        return WALL_MS + self.now_ms


def controller(path: Path) -> Controller:
    return Controller(MediaJournal(path, Clock()), Clock())


def event(name: str, uuid: str, **headers: str) -> Event:
    return Event(
        name, {"Unique-ID": uuid, **{key.replace("__", "-"): value for key, value in headers.items()}}
    )


def enters(uuid: str, call: str, number: str) -> Event:
    told = {"Call__Direction": "inbound", "variable_sip_call_id": call, "variable_sip_req_user": number}
    return event("CHANNEL_CREATE", uuid, **told)


STEPS = [
    enters(A, "call-a", "800"),
    event("conference::maintenance", A, Action="add-member", Conference__Name="room-800"),
    enters(B, "call-b", "790"),
    event("conference::maintenance", A, Action="del-member", Conference__Name="room-800"),
    event("CHANNEL_HANGUP_COMPLETE", A),
]


def standing(after: int) -> tuple[list[Leg], list[Stay]]:
    """What FreeSWITCH's lists say after so many steps."""
    legs = [Leg(A, "call-a", True, "800")] if 1 <= after < 5 else []
    legs += [Leg(B, "call-b", True, "790")] if after >= 3 else []
    return legs, [Stay(A, "room", "800")] if 2 <= after < 4 else []


def rows(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT event, call FROM event ORDER BY seq").fetchall()


WHOLE = [
    ("stay", "call-a"),
    ("stay", "call-a"),
    ("stay", "call-b"),
    ("stay_end", "call-a"),
    ("stay_end", "call-a"),
]


@pytest.mark.parametrize("written", [True, False], ids=["facts written", "facts lost with it"])
@pytest.mark.parametrize("killed_after", range(len(STEPS) + 1))
def test_a_controller_killed_after_any_event_reports_each_stay_once(
    tmp_path: Path, killed_after: int, written: bool
) -> None:
    path = tmp_path / "media.sqlite"
    one = controller(path)
    for index, step in enumerate([*STEPS, None]):
        if index == killed_after:  # it is gone; the next one finds its file and FreeSWITCH's lists
            one = controller(path)
            one.note(one.book.compare(*standing(index)))
        if step is not None:
            one.event(step)
        if written or index != killed_after - 1:
            one.flush()
    told = rows(path)
    if written:
        assert sorted(told) == sorted(WHOLE)
    for call in ("call-a", "call-b"):
        begun, ended = told.count(("stay", call)), told.count(("stay_end", call))
        assert (begun - ended) == (1 if call == "call-b" else 0), "what is over is over, what stands stands"
    assert one.book.stays == {Stay(B, "application", "790"): "call-b"}


def test_a_disk_that_takes_nothing_for_a_while_delays_facts_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "media.sqlite"
    one = controller(path)
    monkeypatch.setattr(
        MediaJournal, "write", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("full"))
    )
    for step in STEPS:
        one.event(step)
    assert (one.flush(), one.facts_waiting) == (False, 5)
    monkeypatch.undo()
    assert (one.flush(), one.facts_waiting, rows(path)) == (True, 0, WHOLE)


def test_a_spoilt_journal_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "media.sqlite"
    path.write_bytes(b"no database" * 100)
    one = controller(path)
    one.event(STEPS[0])
    assert one.flush()
    assert rows(path) == [("stay", "call-a")]
    assert len(list(tmp_path.glob("media.sqlite.broken-*"))) == 1


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool.sqlite", Moment(boot_id(), 1, WALL_MS))
    opened.spool.rechain(1, "0" * 64)
    yield opened.spool
    opened.close()


class Kamailio:
    """Its journal, as it writes it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite"
        self.database = connect(self.path)
        self.database.execute(SCHEMA)

    def write(self, call: str, what: str, at_ms: int, data: str = "{}") -> None:
        self.database.execute(
            "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, ?, ?)",
            (f"{call}#00000001", what, at_ms, WALL_MS + at_ms, boot_id(), data),
        )


def cdrs(spool: Spool) -> list[dict[str, Any]]:
    return [cdr_with_empty(record.body) for record in spool.waiting(10**6) if record.kind == "cdr"]


def now(at_ms: int) -> Moment:
    return Moment(boot_id(), at_ms, WALL_MS + at_ms)


@pytest.mark.parametrize("killed_after", range(8))
def test_an_agent_killed_at_any_step_tells_each_stay_once(
    tmp_path: Path, spool: Spool, killed_after: int
) -> None:
    kamailio, one = Kamailio(tmp_path), controller(tmp_path / "media" / "media.sqlite")
    path = tmp_path / "media" / "media.sqlite"
    steps = [
        lambda: kamailio.write("call-a", "start", 1_000, '{"call_id": "call-a", "origin": "phone"}'),
        *(lambda step=step: (one.event(step), one.flush()) for step in STEPS),
        lambda: kamailio.write("call-a", "end", 1_500, '{"cause": "normal_clearing"}'),
    ]

    def fresh() -> CallRecords:
        return CallRecords(spool, kamailio.path, "s", "b", places=path)

    agent = fresh()
    for index, step in enumerate(steps):
        step()
        if index == killed_after:
            agent.read(now(1_600))  # read, and then killed before anything else
            agent = fresh()
        agent.read(now(1_600))
    assert agent.read(now(10_000)) == 1
    (cdr,) = cdrs(spool)
    assert [(stay["what"], stay["name"]) for stay in cdr["applications"]] == [
        ("application", "800"),
        ("room", "800"),
    ]


def test_a_stay_whose_call_is_not_in_the_journal_yet_waits_for_it_and_not_for_ever(
    tmp_path: Path, spool: Spool
) -> None:
    kamailio, path = Kamailio(tmp_path), tmp_path / "media" / "media.sqlite"
    one = controller(path)
    for step in STEPS[:3]:
        one.event(step)
    one.flush()
    agent = CallRecords(spool, kamailio.path, "s", "b", places=path)
    agent.read(now(1_100))
    assert agent.counters.places == 0
    kamailio.write("call-a", "start", 1_000, '{"call_id": "call-a", "origin": "phone"}')
    agent.read(now(1_200))
    agent.read(now(1_200 + PLACE_WAIT_MS))
    assert agent.counters.places_strange == 1, "call-b never came"
    assert journal_mark.read_mark(path) == 3
    kamailio.write("call-a", "end", 1_500, '{"cause": "normal_clearing"}')
    agent.read(now(20_000))
    assert [stay["what"] for stay in cdrs(spool)[0]["applications"]] == ["application", "room"]


def test_call_records_do_not_wait_for_a_spoilt_journal_of_places(tmp_path: Path, spool: Spool) -> None:
    kamailio, path = Kamailio(tmp_path), tmp_path / "media.sqlite"
    path.write_bytes(b"no database" * 100)
    kamailio.write("call-a", "start", 1_000, '{"call_id": "call-a", "origin": "phone"}')
    kamailio.write("call-a", "end", 1_500, '{"cause": "normal_clearing"}')
    assert CallRecords(spool, kamailio.path, "s", "b", places=path).read(now(10_000)) == 1
