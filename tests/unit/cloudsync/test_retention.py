"""How long a recording is kept. A failure here deletes evidence too early, or keeps what the law wants gone."""

from datetime import UTC, datetime

import pytest

from cloudsync.retention import begins_utc, days_of, kept_until_utc, stored_until_utc

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAYS = {"short": 30}


def test_days_are_those_of_the_document() -> None:
    rows = [{"class": "short", "days": 30}, {"class": "long", "days": 3650}]
    assert days_of({"recording": {"retention": rows}}) == {"short": 30, "long": 3650}


@pytest.mark.parametrize(
    "document",
    [
        {},
        None,
        {"recording": []},
        {"recording": {"retention": {"short": 1}}},
        {"recording": {"retention": [{"class": "short"}, {"days": 3}, 7, {"class": "x", "days": 0}]}},
        {"recording": {"retention": [{"class": "short", "days": True}, {"class": "y", "days": -1}]}},
    ],
)
def test_what_is_no_class_deletes_nothing(document: object) -> None:
    assert days_of(document) == {}


def test_it_is_kept_for_so_many_days_after_it_was_stored() -> None:
    assert kept_until_utc("short", "2026-10-22T09:30:00.000Z", DAYS) == "2026-11-21T09:30:00.000Z"
    assert stored_until_utc(NOW, 30) == "2026-10-22T09:30:00.000Z", "both say the same moment"


@pytest.mark.parametrize(
    ("retention", "stored_utc"),
    [(None, "2026-10-22T09:30:00.000Z"), ("long", "2026-10-22T09:30:00.000Z"), ("short", None)],
)
def test_without_class_days_or_storing_there_is_no_end(retention: str | None, stored_utc: str | None) -> None:
    assert kept_until_utc(retention, stored_utc, DAYS) is None


def test_more_days_than_there_were_delete_nothing() -> None:
    assert stored_until_utc(NOW, 10_000_000) is None
    assert kept_until_utc("x", "9999-12-01T00:00:00.000Z", {"x": 36_500}) is None


@pytest.mark.parametrize(
    ("stored_utc", "started_utc", "begins"),
    [
        pytest.param("2026-10-22", "2026-10-21", "2026-10-22", id="as it should be"),
        pytest.param("2016-10-22", "2026-10-21", "2026-10-21", id="the centre's clock was behind"),
        pytest.param("2026-10-22", "2099-10-21", "2026-10-22", id="the box's clock is ahead"),
        pytest.param(None, "2026-10-21", None, id="not stored yet"),
    ],
)
def test_days_count_from_the_storing_unless_that_came_before_the_beginning(
    stored_utc: str | None, started_utc: str, begins: str | None
) -> None:
    assert begins_utc(stored_utc, started_utc, "2026-11-21") == begins
