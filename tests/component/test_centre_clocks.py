"""Records of a box whose clock was wrong, at a real store: shown and exported at their true time, signed as they came."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudsync import series, wire
from cloudsync.record_view import view
from cloudsync.service import clocks, months, record_search, records, work
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.series import read as read_series
from cloudsync.store import records as store
from cloudsync.wire import format_utc
from tests.helpers.centre_box import opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared

WHO = BoxIdentity("tokyo-1", "tokyo-1-a")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BOOT = datetime(1970, 1, 1, tzinfo=UTC)
UPTIME = timedelta(minutes=10)
"""After which the clock is set."""


class Clock:
    """The centre's."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        prepare_site(found)
        yield replace(found, clock=Clock())


class Records:
    """A box's chain."""

    def __init__(self) -> None:
        self.made: list[wire.Record] = []

    def add(self, created: datetime, kind: str = "cdr", boot: str = "boot-1", **body: Any) -> wire.Record:
        before = self.made[-1].hash if self.made else wire.GENESIS_HASH
        seq = len(self.made) + 1
        body = body or {
            "start_utc": format_utc(created - timedelta(minutes=1)),
            "caller": "201",
            "clock_ok": True,
        }
        made = wire.chain_record(
            before,
            seq=seq,
            record_id=f"r-{seq}",
            kind=kind,
            priority=1,
            created_utc=format_utc(created),
            boot_id=boot,
            body=body,
        )
        self.made.append(made)
        return made

    def step(
        self, by: timedelta, uptime: timedelta = UPTIME, at: datetime = NOW, boot: str = "boot-1"
    ) -> wire.Record:
        told = {
            "boot_id": boot,
            "by_ms": round(by.total_seconds() * 1000),
            "mono_ms": round(uptime.total_seconds() * 1000),
        }
        return self.add(
            at, "event", boot, event="clock_set_ahead" if by > timedelta(0) else "clock_set_back", **told
        )


def send(centre: Centre, *made: wire.Record) -> None:
    results = records.take(centre, WHO, wire.Batch(WHO.site_id, WHO.box_id, [asdict(one) for one in made]))
    assert {str(one.status) for one in results} == {"stored"}


def do_work(centre: Centre) -> None:
    while work.step(centre, "worker"):
        pass


def times(centre: Centre, kind: str = "cdr") -> dict[int, tuple[str, str | None]]:
    with centre.database.read() as connection:
        rows = store.newest(connection, site_id=WHO.site_id, kinds=(kind,) if kind else (), limit=100)
    assert [row["at_utc"] for row in rows] == sorted((str(row["at_utc"]) for row in rows), reverse=True)
    return {int(str(row["seq"])): (str(row["at_utc"])[:16], row["time_source"]) for row in rows}  # type: ignore[misc]


def test_records_from_before_the_clock_was_set_stand_at_the_time_when_they_were_made(centre: Centre) -> None:
    chain = Records()
    early = chain.add(BOOT + timedelta(minutes=2))
    step = chain.step(NOW - (BOOT + UPTIME))
    right = chain.add(NOW + timedelta(minutes=1))
    send(centre, early, step, right)
    do_work(centre)
    assert times(centre) == {1: ("2026-11-21T08:52", "set"), 3: ("2026-11-21T09:01", None)}
    with centre.database.read() as connection:
        kept = {int(str(row["seq"])): row for row in store.newest(connection, site_id=WHO.site_id, limit=10)}
    assert kept[1]["created_utc"] == early.created_utc and kept[1]["hash"] == early.hash
    assert json.loads(str(kept[1]["body"])) == early.body, "as it was signed"


@pytest.mark.parametrize("later", [False, True], ids=["with the step", "after the step was dealt with"])
def test_a_call_of_before_whose_record_was_made_after_stands_at_its_own_time(
    centre: Centre, later: bool
) -> None:
    chain = Records()
    step = chain.step(NOW - (BOOT + UPTIME))
    call = {name: format_utc(BOOT + timedelta(minutes=at)) for name, at in (("start_utc", 5), ("end_utc", 9))}
    made = chain.add(NOW + timedelta(seconds=1), caller="201", answer_utc="", **call)
    if later:
        send(centre, step)
        do_work(centre)
        send(centre, made)
    else:
        send(centre, step, made)
    do_work(centre)
    with centre.database.read() as connection:
        (row,) = store.newest(connection, kinds=("cdr",), limit=10)
    assert row["times"] == {"start_utc": "2026-11-21T08:55:00.000Z", "end_utc": "2026-11-21T08:59:00.000Z"}
    assert (row["at_utc"], row["time_source"]) == ("2026-11-21T09:00:01.000Z", "set")


def test_a_clock_of_2099_that_was_set_back_does_not_stand_above_everything_for_ever(centre: Centre) -> None:
    chain = Records()
    future = datetime(2099, 1, 1, tzinfo=UTC)
    early = chain.add(future + timedelta(minutes=2))
    right = chain.add(NOW - timedelta(seconds=2))
    step = chain.step(NOW - (future + UPTIME))
    send(centre, early, right, step)
    do_work(centre)
    assert times(centre) == {1: ("2026-11-21T08:52", "set"), 2: ("2026-11-21T08:59", None)}


def test_a_boot_that_never_learnt_the_time_stands_where_its_records_came(centre: Centre) -> None:
    chain = Records()
    send(
        centre,
        chain.add(BOOT, boot="boot-0"),
        chain.add(datetime(2099, 1, 1, tzinfo=UTC), boot="boot-0"),
        chain.add(NOW),
    )
    do_work(centre)
    assert times(centre) == {
        1: ("2026-11-21T09:00", "arrival"),
        2: ("2026-11-21T09:00", "arrival"),
        3: ("2026-11-21T09:00", None),
    }


def test_records_that_come_behind_the_news_of_the_clock_are_corrected_too(centre: Centre) -> None:
    chain = Records()
    late = chain.add(NOW - timedelta(hours=3), "stat", figure=1)
    step = chain.step(timedelta(hours=2), uptime=timedelta(hours=5))
    send(centre, step)
    do_work(centre)
    send(centre, late)
    assert times(centre, "stat") == {1: ("2026-11-21T06:00", None)}
    clock: Any = centre.clock
    clock.now = NOW + timedelta(minutes=2)
    do_work(centre)
    assert times(centre, "stat") == {1: ("2026-11-21T08:00", "set")}
    clock.now = NOW + timedelta(hours=2)
    assert not work.step(centre, "worker"), "nothing is missing any more"


def test_doubt_that_comes_while_a_worker_is_at_it_is_not_lost(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Records()
    first, second = chain.add(BOOT, boot="boot-0"), chain.add(BOOT, boot="boot-0")
    send(centre, first)
    original = work.HANDLERS["clock"]

    def interrupted(of: Centre, job: Any) -> None:
        original(of, job)
        monkeypatch.setitem(work.HANDLERS, "clock", original)
        send(of, second)

    monkeypatch.setitem(work.HANDLERS, "clock", interrupted)
    do_work(centre)
    clock: Any = centre.clock
    clock.now = NOW + timedelta(seconds=clocks.ONCE_MORE_S)
    do_work(centre)
    assert set(times(centre).values()) == {("2026-11-21T09:00", "arrival")}


def test_lists_show_the_time_when_a_call_was_made_and_what_the_box_said(centre: Centre) -> None:
    chain = Records()
    send(centre, chain.add(BOOT + timedelta(minutes=2)), chain.step(NOW - (BOOT + UPTIME)))
    do_work(centre)
    found = record_search.find(centre, record_search.Asked("tokyo-1", zone="UTC", since="1h"), NOW)
    from rich.console import Console

    console = Console(width=300, record=True, file=None)
    with console.capture() as shown:
        console.print(view(found.shown, "en", found.zones))
    assert "2026-11-21 08:51:00" in shown.get()
    assert "the box's clock was wrong: it said (1970-01-01 00:01Z)" in shown.get()
    before = record_search.find(centre, record_search.Asked("tokyo-1", kind="cdr", since="5min"), NOW)
    assert before.rows == []


def test_months_are_those_of_arrival_and_an_export_tells_both_times(centre: Centre, tmp_path: Path) -> None:
    chain = Records()
    send(centre, chain.add(BOOT + timedelta(minutes=2)), chain.step(NOW - (BOOT + UPTIME)), chain.add(NOW))
    do_work(centre)
    clock: Any = centre.clock
    clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    months.export(centre, "2026-11", tmp_path / "november.gz", "admin:test")
    lines = [
        json.loads(line) for line in gzip.decompress((tmp_path / "november.gz").read_bytes()).splitlines()
    ]
    assert [
        (one["created_utc"][:4], one["at_utc"] and one["at_utc"][:16], one["time_source"]) for one in lines
    ] == [
        ("1970", "2026-11-21T08:52", "set"),
        ("2026", None, None),
        ("2026", None, None),
    ]
    months.drop(centre, "2026-11", "admin:test")
    assert times(centre) == {}


def test_figures_of_a_boot_with_a_wrong_clock_stand_in_their_place(centre: Centre) -> None:
    chain = Records()
    figures = {"series": "box", "every_s": 60, "figures": {"active_calls": 1}, "links": {}}
    send(centre, chain.add(BOOT + timedelta(minutes=9), "stat", mono_ms=540_000, **figures))
    send(centre, chain.step(NOW - (BOOT + UPTIME)), chain.add(NOW, "stat", mono_ms=600_000, **figures))
    do_work(centre)
    points = read_series(centre, "tokyo-1", 10)
    assert [point.at_utc[:16] for point in points] == ["2026-11-21T08:59", "2026-11-21T09:00"]
    assert series.holes(points) == []


def test_a_step_that_makes_no_sense_is_a_record_and_no_more(centre: Centre) -> None:
    chain = Records()
    for body in ({"by_ms": "much"}, {"by_ms": 2**60}, {"by_ms": 0}, {"by_ms": True}, {}):
        send(centre, chain.add(NOW, "event", event="clock_set_ahead", **body))
    do_work(centre)
    assert {source for _, source in times(centre, "event").values()} == {None}


def test_the_ledger_is_what_it_was(centre: Centre) -> None:
    chain = Records()
    sent = [chain.add(BOOT), chain.step(NOW - (BOOT + UPTIME))]
    send(centre, *sent)
    do_work(centre)
    again = records.take(centre, WHO, wire.Batch(WHO.site_id, WHO.box_id, [asdict(one) for one in sent]))
    assert {str(one.status) for one in again} == {"duplicate"}
