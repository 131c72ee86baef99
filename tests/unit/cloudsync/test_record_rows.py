"""Which records somebody sees who asks for some of them."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from appliance.errors import KyusaiError
from cloudsync.record_rows import Shown, Wanted, corrections, shown, since_utc

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKYO = ZoneInfo("Asia/Tokyo")


def cdr(
    id_: str = "cdr-1", site: str = "tokyo-1", created_utc: str = "2026-11-21T10:00:00.000Z", **body: Any
) -> dict[str, Any]:
    told = {
        "id": id_,
        "call_id": "abc@192.0.2.1",
        "call": "abc@192.0.2.1#00",
        "caller": "201",
        "dialled": "0312345678",
    }
    more = {"number": "+81312345678", "answered_by": "203", "origin_id": "201", "kind": "local"}
    return {
        "id": id_,
        "site_id": site,
        "kind": "cdr",
        "created_utc": created_utc,
        "body": {**told, **more, **body},
    }


def correction(of: str = "cdr-1", site: str = "tokyo-1") -> dict[str, Any]:
    body = {
        "event": "cdr_correction",
        "cdr_id": of,
        "call": "abc@192.0.2.1#00",
        "cdr": cdr(of, duration_ms=9)["body"],
    }
    return {
        "id": "event-1",
        "site_id": site,
        "kind": "event",
        "created_utc": "2026-11-21T11:00:00.000Z",
        "body": body,
    }


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("", None, ""),
        ("90min", None, "2026-11-21T10:30:00.000Z"),
        ("6h", None, "2026-11-21T06:00:00.000Z"),
        ("2d", None, "2026-11-19T12:00:00.000Z"),
        ("2026-11-21", TOKYO, "2026-11-20T15:00:00.000Z"),
        ("2026-11-21T09:30", TOKYO, "2026-11-21T00:30:00.000Z"),
        ("2026-11-21T09:30:00Z", TOKYO, "2026-11-21T09:30:00.000Z"),
    ],
)
def test_beginning_is_understood_as_people_write_it(text: str, zone: ZoneInfo | None, expected: str) -> None:
    assert since_utc(text, NOW, zone) == expected


@pytest.mark.parametrize(
    "text", ["yesterday", "-2h", "2 h", "999999d", "2026-13-01", "0001-01-01T00:00+14:00"]
)
def test_beginning_that_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(KyusaiError) as caught:
        since_utc(text, NOW, UTC)
    assert (caught.value.key, text in caught.value.message) == ("centre.bad_since", True)


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted(since_utc="2026-11-21T10:00:00.000Z"), True),
        (Wanted(since_utc="2026-11-21T10:00:00.001Z"), False),
        *[(Wanted(call=name), True) for name in ("cdr-1", "abc@192.0.2.1", "abc@192.0.2.1#00")],
        (Wanted(call="abc"), False),
        *[(Wanted(number=name), True) for name in ("201", "0312345678", "+81312345678", "203")],
        (Wanted(number="20"), False),
        (Wanted(number="201", call="other"), False),
    ],
)
def test_call_is_found_by_its_names_and_by_every_number_in_it(wanted: Wanted, takes: bool) -> None:
    assert wanted.takes(cdr()) is takes
    if not wanted.since_utc:
        assert wanted.takes(correction()) is takes, "and so is its correction"


def test_correction_stands_beside_its_cdr_and_not_as_a_row_of_its_own() -> None:
    rows = [correction(), cdr("cdr-2"), cdr()]
    corrected = corrections(rows)
    assert shown(rows, corrected) == [Shown(rows[1]), Shown(rows[2], rows[0]["body"]["cdr"])]


def test_correction_of_a_cdr_that_is_not_among_the_rows_is_shown_itself() -> None:
    for rows in ([correction()], [correction(site="osaka-1"), cdr()]):
        assert shown(rows, corrections(rows))[0] == Shown(rows[0])


def test_event_that_only_looks_like_a_correction_is_an_event() -> None:
    odd = correction() | {"body": {"event": "cdr_correction", "cdr_id": "cdr-1", "cdr": "none"}}
    assert (corrections([odd]), shown([odd], {})) == ({}, [Shown(odd)])
