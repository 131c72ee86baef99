"""Whatever the agent's sync side may tell a person is there in English and Japanese, with the same placeholders."""

import re
import string
from pathlib import Path

import pytest

from appliance.text import catalogue

AGENT = Path(__file__).parents[2] / "agent"
MODULES = (
    "cloud_errors.py",
    "enrol.py",
    "identity.py",
    "journal_reader.py",
    "senders.py",
    "spool_errors.py",
)
KEYS = sorted(
    {
        key
        for module in MODULES
        for key in re.findall(
            r'"((?:cloud|enrolment|identity|journal|spool|recording)\.[a-z_]+)"', (AGENT / module).read_text()
        )
    }
    - {"cloud.refused"}
)


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("key", KEYS)
def test_every_error_has_both_languages_and_a_hint(key: str) -> None:
    texts = catalogue()
    for name in (key, f"{key}.hint"):
        english, japanese = texts.template(name, "en"), texts.template(name, "ja")
        assert english != japanese, name
        assert fields(japanese) <= fields(english), name


def test_the_modules_raise_what_is_tested_here() -> None:
    assert len(KEYS) >= 18
