"""Which keys find whom."""

import pytest

from appliance.freeswitch.directory_keys import Person, found, keys_of


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("Sato", "728"),
        ("Müller", "685"),
        ("O'Neil", "663"),
        ("さとう", "341"),
        ("サトウ", "341"),
        ("ｻﾄｳ", "341"),
        ("がっこう", "242"),
        ("ジョー", "38"),
        ("パク", "62"),
        ("わん", "00"),
        ("ー", ""),
        ("佐藤", ""),
        ("7", ""),
    ],
)
def test_keys_of_a_word(word: str, keys: str) -> None:
    assert keys_of(word) == keys


def test_people_are_found_by_every_word_of_name_and_reading_in_order_and_no_more_than_can_be_told() -> None:
    people = [Person(str(200 + index), f"Sato {letter}", "さとう") for index, letter in enumerate("CBA")]
    table = found(people, 2)
    assert [one.name for one in table["728"]] == ["Sato A", "Sato B"]
    assert table["341"] == table["728"]
    assert found([Person("201", "佐藤")], 8) == {}
