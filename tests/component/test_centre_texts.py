"""If this fails, a user meets a missing text, or the two languages say different things."""

import string
import tomllib

import pytest

from tests.helpers.centre_box import ROOT


def entries() -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []

    def walk(table: dict[str, object], path: str) -> None:
        if isinstance(table.get("en"), str):
            found.append((path, {lang: str(table.get(lang, "")) for lang in ("en", "ja")}))
        for name, value in table.items():
            if isinstance(value, dict):
                walk(value, f"{path}.{name}".lstrip("."))

    walk(tomllib.loads((ROOT / "cloudsync/texts.toml").read_text("utf-8")), "")
    return found


@pytest.mark.parametrize(
    ("key", "texts"), entries(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_both_languages_have_the_text_with_the_same_placeholders(key: str, texts: dict[str, str]) -> None:
    fields = [
        {name for _, name, _, _ in string.Formatter().parse(texts[lang]) if name} for lang in ("en", "ja")
    ]
    assert texts["ja"]
    assert fields[0] == fields[1]
