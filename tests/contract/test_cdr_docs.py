"""docs/cdr.md is what others build on: it lists exactly the fields that are made, and the words that they hold."""

import json
import re
from pathlib import Path

from agent import cdr, cdr_fields
from appliance.kamailio.dialogs import STRANGE_BURST, STRANGE_PER_MINUTE
from appliance.model import LinkState, NumberKind
from cloudsync.wire import CDR_EMPTY

TEXT = (Path(__file__).parents[2] / "docs" / "cdr.md").read_text("utf-8")


def rows(after: str) -> list[list[str]]:
    table = TEXT.partition(after)[2].lstrip().split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def test_documented_fields_are_the_made_fields_in_order() -> None:
    listed = rows("A dash: they have no such field.")
    assert tuple(row[0].strip("`") for row in listed) == cdr_fields.FIELDS
    assert {len(row) for row in listed} == {6}


def test_documented_fields_that_may_be_absent_are_those_that_are_left_out() -> None:
    listed = TEXT.partition("says just that: ")[2].partition("\n\n")[0]
    found: dict[str, object] = {}
    for names, value in re.findall(r"((?:`[a-z_]+`,?\s*)+)\(`([^`]+)`\)", listed):
        found |= dict.fromkeys(re.findall(r"`([a-z_]+)`", names), json.loads(value))
    assert found == dict(CDR_EMPTY)


def test_documented_dispositions_are_the_made_ones() -> None:
    listed = {row[0].strip("`") for row in rows("## How a call came out")}
    made = {*cdr_fields._DISPOSITION_BY_CAUSE.values(), *cdr_fields._DISPOSITION_BY_CODE.values()}
    assert listed == made | {"answered", "failed", "unknown"}


def test_documented_words_are_the_models() -> None:
    by_name = {row[0].strip("`"): row[2] for row in rows("A dash: they have no such field.")}
    assert re.findall(r"`([a-z_]+)`", by_name["kind"]) == list(NumberKind)
    assert set(re.findall(r"`([A-Z]+)`", by_name["link_state"])) == set(LinkState)


def test_documented_limits_are_the_codes() -> None:
    assert f"more than {cdr_fields.CLOCK_TOLERANCE_MS // 1000} s" in TEXT
    assert f"{cdr.ORPHAN_TALK_MAX_MS // 3_600_000} h after the restart" in TEXT
    assert f"({cdr.ORPHAN_SETUP_MAX_MS // 1000} s for a call" in TEXT
    assert f"within {cdr.TOMBSTONE_INCOMPLETE_MS // 3_600_000} h" in TEXT
    assert f"every {cdr.QUALITY_EVERY_MS // 1000} s while the call is up" in TEXT
    words = " ".join(TEXT.split())
    assert f"({STRANGE_BURST} at once and {STRANGE_PER_MINUTE} a minute for each of its workers)" in words
