"""Schedules that somebody set by hand: what holds until when, as FreeSWITCH's dialplan says it. Pure.

The dialplan of one is read by FreeSWITCH whenever it starts or reloads, and ends by FreeSWITCH's own clock: it needs no other
process, and outlives a power cut. What a telephone set since FreeSWITCH started stands in a global variable and goes before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from appliance.freeswitch import names
from appliance.freeswitch.quoting import word
from appliance.freeswitch.schedule import State
from appliance.freeswitch.xml import Element, action, element

AUTOMATIC = "automatic"
"""The schedule's own hours decide."""

STATES = (State.OPEN.value, State.CLOSED.value, AUTOMATIC)
"""What a person can set."""

FIRST_YEAR = 2000
"""A clock that is before it has never been set."""

BY_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class ByHand:
    """One schedule's state. until_utc: seconds when it ends by itself, None for never. by: who, as he named himself or a
    telephone's number."""

    schedule: str
    state: str
    since_utc: float
    until_utc: float | None
    by: str

    def holds(self, now_utc: float) -> bool:
        """Whether it has not ended."""
        return self.until_utc is None or now_utc < self.until_utc


def context(held: Iterable[ByHand], time_zone: str) -> Element:
    """The dialplan context `names.BY_HAND`: asked before a schedule, it notes a state or none."""
    here = [
        element(
            "extension",
            element("condition", field="destination_number", expression=f"^{word(one.schedule)}$"),
            element("condition", field=f"${{{names.override(word(one.schedule))}}}", expression="^$"),
            *_until(one, time_zone),
            name=one.schedule,
        )
        for one in held
    ]
    nothing = element(
        "condition", action("unset", names.HAND_STATE), field="destination_number", expression="^"
    )
    return element("context", *here, element("extension", nothing, name="none"), name=names.BY_HAND)


def _until(one: ByHand, time_zone: str) -> tuple[Element, ...]:
    """The condition on the time, in the site's zone, to the minute."""
    said = action("set", f"{names.HAND_STATE}={State(one.state).value}")
    if one.until_utc is None:
        return (element("condition", said, field="destination_number", expression="^"),)
    end = datetime.fromtimestamp(one.until_utc, UTC).astimezone(ZoneInfo(time_zone))
    day, minute = end.timetuple().tm_yday, end.hour * 60 + end.minute
    before = [element("regex", year=f"{FIRST_YEAR}-{end.year - 1}")]
    before += [element("regex", year=end.year, yday=f"1-{day - 1}")] if day > 1 else []
    before += [element("regex", year=end.year, yday=day, minute_of_day=f"0-{minute - 1}")] if minute else []
    zone = action("set", f"timezone={time_zone}", inline="true")
    return (
        element("condition", zone, field="destination_number", expression="^"),
        element("condition", *before, said, regex="any"),
    )
