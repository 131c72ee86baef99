"""What a box gives up of its statistics and events, and when. A failure here is a box that forgets too early, or never."""

import pytest

from agent.record_retention import Ages, Found, Reason, Sort, ages_from, to_free_bytes, told
from agent.retention import DAY_S, MIB
from appliance.site_model import Keeping
from cloudsync.wire import GIVEN_UP_MAX, GivenUpRun, WireError, canonical_json, given_up_json, given_up_runs


def test_statistics_go_first_then_those_of_outages_then_plain_events() -> None:
    assert list(Sort) == [Sort.FIGURES, Sort.OUTAGE_FIGURES, Sort.EVENT]


def test_records_age_by_the_time_that_the_agent_ran() -> None:
    ages = Ages()
    for day in range(10):
        ages = ages.passed(DAY_S, 100 * day + 1)
    assert [ages.too_old_below(Keeping(days=days)) for days in (0, 1, 3, 8, 9, 10)] == [
        0,
        801,
        601,
        101,
        1,
        0,
    ]
    assert ages_from(ages.as_json()) == ages


def test_an_hour_sets_no_mark_of_its_own() -> None:
    ages = Ages()
    for _ in range(48):
        ages = ages.passed(3600, 7)
    assert ages.marks == ((7, 3600.0), (7, 3600.0 + DAY_S))


def test_numbers_given_anew_make_nothing_old() -> None:
    ages = Ages().passed(0, 5_000).passed(50 * DAY_S, 6_000)
    assert ages.too_old_below(Keeping(days=50)) == 5_000
    assert ages.passed(0, 41).too_old_below(Keeping(days=50)) == 0


@pytest.mark.parametrize("kept", [None, "", "no", "[1]", "[1.0, [[1]]]", "{}"])
def test_ages_that_cannot_be_read_begin_anew(kept: str | None) -> None:
    assert ages_from(kept) == Ages()


@pytest.mark.parametrize(
    ("spool_bytes", "keeping", "wanted"),
    [
        (10 * MIB, Keeping(), 0),
        (10 * MIB, Keeping(mebibytes=10), 0),
        (10 * MIB + 1, Keeping(mebibytes=10), MIB // 5 + 1),
        (30 * MIB, Keeping(mebibytes=10), 20 * MIB + MIB // 5),
    ],
)
def test_a_spool_that_is_too_large_is_made_a_little_smaller_than_it_may_be(
    spool_bytes: int, keeping: Keeping, wanted: int
) -> None:
    assert abs(to_free_bytes(spool_bytes, keeping) - wanted) <= 1


def link(seq: int) -> tuple[int, str, str]:
    return seq, f"{seq - 1:064x}", f"{seq:064x}"


def test_neighbours_are_told_as_one_run_and_read_as_they_were() -> None:
    links = [link(seq) for seq in (3, 4, 5, 9, 11)]
    runs = given_up_json(links)
    assert [len(run) for run in runs] == [5, 3, 3]
    read = given_up_runs({"runs": runs})
    assert read[0] == GivenUpRun(3, f"{2:064x}", (f"{3:064x}", f"{4:064x}", f"{5:064x}"))
    assert [one for run in read for one in run.links()] == links


def test_the_event_says_how_many_of_what_from_where_to_where_and_fits_a_record() -> None:
    found = [
        Found(*link(2 * n), f"2026-01-01T00:00:{n % 60:02}.000Z", 700) for n in range(1, GIVEN_UP_MAX + 1)
    ]
    body = told(found, Sort.FIGURES, Reason.SIZE)
    assert {name: body[name] for name in ("event", "sort", "reason", "count", "first_seq", "last_seq")} == {
        "event": "records_given_up",
        "sort": "figures",
        "reason": "size",
        "count": GIVEN_UP_MAX,
        "first_seq": 2,
        "last_seq": 2 * GIVEN_UP_MAX,
    }
    assert (body["from_utc"], body["to_utc"]) == ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:59.000Z")
    assert len(canonical_json(body)) < 63_000


@pytest.mark.parametrize(
    "runs",
    [
        None,
        {},
        [[]],
        [[1]],
        [[1, "0" * 64]],
        [[0, "0" * 64, "1" * 64]],
        [[True, "0" * 64, "1" * 64]],
        [[1, "0" * 64, "x" * 64]],
        [[1, "0" * 64, 5]],
        [[2**62, "0" * 64, "1" * 64]],
        [[1, *("0" * 64 for _ in range(GIVEN_UP_MAX + 2))]],
    ],
)
def test_runs_that_cannot_be_ones_are_refused(runs: object) -> None:
    with pytest.raises(WireError):
        given_up_runs({"runs": runs})
