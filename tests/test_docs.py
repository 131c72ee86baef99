"""The guides against the code: an operator writes a document by its description, so the two must say the same."""

import re
from pathlib import Path

from appliance import problems, site, site_fields
from appliance.site_rules import SITE_TEMPLATES
from tests.bench.__main__ import NAMES

DOCS = Path(__file__).parent.parent / "docs"
BENCHMARKS = (DOCS / "benchmarks.md").read_text("utf-8")
SITE_DOCUMENT = (DOCS / "site-document.md").read_text("utf-8")
FEATURE_CODES = (DOCS / "feature-codes.md").read_text("utf-8")
FIELD_ROW = re.compile(
    r"^\| `(?P<path>[a-z0-9_.\[\]]+)` \| (?P<kind>[^|]+) \| (?P<default>[^|]*) \|", re.MULTILINE
)

FROM_OTHER_FIELDS = {
    "site.name": "the id",
    "site.realm": "the domain",
    "extensions[].username": "the number",
    "groups[].name": "the number",
}
"""Defaults that another field gives."""


def described() -> dict[str, tuple[str, str]]:
    rows = FIELD_ROW.finditer(SITE_DOCUMENT + FEATURE_CODES)
    return {row["path"]: (row["kind"].strip(), row["default"].strip()) for row in rows}


def said(path: str, default: object) -> str:
    """A default in the words of the description."""
    if path in FROM_OTHER_FIELDS:
        return FROM_OTHER_FIELDS[path]
    if default is None:
        return "required"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list) and default:
        return ", ".join(default)
    return str(default) or '""'


def test_site_document_describes_every_field_with_type_and_default() -> None:
    parsed = {
        path.removeprefix("$."): (asked.kind, said(path.removeprefix("$."), asked.default))
        for path, asked in site.fields().items()
    }
    assert described() == parsed


def test_site_document_describes_every_rule() -> None:
    rows = re.findall(r"^\| `(site\.[a-z_]+)` \| [A-Z`]", SITE_DOCUMENT, re.MULTILINE)
    assert sorted(rows) == sorted(SITE_TEMPLATES)


def test_stated_limits_are_those_of_the_parser() -> None:
    limits = {
        f"{site.DOCUMENT_MAX_BYTES // 2**20} MiB",
        f"{site_fields.EXTENSIONS_MAX:,}",
        f"{site_fields.GROUPS_MAX:,}",
        f"{site_fields.GROUP_MEMBERS_MAX:,}",
        f"{site_fields.REMOTE_EXTENSIONS_MAX:,}",
        f"{site_fields.UPSTREAMS_MAX}, {site_fields.GATEWAYS_MAX}",
        f"{problems.PROBLEMS_MAX:,}",
    }
    rows = re.findall(r"^\| [^|`]+ \| ([^|]+) \|[^|]*\|$", SITE_DOCUMENT, re.MULTILINE)
    assert limits <= {row.strip() for row in rows}


def test_every_benchmark_has_a_chapter_of_results_and_every_chapter_a_benchmark() -> None:
    assert re.findall(r"^## `bin/bench (\w+)`", BENCHMARKS, re.MULTILINE) == list(NAMES)
    assert set(re.findall(r"bin/bench ([a-z]+)", BENCHMARKS)) == set(NAMES)


def test_every_chapter_of_results_tells_when_they_were_measured_and_what_they_ran_on() -> None:
    chapters = re.split(r"^## `bin/bench ", BENCHMARKS, flags=re.MULTILINE)[1:]
    assert [
        chapter
        for chapter in chapters
        if not re.search(r"^Measured 20\d\d-\d\d-\d\d on ", chapter, re.MULTILINE)
    ] == []
