"""How a box stands to what is wanted. A failure is an outage that the table of sites calls well."""

import pytest

from cloudsync.drift import Drift, Standing, Told, Wanted, drift

WANTED = Wanted(13, "2026-11-21T10:00:00.000Z")
LATER = "2026-11-21T10:05:00.000Z"


@pytest.mark.parametrize(
    ("told", "standing", "running", "since"),
    [
        pytest.param(Told(), Standing.UNKNOWN, None, WANTED.published_utc, id="never heard"),
        pytest.param(Told(13, 13, "applied", LATER), Standing.APPLIED, 13, LATER, id="applied"),
        pytest.param(Told(12, 13, "applied", LATER), Standing.APPLIED, 13, LATER, id="heartbeat is older"),
        pytest.param(
            Told(13, 12, "applied", LATER), Standing.APPLIED, 13, WANTED.published_utc, id="report is late"
        ),
        pytest.param(Told(12, 13, "refused", LATER), Standing.REFUSED, 12, LATER, id="refused"),
        pytest.param(Told(12, 13, "rolled_back", LATER), Standing.ROLLED_BACK, 12, LATER, id="rolled back"),
        pytest.param(
            Told(12, 12, "applied", LATER), Standing.BEHIND, 12, WANTED.published_utc, id="not taken yet"
        ),
        pytest.param(Told(11, 12, "refused", LATER), Standing.BEHIND, 11, WANTED.published_utc, id="old no"),
        pytest.param(Told(41, 41, "applied", LATER), Standing.AHEAD, 41, LATER, id="centre restored"),
    ],
)
def test_a_box_stands(told: Told, standing: Standing, running: int | None, since: str) -> None:
    assert drift(WANTED, told) == Drift(standing, running, 13, since)


def test_a_site_without_a_document_wants_nothing() -> None:
    assert drift(Wanted(0, ""), Told()).standing is Standing.NONE
