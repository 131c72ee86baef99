"""How the synthesiser reads what it is given, and how it would read a whole value by its own rules: both as `spoken` says.

Open JTalk reads text by a dictionary and rules of its own, which nobody here has written.
"""

import random
import warnings
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from appliance.freeswitch import spoken
from appliance.freeswitch.spoken_pieces import JAPANESE

pyopenjtalk = pytest.importorskip("pyopenjtalk", reason="the package pyopenjtalk-plus is not installed")

RANDOM = random.Random(20261121)
NUMBERS = [*range(301), *(RANDOM.randrange(10 ** RANDOM.randint(3, 12)) for _ in range(300))]


def heard(text: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(pyopenjtalk.g2p(text, kana=True)).replace("’", "")


def read(pieces: tuple[str, ...]) -> str:
    return "".join(JAPANESE[piece].reading for piece in pieces)


def test_every_piece_is_read_as_it_must_be() -> None:
    assert {name: heard(piece.text) for name, piece in JAPANESE.items()} == {
        name: piece.reading for name, piece in JAPANESE.items()
    }


@pytest.mark.parametrize(
    ("suffix", "say"), [("", spoken.number), ("円", spoken.amount)], ids=["numbers", "amounts"]
)
def test_values_are_read_as_open_jtalk_reads_them(
    suffix: str, say: Callable[[int, str], spoken.Pieces]
) -> None:
    for value in NUMBERS:
        # 一千万 is いっせんまん; Open JTalk leaves the いっ out.
        said = read(say(value, "ja"))
        assert heard(f"{value}{suffix}").replace("イッセン", "セン") == said.replace("イッセン", "セン"), (
            value
        )


def test_every_day_of_a_year_and_every_year_are_read_as_open_jtalk_reads_them() -> None:
    for number in range(366):
        when = date(2024, 1, 1) + timedelta(number)
        assert heard(f"{when.month}月{when.day}日") == read(spoken.day(when, "ja"))
    for year in range(1950, 2060):
        assert heard(f"{year}年") == read(spoken.year(year, "ja"))


def test_times_of_day_are_read_as_open_jtalk_reads_them() -> None:
    for number in range(60, 24 * 60, 7):
        hour, minute = divmod(number, 60)
        # 八分 is はっぷん and はちふん, both right; a voice on the telephone is clearer with the first.
        other = heard(f"{hour}時" + (f"{minute}分" if minute else "")).replace("ハチフン", "ハップン")
        assert other == read(spoken.clock(hour, minute, "ja", hours_24=True)), (hour, minute)
