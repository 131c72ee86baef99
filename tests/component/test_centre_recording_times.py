"""Recordings of a box whose clock was wrong, at a real store: listed by the time at which they began. A failure is a recording of
today that nobody finds, because it stands under 1970."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudsync import wire
from cloudsync.service import recordings as rules
from cloudsync.service import records, work
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import recordings
from cloudsync.wire import format_utc
from tests.helpers.centre_box import opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared

WHO = BoxIdentity("tokyo-1", "tokyo-1-a")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UPTIME = timedelta(minutes=10)
"""After which the clock is set."""
NAME, OTHER = f"rec-{'a' * 32}", f"rec-{'b' * 32}"


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        prepare_site(found)
        yield replace(found, clock=lambda: NOW)


class Box:
    """Its chain."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.last: wire.Record | None = None

    def send(self, created: datetime, kind: str, body: dict[str, Any]) -> None:
        self.last = wire.chain_record(
            self.last.hash if self.last else wire.GENESIS_HASH,
            seq=self.last.seq + 1 if self.last else 1,
            record_id=f"r{self.last.seq + 1 if self.last else 1}",
            kind=kind,
            priority=1,
            created_utc=format_utc(created),
            boot_id="boot-1",
            body=body,
        )
        batch = wire.Batch("tokyo-1", "tokyo-1-a", [wire.as_json(self.last)])
        assert records.take(self.centre, WHO, batch)[0].status == "stored"

    def call(self, end: datetime, *names: str) -> None:
        body = {"start_utc": format_utc(end - timedelta(minutes=1)), "recordings": list(names)}
        self.send(end, "cdr", body)

    def clock_was_set(self) -> None:
        by_ms = round((NOW - EPOCH - UPTIME).total_seconds() * 1000)
        uptime_ms = round(UPTIME.total_seconds() * 1000)
        self.send(NOW, "event", {"event": "clock_set_ahead", "by_ms": by_ms, "mono_ms": uptime_ms})

    def offer(self, recording_id: str, started: datetime) -> None:
        digest = hashlib.sha256(recording_id.encode()).hexdigest()
        new = wire.RecordingOffer(recording_id, "c", digest, digest, 9, format_utc(started), 60.0, "ogg/opus")
        rules.offer(self.centre, WHO, new)


def listed(centre: Centre) -> list[tuple[str, str | None, str | None]]:
    with centre.database.read() as connection:
        return [(one.id, one.at_utc, one.time_source) for one in recordings.newest(connection, limit=9)]


def work_off(centre: Centre) -> None:
    while work.step(centre, "test"):
        pass


@pytest.mark.parametrize("recording_first", [True, False])
def test_recording_of_a_call_before_the_clock_was_set_has_its_true_start(
    centre: Centre, *, recording_first: bool
) -> None:
    box, started = Box(centre), EPOCH + timedelta(minutes=4)
    if recording_first:
        box.offer(f"{NAME}-{'1' * 16}", started)
        assert listed(centre) == [(f"{NAME}-{'1' * 16}", format_utc(NOW), "arrival")], "all that is known yet"
    box.call(EPOCH + timedelta(minutes=5), NAME)
    box.clock_was_set()
    box.call(NOW + timedelta(minutes=1), OTHER)
    work_off(centre)
    if not recording_first:
        box.offer(f"{NAME}-{'1' * 16}", started)
    box.offer(OTHER, NOW)
    true = NOW - timedelta(minutes=6)
    assert listed(centre) == [(OTHER, None, None), (f"{NAME}-{'1' * 16}", format_utc(true), "set")]


def test_call_that_is_up_while_the_clock_is_set_began_before_by_the_old_one(centre: Centre) -> None:
    box = Box(centre)
    box.clock_was_set()
    box.call(NOW + timedelta(minutes=3), NAME)
    work_off(centre)
    box.offer(NAME, EPOCH + timedelta(minutes=8))
    assert listed(centre) == [(NAME, format_utc(NOW - timedelta(minutes=2)), "set")]


def test_recording_of_a_boot_that_never_learnt_the_time_has_that_of_its_arrival(centre: Centre) -> None:
    box = Box(centre)
    box.call(EPOCH + timedelta(minutes=5), NAME)
    box.offer(NAME, EPOCH + timedelta(minutes=4))
    work_off(centre)
    assert listed(centre) == [(NAME, format_utc(NOW), "arrival")]


def test_sound_times_stay_and_neighbours_in_the_alphabet_are_left_alone(centre: Centre) -> None:
    box = Box(centre)
    box.offer(f"{NAME}0", NOW)
    box.offer(f"{NAME}.x", NOW)
    box.call(EPOCH + timedelta(minutes=5), NAME)
    box.clock_was_set()
    work_off(centre)
    assert [one[1:] for one in listed(centre)] == [(None, None), (None, None)]
