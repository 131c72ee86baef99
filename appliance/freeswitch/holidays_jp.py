"""Japanese public holidays (国民の祝日), computed for any year from 1949 on. Pure.

Rules: 国民の祝日に関する法律 (Act No. 178 of 1948) with its amendments, and the special laws for 1959, 1989, 1990, 1993,
2019, 2020 and 2021. The equinoxes are those of the sun: J. Meeus, Astronomical Algorithms (2nd ed.), chapter 27, whose
error of under a minute between 1951 and 2050 is far less than the distance of any equinox of these years from midnight
in Japan. The official date is the one that the National Astronomical Observatory announces each February for the
next year; the law has no other definition, and the computed one has never differed.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from math import cos, radians

FIRST_YEAR = 1949
"""The first whole year of the law."""

_SUNDAY, _MONDAY = 6, 0
_JST = timedelta(hours=9)
_DAY = timedelta(days=1)

_FIXED: tuple[tuple[int, int, int, int, str], ...] = (
    # month, day, first year, last year, name
    (1, 1, 1949, 9999, "元日"),
    (1, 15, 1949, 1999, "成人の日"),
    (2, 11, 1967, 9999, "建国記念の日"),
    (2, 23, 2020, 9999, "天皇誕生日"),
    (4, 29, 1949, 1988, "天皇誕生日"),
    (4, 29, 1989, 2006, "みどりの日"),
    (4, 29, 2007, 9999, "昭和の日"),
    (5, 3, 1949, 9999, "憲法記念日"),
    (5, 4, 2007, 9999, "みどりの日"),
    (5, 5, 1949, 9999, "こどもの日"),
    (7, 20, 1996, 2002, "海の日"),
    (8, 11, 2016, 2019, "山の日"),
    (8, 11, 2022, 9999, "山の日"),
    (9, 15, 1966, 2002, "敬老の日"),
    (10, 10, 1966, 1999, "体育の日"),
    (11, 3, 1948, 9999, "文化の日"),
    (11, 23, 1948, 9999, "勤労感謝の日"),
    (12, 23, 1989, 2018, "天皇誕生日"),
)

_MONDAYS: tuple[tuple[int, int, int, int, str], ...] = (
    # month, which Monday, first year, last year, name
    (1, 2, 2000, 9999, "成人の日"),
    (7, 3, 2003, 2019, "海の日"),
    (7, 3, 2022, 9999, "海の日"),
    (9, 3, 2003, 9999, "敬老の日"),
    (10, 2, 2000, 2019, "体育の日"),
    (10, 2, 2022, 9999, "スポーツの日"),
)

_ONCE: dict[date, str] = {
    date(1959, 4, 10): "皇太子明仁親王の結婚の儀",
    date(1989, 2, 24): "昭和天皇の大喪の礼",
    date(1990, 11, 12): "即位礼正殿の儀",
    date(1993, 6, 9): "皇太子徳仁親王の結婚の儀",
    date(2019, 5, 1): "天皇の即位の日",
    date(2019, 10, 22): "即位礼正殿の儀の行われる日",
    # Moved for the Olympic Games in Tokyo (平成三十二年東京オリンピック競技大会特別措置法, articles 29, 32).
    date(2020, 7, 23): "海の日",
    date(2020, 7, 24): "スポーツの日",
    date(2020, 8, 10): "山の日",
    date(2021, 7, 22): "海の日",
    date(2021, 7, 23): "スポーツの日",
    date(2021, 8, 8): "山の日",
}

_SUBSTITUTES_SINCE = date(1973, 4, 12)
"""振替休日: a Monday in place of a holiday that falls on a Sunday; since 2007 the next day that is no holiday."""

_BETWEEN_SINCE = date(1985, 12, 27)
"""国民の休日: a day between two holidays."""

SUBSTITUTE, BETWEEN = "振替休日", "国民の休日"


def holidays(year: int) -> dict[date, str]:
    """Every public holiday of a year and its name, in order. Raises ValueError before `FIRST_YEAR`."""
    if year < FIRST_YEAR:
        raise ValueError(f"year {year}: the law begins with {FIRST_YEAR}")
    named = dict(_named(year))
    # A day between the last holiday of a year and the first of the next cannot exist: 31 December is none.
    return dict(sorted((named | _between(named) | _substitutes(named)).items()))


def is_holiday(day: date) -> bool:
    """Whether `day` is a public holiday."""
    return day.year >= FIRST_YEAR and day in holidays(day.year)


def _named(year: int) -> Iterator[tuple[date, str]]:
    for month, day, first, last, name in _FIXED:
        if first <= year <= last:
            yield date(year, month, day), name
    for month, which, first, last, name in _MONDAYS:
        if first <= year <= last:
            yield _monday(year, month, which), name
    yield equinox(year, autumn=False), "春分の日"
    yield equinox(year, autumn=True), "秋分の日"
    yield from ((day, name) for day, name in _ONCE.items() if day.year == year)


def _monday(year: int, month: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(_MONDAY - first.weekday()) % 7 + 7 * (which - 1))


def _substitutes(named: dict[date, str]) -> dict[date, str]:
    found: dict[date, str] = {}
    for day in sorted(named):
        if day.weekday() != _SUNDAY or day < _SUBSTITUTES_SINCE:
            continue
        instead = day + _DAY
        while instead in named and day.year >= 2007:
            instead += _DAY
        if instead not in named:
            found[instead] = SUBSTITUTE
    return found


def _between(named: dict[date, str]) -> dict[date, str]:
    """Until 2006 neither a Sunday nor a substitute could be such a day; since 2007 any day that is itself no holiday."""
    found: dict[date, str] = {}
    for day in named:
        middle = day + _DAY
        if middle in named or middle + _DAY not in named or middle < _BETWEEN_SINCE:
            continue
        if middle.weekday() == _SUNDAY or (
            middle.year < 2007 and middle.weekday() == _MONDAY and day.weekday() == _SUNDAY
        ):
            continue
        found[middle] = BETWEEN
    return found


# Meeus, chapter 27. Mean equinox, table 27.B (years 1000 to 3000), and the periodic terms of table 27.C.
_MARCH = (2451623.80984, 365242.37404, 0.05169, -0.00411, -0.00057)
_SEPTEMBER = (2451810.21715, 365242.01767, -0.11575, 0.00337, 0.00078)
_TERMS = (
    (485, 324.96, 1934.136),
    (203, 337.23, 32964.467),
    (199, 342.08, 20.186),
    (182, 27.85, 445267.112),
    (156, 73.14, 45036.886),
    (136, 171.52, 22518.443),
    (77, 222.54, 65928.934),
    (74, 296.72, 3034.906),
    (70, 243.58, 9037.513),
    (58, 119.81, 33718.147),
    (52, 297.17, 150.678),
    (50, 21.02, 2281.226),
    (45, 247.54, 29929.562),
    (44, 325.15, 31555.956),
    (29, 60.93, 4443.417),
    (18, 155.12, 67555.328),
    (17, 288.79, 4562.452),
    (16, 198.04, 62894.029),
    (14, 199.76, 31436.921),
    (12, 95.39, 14577.848),
    (12, 287.11, 31931.756),
    (12, 320.81, 34777.259),
    (9, 227.73, 1222.114),
    (8, 15.45, 16859.074),
)
_J2000 = datetime(2000, 1, 1, 12)
_J2000_DAYS = 2451545.0


def equinox(year: int, autumn: bool) -> date:
    """The day in Japan of the spring or the autumn equinox."""
    return (equinox_moment(year, autumn) + _JST).date()


def equinox_moment(year: int, autumn: bool) -> datetime:
    """The moment of the equinox, UTC (no zone attached)."""
    coefficients = _SEPTEMBER if autumn else _MARCH
    millennia = (year - 2000) / 1000
    mean = sum(value * millennia**power for power, value in enumerate(coefficients))
    centuries = (mean - _J2000_DAYS) / 36525
    angle = radians(35999.373 * centuries - 2.47)
    stretch = 1 + 0.0334 * cos(angle) + 0.0007 * cos(2 * angle)
    periodic = sum(weight * cos(radians(phase + speed * centuries)) for weight, phase, speed in _TERMS)
    days = mean + 0.00001 * periodic / stretch
    return _J2000 + timedelta(days=days - _J2000_DAYS) - _delta_t(year)


def _delta_t(year: int) -> timedelta:
    """Terrestrial time less universal time: 29 s in 1950, 69 s in 2020, some minutes in 2100; its uncertainty does not move a
    day. Espenak and Meeus' long-term parabola, shifted to meet today's value."""
    return timedelta(
        seconds=max(29.0, 69.0 + 0.0045 * (year - 2020) ** 2 if year > 2020 else 69.0 - 0.57 * (2020 - year))
    )
