"""How numbers, telephone numbers, dates, times, amounts and lengths of time are said, as pieces in a row. Pure.

A piece is an id of `spoken_pieces`, without its prefix. FreeSWITCH comes to the same rows by `spoken_xml`, which a test
compares value by value: its own module for Japanese says はちせん and よんねん.
"""

import re
from datetime import date

NUMBER_MAX = 999_999_999_999
"""Nobody follows a longer number on the telephone: it is said digit by digit."""

DURATION_MAX_S = 100 * 3600 - 1

Pieces = tuple[str, ...]


def digits(text: str, language: str) -> Pieces:
    """Each digit by itself, as an extension or a code is said; "*", "#" and "+" too, everything else is passed over."""
    name = "digit" if language == "ja" else "unit"
    return tuple(_SIGNS.get(one) or f"{name}_{one}" for one in text if one in _SIGNS or one in "0123456789")


_SIGNS = {"*": "star", "#": "hash", "+": "plus"}


def telephone(number: str, language: str) -> Pieces:
    """A telephone number as dialled or as E.164, digit by digit. In Japanese with の where its parts meet, as far as they
    can be told: mobile, toll-free, Tokyo and Osaka; of other areas only the last four digits are always one part."""
    if language != "ja":
        return digits(number, language)
    parts = telephone_parts(number)
    said = [digits(part, language) for part in parts]
    return tuple(piece for index, part in enumerate(said) for piece in (*(("no",) if index else ()), *part))


def telephone_parts(number: str) -> tuple[str, ...]:
    """A Japanese number in the parts in which it is written; one part where they cannot be told."""
    national = re.sub(r"^\+81(?=[1-9][0-9]{8,9}$)", "0", number, flags=re.ASCII)
    for pattern in JAPANESE_PARTS:
        if found := re.fullmatch(pattern, national, re.ASCII):
            return found.groups()
    return (national,)


JAPANESE_PARTS = (
    "(0800)([0-9]{3})([0-9]{4})",
    "(0[5-9]0)([0-9]{4})([0-9]{4})",
    "(0[36])([0-9]{4})([0-9]{4})",
    "(0[15][27]0)([0-9]{3})([0-9]{3})",
    "(0[0-9]{5})([0-9]{4})",
)
"""Parts of national numbers, the first that fits. After the number plan of the ministry (総務省, 電気通信番号計画)."""


def number(value: int, language: str) -> Pieces:
    """A whole number, 0 to `NUMBER_MAX`. Raises ValueError outside."""
    _within("number", value, NUMBER_MAX)
    return _japanese(value) if language == "ja" else _english(value)


def year(value: int, language: str) -> Pieces:
    """A year from 1000 to 9999, with 年 in Japanese. Raises ValueError outside."""
    if not 1000 <= value <= 9999:
        raise ValueError(f"year {value}: 1000 to 9999 can be said")
    if language == "ja":
        return _ending(value, "year")
    high, low = divmod(value, 100)
    if high % 10 == 0 and low < 10:
        return _english(value)
    end = ("hundred",) if low == 0 else ("oh", f"unit_{low}") if low < 10 else _english(low)
    return (*_english(high), *end)


def day(when: date, language: str, *, with_year: bool = False) -> Pieces:
    """A date: 十一月二十一日, "November twenty first"; with its year in front in Japanese, behind in English."""
    if language == "ja":
        before = year(when.year, language) if with_year else ()
        return (*before, f"month_{when.month}", f"day_{when.day}")
    after = year(when.year, language) if with_year else ()
    return (f"month_{when.month}", *ordinal(when.day), *after)


def ordinal(value: int) -> Pieces:
    """Of a day of the month, in English."""
    if value <= 20 or value == 30:
        return (f"ordinal_{value}",)
    return (f"ten_{value // 10}", f"ordinal_{value % 10}")


def clock(hour: int, minute: int, language: str, *, hours_24: bool = False) -> Pieces:
    """A time of day: 午後三時五分 or 十五時五分, "three oh five P M" or "fifteen oh five". Raises ValueError for no time."""
    _within("hour", hour, 23)
    _within("minute", minute, 59)
    if language == "ja":
        half = () if hours_24 else ("pm" if hour >= 12 else "am",)
        shown = hour if hours_24 else hour % 12
        return (*half, f"hour_{shown}", *(minutes(minute) if minute else ()))
    if hours_24:
        led = ("unit_0", f"unit_{hour}") if hour < 10 else _english(hour)
        return (*led, *_minute(minute, "hundred"))
    return (*_english((hour - 1) % 12 + 1), *_minute(minute, "oclock"), "pm" if hour >= 12 else "am")


def minutes(value: int) -> Pieces:
    """A number of minutes in Japanese, 1 to 59: 二十一分 is にじゅう いっぷん, 二十分 is にじゅっぷん."""
    tens, ones = divmod(value, 10)
    if not ones:
        return (f"minute_{value}",)
    return (*((f"ten_{tens}",) if tens else ()), f"minute_{ones}")


def amount(value: int, language: str, currency: str = "JPY") -> Pieces:
    """Money in its smallest unit: yen, or cents with currency "USD", in English alone. Raises ValueError outside."""
    _within("amount", value, NUMBER_MAX)
    if currency == "JPY":
        return _ending(value, "yen") if language == "ja" else (*_english(value), "yen")
    if currency != "USD" or language != "en":
        raise ValueError(f"{currency!r} in {language!r}: JPY, and USD in English, can be said")
    whole, cents = divmod(value, 100)
    first = (*_english(whole), "dollar" if whole == 1 else "dollars") if whole or not cents else ()
    last = (*_english(cents), "cent" if cents == 1 else "cents") if cents else ()
    return (*first, *(("and",) if first and last else ()), *last)


def duration(seconds: int, language: str) -> Pieces:
    """A length of time: hours, minutes and seconds that are not nought. Raises ValueError above `DURATION_MAX_S`."""
    _within("duration", seconds, DURATION_MAX_S)
    hours, rest = divmod(seconds, 3600)
    mins, secs = divmod(rest, 60)
    said: list[str] = []
    if language == "ja":
        said += _ending(hours, "hours") if hours else ()
        said += minutes(mins) if mins else ()
        said += _ending(secs, "second") if secs or not said else ()
        return tuple(said)
    for value, name in ((hours, "hour"), (mins, "minute"), (secs, "second")):
        if value or (name == "second" and not said):
            said += [*_english(value), name if value == 1 else f"{name}s"]
    return tuple(said)


def _within(what: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise ValueError(f"{what} {value}: 0 to {most:,} can be said")


def _minute(minute: int, full: str) -> Pieces:
    if not minute:
        return (full,)
    return ("oh", f"unit_{minute}") if minute < 10 else _english(minute)


def _ending(value: int, name: str) -> Pieces:
    """A Japanese number with a word behind it, of which the last digit is part (四円 is よえん, 十四時間 じゅうよじかん)."""
    ones = value % 10
    if not ones:
        return (*_japanese(value), name)
    return (*(_japanese(value - ones) if value - ones else ()), f"{name}_{ones}")


def _japanese(value: int) -> Pieces:
    if not value:
        return ("zero",)
    said: list[str] = []
    for power, name in ((10**8, "oku"), (10**4, "man"), (1, "")):
        part, value = divmod(value, power)
        if part:
            said += [*_four_digits(part, bool(name)), *((name,) if name else ())]
    return tuple(said)


def _four_digits(value: int, of_more: bool) -> list[str]:
    """of_more: 万 or 億 follows. 一千万 has its 一, 千 has none."""
    said = []
    for power, name in ((1000, "thousand"), (100, "hundred"), (10, "ten"), (1, "unit")):
        digit, value = divmod(value, power)
        if digit:
            said.append(f"{name}_{digit}" + ("_of_more" if (power, digit) == (1000, 1) and of_more else ""))
    return said


def _english(value: int) -> Pieces:
    if not value:
        return ("unit_0",)
    said: list[str] = []
    for power, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (1, "")):
        part, value = divmod(value, power)
        if part:
            said += [*_three_digits(part), *((name,) if name else ())]
    return tuple(said)


def _three_digits(value: int) -> list[str]:
    hundreds, rest = divmod(value, 100)
    said = [f"unit_{hundreds}", "hundred"] if hundreds else []
    if rest >= 20:
        said.append(f"ten_{rest // 10}")
        rest %= 10
    return [*said, *([f"unit_{rest}"] if rest else [])]
