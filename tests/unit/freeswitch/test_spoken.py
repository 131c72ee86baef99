"""What is said of a value, against tables of readings that are not the program's, and what FreeSWITCH makes of it."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.freeswitch import spoken, spoken_files, spoken_xml
from appliance.freeswitch.spoken_pieces import JAPANESE, PIECES
from appliance.freeswitch.xml import element, text
from tests.helpers.phrases import Macros

FOLDER = "/p"


def language(name: str) -> Macros:
    default = element("macros", *spoken_xml.macros(FOLDER, name))
    whole = element("language", element("phrases", default, *spoken_xml.groups(FOLDER, name)), name=name)
    return Macros(text(whole))


MACROS = {name: language(name) for name in ("en", "ja")}


def played(name: str, macro: str, data: str) -> tuple[str, ...]:
    files = MACROS[name].play(macro, data)
    start = f"{FOLDER}/say/{name}/"
    assert all(file.startswith(start) for file in files)
    pieces = tuple(file.removeprefix(start).removesuffix(".wav") for file in files)
    assert set(pieces) <= set(PIECES[name])
    return pieces


def read(pieces: tuple[str, ...]) -> str:
    return "".join(JAPANESE[piece].reading for piece in pieces)


def words(pieces: tuple[str, ...]) -> str:
    return " ".join(PIECES["en"][piece].text for piece in pieces)


NUMBERS_JA = {
    0: "ゼロ",
    1: "イチ",
    4: "ヨン",
    7: "ナナ",
    9: "キュー",
    10: "ジュー",
    14: "ジューヨン",
    20: "ニジュー",
    99: "キュージューキュー",
    100: "ヒャク",
    101: "ヒャクイチ",
    200: "ニヒャク",
    300: "サンビャク",
    365: "サンビャクロクジューゴ",
    600: "ロッピャク",
    800: "ハッピャク",
    1000: "セン",
    1234: "センニヒャクサンジューヨン",
    3000: "サンゼン",
    3600: "サンゼンロッピャク",
    8000: "ハッセン",
    8888: "ハッセンハッピャクハチジューハチ",
    10_000: "イチマン",
    11_000: "イチマンセン",
    20_001: "ニマンイチ",
    100_000: "ジューマン",
    1_000_000: "ヒャクマン",
    3_000_000: "サンビャクマン",
    10_000_000: "イッセンマン",
    12_345_678: "イッセンニヒャクサンジューヨンマンゴセンロッピャクナナジューハチ",
    100_000_000: "イチオク",
    100_000_001: "イチオクイチ",
    123_000_000_000: "イッセンニヒャクサンジューオク",
    999_999_999_999: "キューセンキューヒャクキュージューキューオク"
    "キューセンキューヒャクキュージューキューマン"
    "キューセンキューヒャクキュージューキュー",
}
"""After "Japanese numerals" and "Japanese counter word" of Wikipedia; see test_spoken_readings too."""

DAYS_JA = (
    "ツイタチ フツカ ミッカ ヨッカ イツカ ムイカ ナノカ ヨーカ ココノカ トーカ "
    "ジューイチニチ ジューニニチ ジューサンニチ ジューヨッカ ジューゴニチ "
    "ジューロクニチ ジューシチニチ ジューハチニチ ジュークニチ ハツカ "
    "ニジューイチニチ ニジューニニチ ニジューサンニチ ニジューヨッカ ニジューゴニチ "
    "ニジューロクニチ ニジューシチニチ ニジューハチニチ ニジュークニチ サンジューニチ サンジューイチニチ"
)
MONTHS_JA = (
    "イチガツ ニガツ サンガツ シガツ ゴガツ ロクガツ "
    "シチガツ ハチガツ クガツ ジューガツ ジューイチガツ ジューニガツ"
)
HOURS_JA = "レージ イチジ ニジ サンジ ヨジ ゴジ ロクジ シチジ ハチジ クジ ジュージ ジューイチジ"
MINUTES_JA = "イップン ニフン サンプン ヨンプン ゴフン ロップン ナナフン ハップン キューフン ジュップン"
YEN_JA = {
    0: "ゼロエン",
    1: "イチエン",
    4: "ヨエン",
    14: "ジューヨエン",
    100: "ヒャクエン",
    104: "ヒャクヨエン",
    3800: "サンゼンハッピャクエン",
    10_000: "イチマンエン",
    10_004: "イチマンヨエン",
    298_000: "ニジューキューマンハッセンエン",
}


@pytest.mark.parametrize(("value", "reading"), NUMBERS_JA.items())
def test_a_number_in_japanese_has_its_sound_changes(value: int, reading: str) -> None:
    assert read(spoken.number(value, "ja")) == reading


def test_days_and_months_in_japanese_have_their_own_names() -> None:
    assert [read(spoken.day(date(2026, 1, day), "ja")[1:]) for day in range(1, 32)] == DAYS_JA.split()
    assert [read(spoken.day(date(2026, month, 1), "ja")[:1]) for month in range(1, 13)] == MONTHS_JA.split()


def test_hours_and_minutes_in_japanese_have_their_own_names() -> None:
    hours = [read(spoken.clock(hour, 0, "ja")) for hour in range(12)]
    assert hours == [f"ゴゼン{hour}" for hour in HOURS_JA.split()]
    assert read(spoken.clock(12, 0, "ja")) == "ゴゴレージ"
    assert read(spoken.clock(19, 47, "ja")) == "ゴゴシチジヨンジューナナフン"
    assert read(spoken.clock(19, 40, "ja", hours_24=True)) == "ジュークジヨンジュップン"
    assert [read(spoken.minutes(minute)) for minute in range(1, 11)] == MINUTES_JA.split()


@pytest.mark.parametrize(("value", "reading"), YEN_JA.items())
def test_an_amount_in_japanese_ends_as_it_is_said(value: int, reading: str) -> None:
    assert read(spoken.amount(value, "ja")) == reading


def test_years_in_japanese_end_as_they_are_said() -> None:
    assert read(spoken.year(2024, "ja")) == "ニセンニジューヨネン"
    assert read(spoken.year(2030, "ja")) == "ニセンサンジューネン"


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("09012345678", ("090", "1234", "5678")),
        ("+819012345678", ("090", "1234", "5678")),
        ("0312345678", ("03", "1234", "5678")),
        ("0120123456", ("0120", "123", "456")),
        ("08001234567", ("0800", "123", "4567")),
        ("0451234567", ("045123", "4567")),
        ("201", ("201",)),
        ("+442079460958", ("+442079460958",)),
    ],
)
def test_a_telephone_number_is_said_in_its_parts(number: str, parts: tuple[str, ...]) -> None:
    assert spoken.telephone_parts(number) == parts
    assert spoken.telephone(number, "ja").count("no") == len(parts) - 1
    assert played("ja", "say_telephone", number) == spoken.telephone(number, "ja")
    assert played("en", "say_telephone", number) == spoken.telephone(number, "en")


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (spoken.number(0, "en"), "zero"),
        (spoken.number(1_215_013, "en"), "one million two hundred fifteen thousand thirteen"),
        (spoken.day(date(2026, 11, 21), "en", with_year=True), "November twenty first twenty twenty six"),
        (spoken.day(date(2005, 5, 30), "en", with_year=True), "May thirtieth two thousand five"),
        (spoken.year(1905, "en"), "nineteen oh five"),
        (spoken.year(1900, "en"), "nineteen hundred"),
        (spoken.clock(0, 0, "en"), "twelve o'clock A M"),
        (spoken.clock(13, 5, "en"), "one oh five P M"),
        (spoken.clock(9, 30, "en", hours_24=True), "zero nine thirty"),
        (spoken.clock(18, 0, "en", hours_24=True), "eighteen hundred"),
        (spoken.amount(1_01, "en", "USD"), "one dollar and one cent"),
        (spoken.amount(2_50, "en", "USD"), "two dollars and fifty cents"),
        (spoken.amount(99, "en", "USD"), "ninety nine cents"),
        (spoken.duration(3_661, "en"), "one hour one minute one second"),
        (spoken.duration(0, "en"), "zero seconds"),
        (spoken.digits("*97#", "en"), "star nine seven hash"),
    ],
)  # fmt: skip
def test_english_is_said_as_it_is_read(pieces: tuple[str, ...], said: str) -> None:
    assert words(pieces) == said


@given(st.integers(0, spoken.NUMBER_MAX) | st.integers(0, 20_000), st.sampled_from(["en", "ja"]))
def test_freeswitch_says_a_number_as_it_is_said(value: int, name: str) -> None:
    assert played(name, "say_number", str(value)) == spoken.number(value, name)
    assert played(name, "say_amount", str(value)) == spoken.amount(value, name)


@given(st.text("0123456789*#+", max_size=32), st.sampled_from(["en", "ja"]))
def test_freeswitch_says_digits_one_by_one(value: str, name: str) -> None:
    assert played(name, "say_digits", value) == spoken.digits(value, name)


@pytest.mark.parametrize("name", ["en", "ja"])
def test_freeswitch_says_every_time_and_date_as_it_is_said(name: str) -> None:
    for minute in range(24 * 60):
        hour, rest = divmod(minute, 60)
        assert played(name, "say_time", f"{hour:02d}:{rest:02d}") == spoken.clock(hour, rest, name)
    for number in range(0, 366 * 60, 13):
        when = date(1990, 1, 1) + timedelta(number)
        assert played(name, "say_date", when.isoformat()) == spoken.day(when, name, with_year=True)


@given(st.integers(0, spoken.DURATION_MAX_S), st.sampled_from(["en", "ja"]))
def test_freeswitch_says_a_length_of_time_as_it_is_said(seconds: int, name: str) -> None:
    data = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    assert played(name, "say_duration", data) == spoken.duration(seconds, name)


@pytest.mark.parametrize("data", ["${sip_from_user}", "anonymous", "1'; DROP", "", "９０", "1" * 60])
@pytest.mark.parametrize("macro", ["say_number", "say_telephone", "say_digits"])
@pytest.mark.parametrize("name", ["en", "ja"])
def test_what_is_no_number_says_nothing_and_breaks_nothing(data: str, macro: str, name: str) -> None:
    if macro != "say_digits" or not data.isascii() or not data.isdigit():
        assert played(name, macro, data) == ()


@pytest.mark.parametrize("value", [-1, spoken.NUMBER_MAX + 1])
def test_a_number_that_nobody_could_follow_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="can be said"):
        spoken.number(value, "ja")


def mod_say_ja_time(hour: int, minute: int) -> list[str]:
    """The files that ja_say_time of mod_say_ja.c (1.11.2) asks for."""
    files = ["time/am" if hour < 12 else "time/pm", f"time/hour-{hour}"]
    last = minute
    if minute > 10:
        tens, last = divmod(minute, 10)
        files += [f"digits/{tens}"] if tens > 1 else []
        if last:
            files.append("digits/10")
        else:
            last = 10
    if not last:
        return [*files, "time/oclock"]
    if last in (1, 3, 4, 6, 8, 10):
        return [*files, f"time/min-{last}"]
    return [*files, f"digits/{last}", "time/minute"]


def test_the_say_module_for_japanese_finds_what_is_right_for_every_minute_of_a_day() -> None:
    names = spoken_files.names()
    for number in range(24 * 60):
        hour, minute = divmod(number, 60)
        files = mod_say_ja_time(hour, minute)
        pieces = [names[f"{spoken_files.JAPANESE_CLOCK}/{file}.wav"][1] for file in files]
        assert read(tuple(filter(None, pieces))) == read(spoken.clock(hour, minute, "ja")), (hour, minute)


def mod_say_ja_date(when: date) -> list[str]:
    """The same for dates, years of this century."""
    year = [f"digits/{when.year // 1000}", "digits/1000"]
    year += [f"digits/{when.year // 10 % 10}"] if when.year // 10 % 10 > 1 else []
    year += ["digits/10"] if when.year // 10 % 10 else []
    year += [f"digits/{when.year % 10}"] if when.year % 10 else []
    return [*year, "time/year", f"time/month-{when.month - 1}", f"time/day-{when.day}"]


def test_the_say_module_for_japanese_finds_what_is_right_for_every_day_and_no_year() -> None:
    names = spoken_files.names()
    for number in range(0, 366 * 70, 7):
        when = date(2026, 1, 1) + timedelta(number)
        files = mod_say_ja_date(when)
        pieces = [names[f"{spoken_files.JAPANESE_DAY}/{file}.wav"][1] for file in files]
        assert tuple(filter(None, pieces)) == spoken.day(when, "ja")


def test_every_name_leads_to_a_piece() -> None:
    for language_, piece in spoken_files.names().values():
        assert piece == spoken_files.SILENCE or piece in PIECES[language_]


def test_a_moment_is_split_by_the_say_modules() -> None:
    assert MACROS["en"].play("say_moment", "1795000000") == ["say:en-when:short_date_time:1795000000"]
    assert MACROS["ja"].play("say_moment", "1795000000") == [
        "say:ja-day:current_date:1795000000",
        "say:ja-clock:current_time:1795000000",
    ]
