"""What somebody set by hand goes before hours and holidays, as long as it was meant to."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.schedule_command import moment
from appliance.errors import KyusaiError
from appliance.freeswitch import by_hand, names
from appliance.freeswitch.by_hand import ByHand
from appliance.freeswitch.xml import text
from tests.helpers.dialplan import Line, contexts

TOKYO = timedelta(hours=9)


def held(until: str = "", state: str = "closed") -> ByHand:
    end = (datetime.fromisoformat(until) - TOKYO).replace(tzinfo=UTC).timestamp() if until else None
    return ByHand("office", state, 0.0, end, "sato")


def noted(one: ByHand, now: str, schedule: str = "office", since_start: str = "") -> str:
    """What the dialplan notes at a local time. since_start: what a telephone has set since FreeSWITCH started."""
    variables = {names.override("office"): since_start, names.HAND_STATE: "left over"}
    found = contexts(text(by_hand.context([one], "Asia/Tokyo")))
    line = Line(found, [], datetime.fromisoformat(now), {}, variables)
    line.run(schedule, names.BY_HAND)
    return line.variables.get(names.HAND_STATE, "")


@pytest.mark.parametrize(
    ("until", "now", "state"),
    [
        ("", "2026-05-03T10:00", "closed"),
        ("2026-05-03T18:00", "2026-05-03T17:59", "closed"),
        ("2026-05-03T18:00", "2026-05-03T18:00", ""),
        ("2026-05-03T18:00", "2026-05-02T23:59", "closed"),
        ("2026-05-03T18:00", "2026-05-04T00:00", ""),
        ("2026-05-03T18:00", "2027-01-01T10:00", ""),
        ("2027-01-01T00:00", "2026-12-31T23:59", "closed"),
        ("2027-01-01T00:00", "2027-01-01T00:00", ""),
        ("2027-01-01T00:30", "2027-01-01T00:29", "closed"),
    ],
)
def test_it_holds_to_the_minute_in_the_site_s_time(until: str, now: str, state: str) -> None:
    assert noted(held(until), now) == state


def test_what_a_telephone_set_since_goes_before_it() -> None:
    assert noted(held(), "2026-05-03T10:00", since_start="automatic") == ""


def test_another_schedule_is_not_touched() -> None:
    assert noted(held(), "2026-05-03T10:00", schedule="shop") == ""


NOW = datetime(2026, 5, 3, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("18:00", "2026-05-03T18:00:00+00:00"),
        ("9:30", "2026-05-04T09:30:00+00:00"),
        ("2026-05-05T08:00", "2026-05-05T08:00:00+00:00"),
        ("2026-05-05T08:00+09:00", "2026-05-05T08:00:00+09:00"),
    ],
)
def test_a_moment_is_read_as_people_write_it(given: str, expected: str) -> None:
    assert moment(given, NOW).isoformat() == expected


@pytest.mark.parametrize("given", ["", "25:00", "tomorrow", "2026-13-01T00:00"])
def test_what_is_no_moment_is_told(given: str) -> None:
    with pytest.raises(KyusaiError, match="is not a moment"):
        moment(given, NOW)
