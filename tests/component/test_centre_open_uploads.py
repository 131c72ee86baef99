"""Uploads that nobody ends. A failure means a site whose recordings wait at its box for ever, or a folder without bounds."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync import wire
from cloudsync.service import recordings as rules
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import audit, jobs, recordings
from tests.helpers.centre_box import opened, prepare_site, random_bytes
from tests.helpers.centre_stores import STORES, prepared

WHO = BoxIdentity("tokyo-1", "tokyo-1-a")
SIZE = 3 * wire.PIECE_BYTES_MIN


@pytest.fixture(params=STORES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        prepare_site(found)
        yield found


def audio(number: int) -> bytes:
    return random_bytes(SIZE, number)


def offer(centre: Centre, number: int) -> recordings.Recording:
    made = wire.RecordingOffer(
        id=f"rec-{number}",
        call="call",
        sha256=hashlib.sha256(b"plain %d" % number).hexdigest(),
        cipher_sha256=hashlib.sha256(audio(number)).hexdigest(),
        bytes=SIZE,
        started_utc="2026-11-21T00:00:00.000Z",
        duration_s=1.0,
        format="ogg/opus",
    )
    return rules.offer(centre, WHO, made)[0]


def put(centre: Centre, known: recordings.Recording, number: int, begin: int, end: int) -> None:
    piece = audio(number)[begin:end]
    rules.take_piece(centre, WHO, known.id, begin, piece, wire.piece_digest(piece), known.cipher_sha256)


def states(centre: Centre) -> dict[str, str]:
    with centre.database.read() as connection:
        return {row.id: row.state for row in recordings.newest(connection, limit=99)}


def test_site_with_too_many_open_uploads_goes_on_and_loses_nothing_that_its_box_still_has(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "OPEN_UPLOADS_MAX", 3)
    half = SIZE // 3
    first = [offer(centre, number) for number in range(3)]
    put(centre, first[0], 0, 0, half)
    put(centre, first[1], 1, 0, SIZE)  # whole, and its box never asked for the receipt
    offer(centre, 0)
    assert rules.pieces(centre, first[0]) == [(0, half)], "one that is open already needs no room"
    offer(centre, 3)
    assert set(states(centre)) == {"rec-1", "rec-2", "rec-3"}
    assert rules.pieces(centre, first[0]) == [], "and its pieces are gone"
    offer(centre, 4)
    assert states(centre) == {
        "rec-1": "stored",
        "rec-2": "receiving",
        "rec-3": "receiving",
        "rec-4": "receiving",
    }
    again = offer(centre, 0)
    assert "rec-2" not in states(centre)
    for begin in range(0, SIZE, half):
        put(centre, again, 0, begin, begin + half)
    assert rules.settle(centre, again).complete
    with centre.database.read() as connection:
        rows = audit.newest(connection, 100)
        waiting = jobs.waiting(connection)
    dropped = [row["subject"] for row in rows if row["action"] == "recording.upload_dropped"]
    assert dropped == ["rec-2", "rec-0"]
    assert waiting == {rules.SETTLE: 2}


def test_upload_that_the_disk_does_not_give_back_is_let_go_of_like_any(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "OPEN_UPLOADS_MAX", 1)
    put(centre, offer(centre, 0), 0, 0, SIZE)

    def fail(_centre: Centre, _known: recordings.Recording) -> bool:
        raise OSError("Input/output error")

    monkeypatch.setattr(rules, "settled", fail)
    offer(centre, 1)
    assert states(centre) == {"rec-1": "receiving"}
