"""Schedules as dialplan: FreeSWITCH asks its own clock and calendar, no other process is needed. Pure.

Public holidays are computed for `YEARS_AHEAD` years from the year of rendering on; every new version of the site document
renders them anew. One line of days a year costs nothing, so the horizon is longer than a box's life, and the years since
`WRITTEN` are always among them: a box may render before it has learnt the time.
"""

from datetime import date

from appliance.freeswitch import names
from appliance.freeswitch.schedule import Hours, Schedule, State, holidays
from appliance.freeswitch.xml import Element, action, element

YEARS_AHEAD = 30

WRITTEN = 2026
"""No call comes before this year."""

YEAR_MAX = 2_500
"""Clocks that say more are wrong."""


def years(this_year: int) -> range:
    """Years whose holidays are written. this_year: as the box's clock says, which may be wrong."""
    return range(WRITTEN, min(max(this_year, WRITTEN), YEAR_MAX) + YEARS_AHEAD)


def context(schedules: tuple[Schedule, ...], time_zone: str, this_year: int) -> Element:
    """The context of all schedules. time_zone: IANA name, which `time_zones` defines for FreeSWITCH."""
    extensions = [
        extension for schedule in schedules for extension in _extensions(schedule, time_zone, this_year)
    ]
    return element("context", *extensions, name=names.SCHEDULES)


def time_zones(time_zone: str, posix: str) -> Element:
    """FreeSWITCH's own list of time zones, with the site's alone. posix: the zone's rule, such as "JST-9"."""
    zone = element("zone", name=time_zone, value=posix)
    return element(
        "configuration", element("timezones", zone), name="timezones.conf", description="the site's time zone"
    )


def _extensions(schedule: Schedule, time_zone: str, this_year: int) -> list[Element]:
    """In the order in which they are asked; the first that holds answers."""
    here = element(
        "condition",
        action("set", f"timezone={time_zone}", inline="true"),
        field="destination_number",
        expression=f"^{schedule.id}$",
    )
    by_hand = [
        _answer(
            schedule,
            f"by-hand-{state}",
            state,
            here,
            element(
                "condition",
                *_set(state),
                field=f"${{{names.override(schedule.id)}}}",
                expression=f"^{state}$",
            ),
        )
        for state in State
    ]
    before = [
        _answer(
            schedule,
            f"before-{state}",
            state,
            here,
            element("condition", *_set(state), field=f"${{{names.HAND_STATE}}}", expression=f"^{state}$"),
        )
        for state in State
    ]
    kept = [
        element("regex", year=year, yday=",".join(str(_day_of_year(day)) for day in days))
        for year in years(this_year)
        if (days := holidays(schedule, year))
    ]
    off = element("condition", *kept, *_set(State.HOLIDAY), regex="any")
    on_holiday = [_answer(schedule, "holiday", State.HOLIDAY, here, off)] if kept else []
    opened = [
        _answer(schedule, f"hours-{index}", State.OPEN, here, _hours(hours))
        for index, hours in enumerate(schedule.hours, 1)
    ]
    closed = element("condition", *_set(State.CLOSED), field="destination_number", expression="^")
    return [*by_hand, *before, *on_holiday, *opened, _answer(schedule, "closed", State.CLOSED, here, closed)]


def _answer(schedule: Schedule, what: str, state: State, here: Element, when: Element) -> Element:
    return element("extension", here, when, name=f"{schedule.id}-{what}")


def _set(state: State) -> tuple[Element, ...]:
    return (action("set", f"{names.SCHEDULE_STATE}={state}"),)


def _hours(hours: Hours) -> Element:
    """FreeSWITCH counts the days of the week from Sunday, which is 1, and includes the last minute."""
    days = ",".join(str((day + 1) % 7 + 1) for day in hours.days)
    return element("condition", *_set(State.OPEN), wday=days, minute_of_day=f"{hours.begin}-{hours.end - 1}")


def _day_of_year(day: date) -> int:
    return day.timetuple().tm_yday
