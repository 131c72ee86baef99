"""When a site is open: weekly hours, holidays, exceptions, and what somebody said by hand. Pure.

The same rules are compiled into FreeSWITCH's dialplan (`schedule_xml`), so that calls need no Python; this module says what
that dialplan must do, and the simulator and the tests ask it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache

from appliance.freeswitch import holidays_jp

DAY_MINUTES = 24 * 60
NAMES_UNTIL = 2030
"""Names of holidays are looked for until this year: later ones are no others."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `date.weekday()`."""

PUBLIC: dict[str, Callable[[int], dict[date, str]]] = {"jp": holidays_jp.holidays}
"""Public holidays that are built in, by country."""


class State(StrEnum):
    """What a schedule says of a moment; each is an outcome of a flow's schedule node."""

    OPEN = "open"
    CLOSED = "closed"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class Hours:
    """Open on these days from the minute `begin` to the minute `end` (excluded), both counted from midnight.

    days: numbers as `date.weekday()` gives them.
    """

    days: tuple[int, ...]
    begin: int
    end: int

    def holds(self, moment: datetime) -> bool:
        """Whether `moment`, the site's local time, lies in them."""
        return moment.weekday() in self.days and self.begin <= moment.hour * 60 + moment.minute < self.end


@dataclass(frozen=True, slots=True)
class Day:
    """A date of one year, or (year 0) of every year."""

    month: int
    day: int
    year: int = 0

    def is_on(self, moment: date) -> bool:
        """Whether `moment` is that day."""
        return (self.month, self.day) == (moment.month, moment.day) and self.year in (0, moment.year)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule. public_holidays: a key of `PUBLIC`, or "". closed_days: further days that count as holidays.
    open_days: days that are ordinary ones whatever the calendar says. access_code: digits with which feature codes set it by
    hand, "" for never."""

    id: str
    hours: tuple[Hours, ...]
    public_holidays: str = ""
    closed_days: tuple[Day, ...] = ()
    open_days: tuple[Day, ...] = ()
    access_code: str = ""


def state(schedule: Schedule, moment: datetime, override: str = "") -> State:
    """What the schedule says of `moment`, the site's local time. override: "open", "closed", "holiday" by hand, or "": the
    schedule decides."""
    if override:
        return State(override)
    if is_holiday(schedule, moment.date()):
        return State.HOLIDAY
    return State.OPEN if any(hours.holds(moment) for hours in schedule.hours) else State.CLOSED


def is_holiday(schedule: Schedule, day: date) -> bool:
    """Whether the schedule counts a day as a holiday."""
    if any(one.is_on(day) for one in schedule.open_days):
        return False
    if any(one.is_on(day) for one in schedule.closed_days):
        return True
    return bool(schedule.public_holidays) and day in PUBLIC[schedule.public_holidays](day.year)


@cache
def public_names(country: str) -> frozenset[str]:
    """Names of all public holidays of a country that are kept from 2000 on; none for ""."""
    if not country:
        return frozenset()
    return frozenset(name for year in range(2000, NAMES_UNTIL) for name in PUBLIC[country](year).values())


def is_named(schedule: Schedule, day: date, days: tuple[Day, ...], names: tuple[str, ...]) -> bool:
    """Whether `day` is one of those days, or a public holiday of one of those names."""
    if any(one.is_on(day) for one in days):
        return True
    return bool(names and schedule.public_holidays) and (
        PUBLIC[schedule.public_holidays](day.year).get(day, "") in names
    )


def named(schedule: Schedule, year: int, days: tuple[Day, ...], names: tuple[str, ...]) -> tuple[date, ...]:
    """All days of a year for which `is_named` holds, in order."""
    public = PUBLIC[schedule.public_holidays](year) if schedule.public_holidays and names else {}
    found = {day for day, name in public.items() if name in names}
    return tuple(sorted(found | {day for one in days if (day := _in(one, year))}))


def holidays(schedule: Schedule, year: int) -> tuple[date, ...]:
    """All days of a year that the schedule counts as holidays, in order."""
    public = PUBLIC[schedule.public_holidays](year) if schedule.public_holidays else {}
    own = {found for one in schedule.closed_days if (found := _in(one, year))}
    exempt = {found for one in schedule.open_days if (found := _in(one, year))}
    return tuple(sorted(({*public} | own) - exempt))


def _in(day: Day, year: int) -> date | None:
    """The day in a year; None where it does not exist there (29 February, another year)."""
    if day.year not in (0, year):
        return None
    try:
        return date(year, day.month, day.day)
    except ValueError:
        return None
