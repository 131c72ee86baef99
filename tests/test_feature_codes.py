"""The table of feature codes against the guide and against the matrix of tests: people read the one, and what the other does not
walk nobody knows to work. ``python -m tests.test_feature_codes`` writes the guide's tables anew.
"""

import ast
from itertools import combinations
from pathlib import Path

from appliance import text
from appliance.feature_codes import FEATURES, LANGUAGES, READY, Code, Feature, clashes

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "feature-codes.md"
MATRIX = ROOT / "tests" / "freeswitch" / "test_feature_codes.py"

ENGLISH = ("| field | type | default | followed by | what it does |", "|---|---|---|---|---|")
JAPANESE = ("| 特番 | 続けて押すもの | 機能 |", "|---|---|---|")
PRESSED = {"en": " (pressed during a call)", "ja": "(通話中に押す)"}


def english(feature: Feature) -> str:
    takes = text.text(f"feature.takes.{feature.takes}", "en")
    does = text.text(f"feature.{feature.id}", "en") + PRESSED["en"] * feature.pressed
    return f"| `feature_codes.{feature.id}` | string | {feature.code} | {takes} | {does} |"


def japanese(feature: Feature) -> str:
    takes = text.text(f"feature.takes.{feature.takes}", "ja")
    does = text.text(f"feature.{feature.id}", "ja") + PRESSED["ja"] * feature.pressed
    return f"| `{feature.code}` | {takes} | {does} |"


def tables() -> tuple[str, str]:
    whole = "| `feature_codes` | object | {} | | the codes of a site |"
    spoken = f"| `feature_codes.language` | one of {', '.join(LANGUAGES)} | {LANGUAGES[0]} | | what features speak |"
    return (
        "\n".join((*ENGLISH, whole, spoken, *map(english, READY))),
        "\n".join((*JAPANESE, *map(japanese, READY))),
    )


def test_the_guide_has_the_table_in_both_languages() -> None:
    guide = GUIDE.read_text("utf-8")
    for table in tables():
        assert f"\n\n{table}\n" in guide, "python -m tests.test_feature_codes writes it anew"


def test_every_code_that_works_is_walked_by_the_matrix() -> None:
    tree = ast.parse(MATRIX.read_text("utf-8"))
    rows = [
        decorator.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "row"
        and isinstance(decorator.args[0], ast.Constant)
    ]
    assert sorted(rows) == sorted(feature.id for feature in READY)


def test_no_code_can_be_taken_for_another() -> None:
    codes = [Code(one.id, one.code, one.takes, one.pressed) for one in FEATURES]
    assert [(one.id, other.id) for one, other in combinations(codes, 2) if clashes(one, other)] == []
    assert len({one.id for one in codes}) == len(codes)


def write() -> None:
    """Put the tables into the guide."""
    lines = GUIDE.read_text("utf-8").splitlines()
    made = list(tables())
    kept: list[str] = []
    for line in lines:
        begins = line in (ENGLISH[0], JAPANESE[0], "<!-- table -->", "<!-- 表 -->")
        if begins:
            kept.append(made.pop(0))
        elif not line.startswith("|"):
            kept.append(line)
    GUIDE.write_text("\n".join(kept) + "\n", "utf-8")


if __name__ == "__main__":
    write()
