"""The catalogues on disk against the code: a text that is missing shows users the wrong language or nothing."""

import ast
import string
from pathlib import Path

import pytest

from appliance import text, words
from appliance.box_rules import BOX_TEMPLATES
from appliance.site import ALL_TEMPLATES

ROOT = Path(__file__).parent.parent.parent
SAME_MAX_CHARS = 12
"""Terms such as ID, SIP or null are the same in both languages; sentences are not."""

TEMPLATES = {**BOX_TEMPLATES, **ALL_TEMPLATES}


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_text_has_both_languages_with_the_same_placeholders() -> None:
    found = text.catalogue()
    for key in found.keys():  # noqa: SIM118 - a catalogue is not a mapping
        english, japanese = found.template(key, "en"), found.template(key, "ja")
        assert english and japanese, key
        assert placeholders(english) == placeholders(japanese), key
        same = len(japanese) <= SAME_MAX_CHARS and japanese.casefold() == english.casefold()
        assert same or any(ord(letter) > 0x3000 for letter in japanese), key


def test_english_of_the_catalogue_is_that_of_the_code() -> None:
    found = text.catalogue()
    for key, (message, hint) in TEMPLATES.items():
        assert found.template(key, "en") == message, key
        assert found.template(f"{key}.hint", "en") == hint, key


def test_forms_are_said_in_japanese() -> None:
    catalogue = text.catalogue()
    english = {catalogue.template(key, "en") for key in catalogue.keys() if key.startswith("word.")}  # noqa: SIM118
    assert {form.expected for form in vars(words).values() if isinstance(form, words.Form)} <= english


def error_keys() -> list[tuple[str, str]]:
    """(file, key) of every error of the appliance package that is raised with a literal key."""
    found: list[tuple[str, str]] = []
    for path in sorted((ROOT / "appliance").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if not node.func.id.endswith(("Error", "Invalid")) or not node.args:
                continue
            key = node.args[0]
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and "." in key.value:
                found.append((str(path.relative_to(ROOT)), key.value))
    return found


@pytest.mark.parametrize(("file", "key"), error_keys())
def test_every_error_of_the_appliance_has_a_text(file: str, key: str) -> None:
    assert key in text.catalogue(), file
