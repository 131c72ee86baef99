"""Phrase macros that say numbers, dates and times from the pieces of `spoken_files`: no script, no process. Pure.

`phrase` with `say_number`, `say_digits`, `say_telephone`, `say_amount`, `say_date` (2026-11-21), `say_time` (15:05) or
`say_duration` (1:05:09) as the macro and the value as its data, in the channel's `default_language`, plays what `spoken`
says. `say_moment` takes seconds since 1970, in the channel's `timezone`. A macro is a list of expressions; FreeSWITCH tries
each in turn (`switch_ivr_phrase_macro_event`, switch_ivr_play_say.c) and puts what a bracket caught into the action. Only
digits and the signs of a telephone are ever caught.
"""

from collections.abc import Iterator

from appliance.freeswitch import spoken
from appliance.freeswitch.quoting import word
from appliance.freeswitch.spoken_files import ENGLISH_WHEN, FOLDER, JAPANESE_CLOCK, JAPANESE_DAY
from appliance.freeswitch.xml import Element, element

DIGITS_MAX = 32
"""Of what is said digit by digit; what is longer is not said."""

_SIGN = "[0-9*#+]"
_NOON = 12


class _Writer:
    """Macros of one language. folder: of prompts."""

    def __init__(self, folder: str, language: str) -> None:
        self._pieces = f"{folder}/{FOLDER}/{language}"

    def play(self, *pieces: str) -> Element:
        """Pieces one behind the other, as one audio. "$1" in them is what the first bracket caught."""
        files = [f"{self._pieces}/{piece}.wav" for piece in pieces]
        for file in files:
            word(file.replace("$", ""))
        data = files[0] if len(files) == 1 else "file_string://" + "!".join(files)
        return element("action", function="play-file", data=data)


def go(macro: str, data: str = "$1") -> Element:
    """Another macro, with what was caught."""
    return element("action", function="phrase", phrase=macro, data=data)


def when(pattern: str, *actions: Element, last: bool = True) -> Element:
    """What is done with data that `pattern` fits; with `last` nothing else is tried then."""
    # FreeSWITCH writes this one attribute with underscores.
    told = {"pattern": pattern, "break_on_match": "true" if last else "false"}
    return Element("input", told, (element("match", *actions),))


def macro(name: str, *inputs: Element) -> Element:
    """A macro whose pieces follow one another without a pause."""
    return element("macro", *inputs, name=name, pause="0")


def macros(folder: str, language: str) -> Iterator[Element]:
    """All macros of a language, for the default group."""
    write = _Writer(folder, language)
    yield from _digits(write, language)
    yield from _japanese(write) if language == "ja" else _english(write)


def groups(folder: str, language: str) -> Iterator[Element]:
    """Groups of macros that lead FreeSWITCH's say modules to their folders."""
    kinds = {
        "en": {ENGLISH_WHEN: "short_date_time"},
        "ja": {JAPANESE_DAY: "current_date", JAPANESE_CLOCK: "current_time"},
    }
    for group, kind in kinds[language].items():
        said = element("action", function="say", method="pronounced", type=kind, data="$1")
        yield element(
            "macros",
            macro("say_part", when("^([0-9]{1,12})$", said)),
            name=group,
            sound_prefix=word(f"{folder}/{FOLDER}/{group}"),
        )


def _digits(write: _Writer, language: str) -> Iterator[Element]:
    name = "digit" if language == "ja" else "unit"
    four = [when(f"^{'([0-9])' * count}$", write.play(*_caught(name, count))) for count in range(1, 5)]
    yield macro(
        "say_digits",
        *four,
        when(f"^{'([0-9])' * 4}({_SIGN}+)$", write.play(*_caught(name, 4)), go("say_digits", "$5")),
        *(
            when(f"^[{sign}]({_SIGN}*)$", write.play(piece), go("say_digits"))
            for sign, piece in (("*", "star"), ("#", "hash"), ("+", "plus"))
        ),
        when(f"^([0-9])({_SIGN}+)$", write.play(f"{name}_$1"), go("say_digits", "$2")),
        when("^"),
    )
    parts = []
    if language == "ja":
        parts.append(when("^[+]81([1-9][0-9]{8,9})$", go("say_telephone", "0$1")))
        for pattern in spoken.JAPANESE_PARTS:
            said = [go("say_digits", f"${number}") for number in range(1, pattern.count("(") + 1)]
            joined = [one for part in said for one in (write.play("no"), part)][1:]
            parts.append(when(f"^{pattern}$", *joined))
    yield macro("say_telephone", *parts, when(f"^({_SIGN}{{1,{DIGITS_MAX}}})$", go("say_digits")), when("^"))


def _caught(name: str, count: int) -> list[str]:
    return [f"{name}_${number}" for number in range(1, count + 1)]


def _no_zeros(name: str) -> Element:
    return when("^0+([1-9][0-9]*)$", go(name))


def _japanese(write: _Writer) -> Iterator[Element]:
    tens = [
        when("^[0-9]{0,1}([1-9])[0-9]{2}$", write.play("hundred_$1"), last=False),
        when("^[0-9]{0,2}([1-9])[0-9]$", write.play("ten_$1"), last=False),
    ]
    low = when("^([1-9])[0-9]{3}$", write.play("thousand_$1"), last=False)
    more = (
        when("^1[0-9]{3}$", write.play("thousand_1_of_more"), last=False),
        when("^([2-9])[0-9]{3}$", write.play("thousand_$1"), last=False),
    )
    unit = when("^[0-9]{0,3}([1-9])$", write.play("unit_$1"), last=False)
    yield macro("say_more", *more, *tens, unit)
    yield macro("say_front", low, *tens, when("^", last=False))
    yield macro("say_low", low, *tens, unit)
    yield from _counted(write, "number", (write.play("zero"),), go("say_low"), ())
    for name in ("yen", "year", "hours", "second"):
        nothing = (write.play("zero", name),)
        yield macro(
            f"say_{name}_end",
            when("0$", write.play(name)),
            when("([1-9])$", write.play(f"{name}_$1")),
        )
        yield from _counted(
            write, name, nothing, go("say_front"), (go(f"say_{name}_end"),), (write.play(name),)
        )
    yield macro("say_amount", when("^([0-9]+)$", go("say_yen")))
    yield macro("say_minutes", *_minutes(write, "^0?", "$"))
    yield macro(
        "say_time",
        when("^(?:0?[0-9]|1[01]):", write.play("am"), last=False),
        when("^(?:1[2-9]|2[0-3]):", write.play("pm"), last=False),
        when("^0?([0-9]|1[01]):", write.play("hour_$1"), last=False),
        *(
            when(f"^{hour}:", write.play(f"hour_{hour - _NOON}"), last=False)
            for hour in range(_NOON, 2 * _NOON)
        ),
        when(":([0-5][0-9])$", go("say_minutes")),
    )
    yield macro(
        "say_date",
        when(
            "^([0-9]{4})-0?([1-9][0-9]?)-0?([1-9][0-9]?)$", go("say_year"), write.play("month_$2", "day_$3")
        ),
        when("^0?([1-9][0-9]?)-0?([1-9][0-9]?)$", write.play("month_$1", "day_$2")),
    )
    yield macro(
        "say_duration",
        when("^0*([1-9][0-9]?):", go("say_hours"), last=False),
        when("^[0-9]+:([0-5][0-9]):", go("say_minutes"), last=False),
        when("^0+:00:00$", go("say_second", "0")),
        when(":00$"),
        when(":([0-5][0-9])$", go("say_second")),
    )
    yield macro(
        "say_moment", when("^([0-9]+)$", go(f"say_part@{JAPANESE_DAY}"), go(f"say_part@{JAPANESE_CLOCK}"))
    )


def _counted(
    write: _Writer,
    name: str,
    zero: tuple[Element, ...],
    low: Element,
    end: tuple[Element, ...],
    round_: tuple[Element, ...] = (),
) -> Iterator[Element]:
    """A number in Japanese, with what ends it. zero: for nought. low, end: the last four digits. round_: behind 万 and 億
    where nothing follows."""
    yield macro(
        f"say_{name}",
        when("^0+$", *zero),
        _no_zeros(f"say_{name}"),
        when(
            "^([1-9][0-9]{0,3})([0-9]{8})$", go("say_more"), write.play("oku"), go(f"say_{name}_rest", "$2")
        ),
        when(
            "^([1-9][0-9]{0,3})([0-9]{4})$", go("say_more"), write.play("man"), go(f"say_{name}_rest", "$2")
        ),
        when("^([1-9][0-9]{0,3})$", low, *end),
        when(f"^({_SIGN}{{13,{DIGITS_MAX}}})$", go("say_digits")),
        when("^"),
    )
    yield macro(
        f"say_{name}_rest", when("^0+$", *round_), when("^0*([1-9][0-9]*)$", go(f"say_{name}")), when("^")
    )


def _minutes(write: _Writer, before: str, after: str) -> tuple[Element, ...]:
    return (
        when(f"{before}0{after}"),
        when(f"{before}([1-9]){after}", write.play("minute_$1")),
        when(f"^([1-5]0){after}", write.play("minute_$1")),
        when(f"^([1-5])([1-9]){after}", write.play("ten_$1", "minute_$2")),
    )


def _english(write: _Writer) -> Iterator[Element]:
    yield macro(
        "say_low",
        when("^([1-9])[0-9]{2}$", write.play("unit_$1", "hundred"), last=False),
        when("^[0-9]?([2-9])[0-9]$", write.play("ten_$1"), last=False),
        when("^[0-9]?(1[0-9])$", write.play("unit_$1"), last=False),
        when("^(?:[0-9]?[02-9])?([1-9])$", write.play("unit_$1"), last=False),
    )
    powers = ((9, "billion"), (6, "million"), (3, "thousand"))
    yield macro(
        "say_number",
        when("^0+$", write.play("unit_0")),
        _no_zeros("say_number"),
        *(
            when(
                f"^([1-9][0-9]{{0,2}})([0-9]{{{zeros}}})$",
                go("say_low"),
                write.play(name),
                go("say_rest", "$2"),
            )
            for zeros, name in powers
        ),
        when("^([1-9][0-9]{0,2})$", go("say_low")),
        when(f"^({_SIGN}{{13,{DIGITS_MAX}}})$", go("say_digits")),
        when("^"),
    )
    yield macro("say_rest", when("^0+$"), when("^0*([1-9][0-9]*)$", go("say_number")), when("^"))
    yield macro("say_amount", when("^([0-9]+)$", go("say_number"), write.play("yen")))
    yield macro(
        "say_ordinal",
        when("^([0-9]|1[0-9]|20|30)$", write.play("ordinal_$1")),
        when("^([23])([1-9])$", write.play("ten_$1", "ordinal_$2")),
    )
    yield macro(
        "say_year",
        when("^([0-9]00[0-9])$", go("say_number")),
        when("^([0-9]{2})00$", go("say_number"), write.play("hundred")),
        when("^([0-9]{2})0([1-9])$", go("say_number"), write.play("oh", "unit_$2")),
        when("^([0-9]{2})([1-9][0-9])$", go("say_number"), go("say_number", "$2")),
    )
    yield macro(
        "say_date",
        when(
            "^([0-9]{4})-0?([1-9][0-9]?)-0?([1-9][0-9]?)$",
            write.play("month_$2"),
            go("say_ordinal", "$3"),
            go("say_year"),
        ),
        when("^0?([1-9][0-9]?)-0?([1-9][0-9]?)$", write.play("month_$1"), go("say_ordinal", "$2")),
    )
    yield macro(
        "say_time",
        when("^0?0:", write.play("unit_12"), last=False),
        when("^0?([1-9]|1[0-2]):", write.play("unit_$1"), last=False),
        *(when(f"^{hour}:", write.play(f"unit_{hour - _NOON}"), last=False) for hour in range(_NOON + 1, 24)),
        when(":00$", write.play("oclock"), last=False),
        when(":0([1-9])$", write.play("oh", "unit_$1"), last=False),
        when(":([1-5][0-9])$", go("say_number"), last=False),
        when("^(?:0?[0-9]|1[01]):", write.play("am")),
        when("^(?:1[2-9]|2[0-3]):", write.play("pm")),
    )
    yield macro(
        "say_duration",
        *(
            inner
            for name, before, after in (
                ("hour", "^0*", ":[0-9]+:[0-9]+$"),
                ("minute", "^[0-9]+:0*", ":[0-9]+$"),
                ("second", "^[0-9]+:[0-9]+:0*", "$"),
            )
            for inner in (
                when(f"{before}1{after}", write.play("unit_1", name), last=False),
                when(
                    f"{before}([2-9]|[1-9][0-9]){after}",
                    go("say_number"),
                    write.play(f"{name}s"),
                    last=False,
                ),
            )
        ),
        when("^0+:0+:0+$", write.play("unit_0", "seconds")),
    )
    yield macro("say_moment", when("^([0-9]+)$", go(f"say_part@{ENGLISH_WHEN}")))
