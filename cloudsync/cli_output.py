"""What the centre's commands print: tables for people, JSON for programs. Decides nothing."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from appliance.errors import KyusaiError
from appliance.problems import DocumentError, Problem
from appliance.text import catalogue, explain, language, retold, text
from cloudsync import record_view
from cloudsync.wire import AtRest

if TYPE_CHECKING:
    from cloudsync.series import Point
    from cloudsync.service.audit_log import Checked
    from cloudsync.service.record_search import Found
    from cloudsync.service.sites import BoxView, SiteView
    from cloudsync.service.strays import Stray
    from cloudsync.store.recordings import Recording

PROBLEMS_SHOWN = 5
"""Of a refused configuration, in the table of sites; the JSON has all of them."""

LANG = language(os.environ)
PIPE_WIDTH = 240
"""Columns where the output is no terminal: lines are not to be cut for `grep`."""


def said(key: str, **values: object) -> str:
    """A text of the catalogue in the user's language."""
    return text(key, LANG, **values)


def say(key: str, **values: object) -> None:
    """Print one line."""
    print(said(key, **values))


def print_json(value: Any) -> None:
    """Print JSON, indented."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_error(error: KyusaiError) -> None:
    """One line, the hint apart, and every problem of a document with its path; to standard error."""
    console = _console(stderr=True)
    message, hint = explain(error, LANG)
    console.print(escape(message), style="bold red", soft_wrap=True)
    if hint:
        console.print(escape(hint), soft_wrap=True)
    if isinstance(error, DocumentError):
        for problem in error.problems:
            _print_problem(console, problem, "  ")


def print_warnings(warnings: Iterable[Problem]) -> None:
    """What the author of a document should know although it is published; to standard error."""
    console = _console(stderr=True)
    for warning in warnings:
        _print_problem(console, warning, said("centre.said.warning"))


def _print_problem(console: Console, problem: Problem, before: str) -> None:
    line, hint = explain(KyusaiError(problem.key, problem.message, problem.hint, **problem.values), LANG)
    console.print(f"{before}{problem.path}: {line}", markup=False, highlight=False, soft_wrap=True)
    if hint:
        console.print(f"      {hint}", markup=False, highlight=False, style="dim", soft_wrap=True)


def print_sites(sites: Iterable["SiteView"]) -> None:
    """The table of `kyusai sites`."""
    rows = [
        (
            site.id,
            site.name,
            site.tenant,
            _version(site),
            _records(site),
            str(site.recordings),
            "\n".join(_box(box) for box in site.boxes) or "-",
        )
        for site in sites
    ]
    print_table(("site", "name", "tenant", "version", "records", "recordings", "boxes"), rows)


def _version(site: "SiteView") -> str:
    """`13`, with how many changes made at its boxes wait for a decision: `13 (+2)`."""
    waiting = f" (+{site.local_changes})" if site.local_changes else ""
    return f"{site.version or '-'}{waiting}"


def _records(site: "SiteView") -> str:
    """`4,411 / 4,411`, with what its boxes gave up, which is none of the second number, and what was refused."""
    given_up = f" (-{site.records_given_up:,})" if site.records_given_up else ""
    refused = f" (!{site.records_refused})" if site.records_refused else ""
    return f"{site.records:,} / {site.records + site.records_missing:,}{given_up}{refused}"


def _box(box: "BoxView") -> str:
    problems = [f"  {retold(one, LANG)}" for one in box.config_reasons[:PROBLEMS_SHOWN]]
    if box.cloned_utc is not None:
        problems.insert(
            0, "  " + said("centre.standing.cloned", since=box.cloned_utc, at=", ".join(box.seen_at))
        )
    state = said(f"centre.box.{box.state}")
    return "\n".join([f"{box.id} {state}{_standing(box)}{_disk(box)}", *problems])


def _disk(box: "BoxView") -> str:
    """`, disk not encrypted`, and whether audio is on it; nothing for one that is encrypted, or that did not tell."""
    if not box.exposed or not box.disk_encryption:
        return ""
    if box.audio_encryption in (AtRest.NONE, AtRest.UNKNOWN):
        return said(f"centre.disk.{box.disk_encryption}") + said("centre.disk.audio")
    return said(f"centre.disk.{box.disk_encryption}")


def _standing(box: "BoxView") -> str:
    """` v12 applied`, or ` v12, not v13: rolled_back since …`."""
    if box.standing in ("none", "unknown"):
        return ""
    running = f" v{box.running_version}" if box.running_version else ""
    if box.standing == "applied":
        return said("centre.standing.applied", running=running)
    key = f"centre.standing.{box.standing}"
    return said(key, running=running or " -", wanted=box.wanted_version, since=box.standing_since_utc)


def print_records(found: "Found") -> None:
    """The tables of `kyusai records`."""
    _console().print(record_view.view(found.shown, LANG, found.zones))
    if found.bounded:
        print(said("centre.records.bounded", count=f"{found.searched:,}"), file=sys.stderr)


def print_series(points: Iterable["Point"]) -> None:
    """The table of `kyusai series`."""
    print_table(
        ("start", "box", "alone", "links", "registered", "calls", "waiting"),
        [
            (
                point.at_utc,
                point.box_id,
                "!" if point.figures.get("survival_mode") else "",
                " ".join(f"{name} {link.get('state', '?')}" for name, link in sorted(point.links.items())),
                *(
                    f"{point.figures[name]:.0f}" if name in point.figures else "-"
                    for name in ("registered_endpoints", "active_calls", "spool_records")
                ),
            )
            for point in points
        ],
    )


def print_refused(rows: Iterable[dict[str, Any]]) -> None:
    """The table of `kyusai records --refused`."""
    print_table(
        ("start", "site", "id", "reason", "times", "since_then"),
        [(r["last_utc"], r["site_id"], r["id"], r["reason"], str(r["times"]), _since_then(r)) for r in rows],
    )


def _since_then(refused: dict[str, Any]) -> str:
    given_up = "given_up" if refused["given_up_utc"] else "parked"
    return said(f"centre.refused.{'here' if refused['here'] else given_up}")


def print_recordings(rows: Iterable["Recording"], until_utc: Mapping[tuple[str, str], str]) -> None:
    """The table of `kyusai recordings`. until_utc: (site, id) -> when its class lets it be deleted."""
    print_table(
        ("start", "site", "id", "call", "duration", "size", "state", "class", "kept_until"),
        [
            (
                _began(row),
                row.site_id,
                row.id,
                row.call,
                f"{row.duration_s:.1f}",
                f"{row.bytes / 1024:.0f}",
                row.state if row.complete else f"{row.state} {100 * row.offset_bytes // row.bytes} %",
                row.retention or "-",
                _kept_until(row, until_utc),
            )
            for row in rows
        ],
    )


def print_strays(found: Sequence["Stray"]) -> None:
    """The table of `kyusai recordings strays`, and the sums."""
    print_table(
        ("site", "id", "call", "size"),
        [
            (
                one.site_id,
                one.id,
                str(one.row["body"].get("call_id") or one.row["id"]) if one.row else "-",
                f"{one.bytes / 1024:.0f}",
            )
            for one in found
        ],
    )
    named = sum(one.row is not None for one in found)
    say("centre.said.strays", count=len(found), bytes=f"{sum(one.bytes for one in found):,}", named=named)


def _kept_until(row: "Recording", until_utc: Mapping[tuple[str, str], str]) -> str:
    """When it may be deleted, that somebody holds it, or when it was deleted."""
    if row.deleted_utc:
        return said("centre.standing.deleted", at=row.deleted_utc)
    return said("centre.standing.held") if row.held_utc else until_utc.get((row.site_id, row.id), "-")


def _began(row: "Recording") -> str:
    """When it began; where its box's clock was wrong, with what the box had told."""
    if not row.at_utc:
        return row.started_utc
    return f"{row.at_utc} {said(f'centre.records.flag.clock_{row.time_source}')} ({row.started_utc})"


def print_audit(rows: Iterable[dict[str, Any]]) -> None:
    """The table of `kyusai centre audit`."""
    print_table(
        ("start", "actor", "action", "subject", "what"),
        [(r["at_utc"], r["actor"], r["action"], r["subject"], r["detail"]) for r in rows],
    )


def print_audit_check(checked: "Checked", as_json: bool) -> None:
    """What a check of the audit trail found."""
    if as_json:
        print_json(asdict(checked))
        return
    for one in checked.faults:
        say(f"centre.audit.{one.fault}", position=one.position, serial=one.serial)
    key = "centre.audit.broken" if checked.faults else "centre.audit.whole"
    say(key, count=checked.head.count, hash=checked.head.hash, faults=len(checked.faults))


def sites_as_json(sites: Iterable["SiteView"]) -> list[dict[str, Any]]:
    """The sites as `kyusai sites --json` prints them."""
    return [asdict(site) for site in sites]


def recordings_as_json(
    rows: Iterable["Recording"], until_utc: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """The recordings with their receipt decoded and, in `kept_until_utc`, when their class lets them be deleted."""
    return [
        {
            **asdict(row),
            "receipt": json.loads(row.receipt) if row.receipt else None,
            "kept_until_utc": until_utc.get((row.site_id, row.id)),
        }
        for row in rows
    ]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A narrow terminal breaks cells over lines and cuts none off: ids are there to be copied."""
    table = Table(*(Column(said(f"centre.column.{column}"), overflow="fold") for column in columns))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    _console().print(table)


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE_WIDTH)


def knows(key: str) -> bool:
    """Whether the catalogue has a text for `key`."""
    return key in catalogue()
