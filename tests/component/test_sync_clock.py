"""The clocks of box and centre jump, both ways and apart from each other, while records and recordings are sent. A failure
here is a site whose records stay at the box because somebody set a clock."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from cloudsync.service.centre import open_centre
from cloudsync.store import recordings
from cloudsync.store import records as store
from tests.crash.forked_centre import ForkedCentre
from tests.helpers.centre_box import prepare_site
from tests.helpers.centre_stores import DATABASES, prepared
from tests.helpers.synced_box import NOW, SITE, SyncedBox, hurry

ADDRESS = "127.0.99.51"
DAY_MS = 24 * 3600 * 1000
JUMPS_DAYS = (0, 3650, -3650, 1, -1, 0)
"""Where the centre's clock stands, one after the other; the box's jumps the other way."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def clock_from(file: Path) -> None:
    """In the centre's process: its clock is off by as many days as the file says at that moment."""
    from cloudsync import app

    opened: Callable[..., object] = app.open_centre

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(days=int(file.read_text()))

    def open_with_clock(data: Path) -> object:
        return dataclasses.replace(opened(data), clock=now)  # type: ignore[type-var]

    app.open_centre = open_with_clock  # type: ignore[assignment]


@pytest.mark.parametrize("database", DATABASES)
async def test_clocks_that_jump_both_ways_hold_up_no_record_and_no_recording(
    tmp_path: Path, database: str
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    data = prepared(tmp_path / "centre", database)
    with closing(open_centre(data)) as opened:
        text = prepare_site(opened, SITE)
    centre = ForkedCentre(data, ADDRESS, partial(clock_from, clock))
    centre.start()
    names, audio = [], {}
    try:
        box = await SyncedBox.enrolled(tmp_path / "box", centre.url, text)
        for number, days in enumerate(JUMPS_DAYS):
            fresh = [f"call-{number}-{n}" for n in range(5)]
            box.add(*fresh, wall_ms=NOW.wall_ms - days * DAY_MS)
            names += fresh
            audio[f"rec-{number}"] = box.record(f"rec-{number}")
            clock.write_text(str(days))
            await box.sync()
            assert (box.parked(), box.receipts.standing.problem) == ([], "")
        await box.receipts.drained()
        assert box.receipts.standing.receipt is not None
        assert box.receipts.standing.receipt.count == len(names)
        await box.close()
    finally:
        centre.kill()
    with closing(open_centre(data)) as opened, opened.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, limit=999)
        assert Counter(str(row["id"]) for row in rows) == Counter(names)
        assert store.ledger(connection, SITE).missing == 0
        stored = recordings.newest(connection, site_id=SITE, limit=99)
        assert {row.id: row.state for row in stored} == dict.fromkeys(audio, "stored")
        assert len({str(row.stored_utc)[:4] for row in stored}) == 3, "the centre's clock did not jump"
        for name, cipher in audio.items():
            assert opened.blobs.whole_path(SITE, name).read_bytes() == cipher
