"""Which keys of a telephone find a person: letters for names in Latin script, the row of the kana for readings. Pure.

One press a letter or kana, as telephones are printed: ABC on 2, あ row on 1, か row on 2 ... ら row on 9, わをん on 0. Voiced and
small kana count as their row; ー and what is no letter is passed over.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

KEYS_MAX = 3
"""Of a name that are asked for: 1,000 people share 500 such beginnings or more."""

KEYS_MIN = 2

_LETTERS = {
    letter: str(key)
    for key, letters in enumerate(("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"), 2)
    for letter in letters
}
_ROWS = {
    kana: str(key % 10)
    for key, row in enumerate(
        (
            "アイウエオ",
            "カキクケコ",
            "サシスセソ",
            "タチツテト",
            "ナニヌネノ",
            "ハヒフヘホ",
            "マミムメモ",
            "ヤユヨ",
            "ラリルレロ",
            "ワヰヱヲン",
        ),
        1,
    )
    for kana in row
}
_SMALL = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_TO_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the directory. name: as shown; kana: its reading in hiragana or katakana, or ""."""

    number: str
    name: str
    kana: str = ""


def keys_of(word: str) -> str:
    """The first keys of one word, "" for one that no telephone can spell."""
    found = []
    for character in _plain(word):
        key = _LETTERS.get(character) or _ROWS.get(character)
        if key:
            found.append(key)
    return "".join(found)[:KEYS_MAX]


def _plain(word: str) -> str:
    """Small letters without accents, katakana of full size without voicing."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", word).translate(_TO_KATAKANA))
    return "".join(one for one in decomposed if not unicodedata.combining(one)).translate(_SMALL).lower()


def spellings(person: Person) -> frozenset[str]:
    """Beginnings that find a person: of each word of the name and of the reading."""
    words = (*person.name.split(), *person.kana.split())
    return frozenset(keys for word in words if len(keys := keys_of(word)) >= KEYS_MIN)


def found(people: Iterable[Person], most: int) -> dict[str, tuple[Person, ...]]:
    """Keys -> who is found by them, by name; at most so many."""
    table: dict[str, list[Person]] = {}
    for person in people:
        for keys in spellings(person):
            table.setdefault(keys, []).append(person)
    order = {
        keys: sorted(some, key=lambda one: (one.kana, one.name, one.number)) for keys, some in table.items()
    }
    return {keys: tuple(order[keys][:most]) for keys in sorted(order)}
