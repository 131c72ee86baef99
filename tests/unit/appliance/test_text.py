"""Texts: a user must get the right language, and an error must never be lost for want of a text."""

from dataclasses import dataclass, field

import pytest

from appliance.errors import KyusaiError
from appliance.problems import Problem
from appliance.text import Catalogue, Lang, language

CATALOGUE = Catalogue(
    {
        "box.slow": {"en": "box {name} is slow", "ja": "ボックス {name} が遅い"},
        "box.slow.hint": {"en": "Wait.", "ja": "お待ちください。"},
        "box.english": {"en": "only English"},
        "word.string": {"en": "string", "ja": "文字列"},
        "field.type": {"en": "must be a {expected}", "ja": "{expected} でなければなりません"},
    }
)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_ALL": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "KYUSAI_LANG": "en"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "KYUSAI_LANG": ""}, "ja"),
        ({"KYUSAI_LANG": "JA"}, "ja"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_environment_decides_language(env: dict[str, str], expected: str) -> None:
    assert language(env) == expected


def test_text_in_japanese_is_filled() -> None:
    assert CATALOGUE.text("box.slow", "ja", name="a") == "ボックス a が遅い"


def test_text_without_japanese_is_english() -> None:
    assert CATALOGUE.text("box.english", "ja") == "only English"


def test_unknown_key_raises() -> None:
    with pytest.raises(KeyError):
        CATALOGUE.text("box.nothing")


def test_error_is_explained_in_japanese() -> None:
    error = KyusaiError("box.slow", "box a is slow", "Wait.", name="a")
    assert CATALOGUE.explain(error, "ja") == ("ボックス a が遅い", "お待ちください。")


def test_error_without_text_keeps_its_own_words() -> None:
    error = KyusaiError("no.such", "the disk is full", "Make room.")
    assert CATALOGUE.explain(error, "ja") == ("the disk is full", "Make room.")


def test_error_that_lacks_a_value_keeps_its_own_words() -> None:
    assert CATALOGUE.explain(KyusaiError("box.slow", "box is slow"), "ja") == ("box is slow", "")


def test_words_inside_a_problem_are_translated() -> None:
    problem = Problem("$.version", "field.type", "must be a string", "", {"expected": "string"})
    assert CATALOGUE.explain(problem, "ja") == ("文字列 でなければなりません", "")


@dataclass(frozen=True)
class FromElsewhere:
    """What another machine told."""

    text: str = "box a is slow (Wait.)"
    key: str = "box.slow"
    values: dict[str, str] = field(default_factory=lambda: {"name": "a"})
    path: str = ""


@pytest.mark.parametrize(
    ("told", "lang", "expected"),
    [
        pytest.param(FromElsewhere(), "ja", "ボックス a が遅い (お待ちください。)", id="known"),
        pytest.param(
            FromElsewhere(path="$.box"),
            "ja",
            "$.box: ボックス a が遅い (お待ちください。)",
            id="with its place",
        ),
        pytest.param(FromElsewhere(text="as it came"), "en", "as it came", id="English is told as it came"),
        pytest.param(FromElsewhere(key=""), "ja", "box a is slow (Wait.)", id="an older release"),
        pytest.param(FromElsewhere(key="box.new"), "ja", "box a is slow (Wait.)", id="a newer release"),
        pytest.param(FromElsewhere(values={}), "ja", "box a is slow (Wait.)", id="a value is missing"),
        pytest.param(
            FromElsewhere("must be a string", "field.type", {"expected": "string"}),
            "ja",
            "文字列 でなければなりません",
            id="a word",
        ),
        pytest.param(
            FromElsewhere(values={"name": "{name.__class__} {0}", "key": "x", "lang": "y", "self": "z"}),
            "ja",
            "ボックス {name.__class__} {0} が遅い (お待ちください。)",
            id="hostile values are shown and no more",
        ),
    ],
)
def test_what_another_machine_told_is_said_in_the_readers_language(
    told: FromElsewhere, lang: Lang, expected: str
) -> None:
    assert CATALOGUE.retold(told, lang) == expected


def test_value_with_braces_is_shown_as_it_is() -> None:
    assert CATALOGUE.text("box.slow", "en", name="{name.__class__}") == "box {name.__class__} is slow"
