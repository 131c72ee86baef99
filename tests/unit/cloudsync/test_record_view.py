"""What `kyusai records` shows: words of the reader's language, the site's time, columns that stand."""

import io
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len
from rich.console import Console

from appliance.kamailio import causes
from appliance.kamailio.actions import Outcome, StepKind
from appliance.text import Lang, catalogue
from cloudsync.held import Held
from cloudsync.record_rows import Shown
from cloudsync.record_view import length, view

TOKYO = ZoneInfo("Asia/Tokyo")


def cdr(**body: Any) -> dict[str, Any]:
    told = {
        "start_utc": "2026-11-21T15:00:01.000Z",
        "caller": "201",
        "dialled": "202",
        "number": "202",
        "answered_by": "202",
        "billsec_ms": 63_000,
        "disposition": "answered",
        "cause": "normal_clearing",
        "route": [{"kind": "cloud", "target": "cloud", "outcome": "answered"}],
        "link_state": "UP",
        "codec": "G722",
        "quality": {"mos": 4.4, "loss": 0.0},
        "clock_ok": True,
    }
    row = {"id": "cdr-1", "site_id": "tokyo-1", "kind": "cdr", "created_utc": "2026-11-21T15:02:00.000Z"}
    return {**row, "body": told | body}


def event(**body: Any) -> dict[str, Any]:
    return {**cdr(), "id": "event-1", "kind": "event", "body": body}


def table(*rows: Shown, lang: Lang = "en", zone: tzinfo | None = TOKYO) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=300).print(view(rows, lang, lambda _site: zone))
    return out.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_answered_call_is_one_line_in_the_time_of_its_site() -> None:
    lines = table(Shown(cdr()))
    assert "Start (JST)" in lines[1]
    assert cells(lines[3]) == [
        "2026-11-22 00:00:01", "201", "202", "1:03", "answered", "cloud", "UP", "G722, MOS 4.4", "",
    ]  # fmt: skip


def test_call_that_took_a_second_way_says_why_and_what_is_odd_about_it() -> None:
    route = [
        {"kind": "cloud", "target": "cloud", "outcome": "no_life"},
        {"kind": "contacts", "target": "", "outcome": "no_answer"},
    ]
    row = cdr(
        route=route, disposition="failed", cause="preempted", link_state="DOWN", billsec_ms=0, answered_by="",
        emergency=True, incomplete=True, clock_ok=False, recordings=["rec-1"], quality={"loss": 0.104},
    )  # fmt: skip
    assert cells(table(Shown(row))[3])[3:] == [
        "",
        "failed (gave way to an emergency call)",
        "cloud (no sign of life) → telephones (no answer)",
        "DOWN",
        "G722, 10.4% lost",
        "emergency, recorded, incomplete, times uncertain",
    ]


def test_call_says_of_its_recordings_whether_they_are_held_each_word_once() -> None:
    held = [{"name": "a", "held": ["stored", "missing"]}, {"name": "b", "held": ["missing"]}]
    row = cdr(recordings=["a", "b"], emergency=True) | {"recordings_held": held}
    assert cells(table(Shown(row))[3])[-1] == "emergency, recorded, recording: NOT THERE"
    assert cells(table(Shown(row), lang="ja")[3])[-1] == "緊急, 録音, 録音: 所在不明"
    message = event(event="voicemail", recording="a") | {"recordings_held": held[1:]}
    assert cells(table(Shown(message))[3])[-1] == "recording=a, recording: NOT THERE"


def test_corrected_call_has_what_is_known_now_on_a_line_below() -> None:
    first, second = table(Shown(cdr(incomplete=True), cdr(billsec_ms=120_000)["body"]))[3:5]
    assert cells(first)[-1] == "incomplete, corrected"
    assert cells(second)[:5] == ["↳ 2026-11-22 00:00:01", "", "", "2:00", "answered"]


def test_correction_alone_names_the_cdr_that_it_corrects() -> None:
    row = event(event="cdr_correction", cdr_id="cdr-9", cdr=cdr()["body"])
    assert cells(table(Shown(row))[3])[-1] == "corrects cdr-9"


def test_events_have_a_table_of_their_own() -> None:
    lines = table(Shown(event(event="recording_stopped", reason="disk", free_bytes=5)), Shown(cdr()))
    assert cells(lines[-2]) == ["2026-11-22 00:02:00", "recording stopped", "reason=disk, free_bytes=5"]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_columns_stand_under_each_other_whatever_the_letters(lang: Lang) -> None:
    rows = [
        cdr(caller="佐藤"),
        cdr(caller="ｻﾄｳ", disposition="no_answer", cause="timeout", emergency=True),
        cdr(),
    ]
    lines = table(*map(Shown, rows), lang=lang)
    assert len({cell_len(line) for line in lines}) == 1
    assert ("緊急" in "".join(lines)) is (lang == "ja")


def test_sites_are_named_where_there_are_several_and_zones_where_they_differ() -> None:
    rows = [Shown(cdr()), Shown(cdr() | {"site_id": "london-1"})]
    out = io.StringIO()
    zones = {"tokyo-1": TOKYO, "london-1": UTC}
    Console(file=out, width=200).print(view(rows, "en", zones.get))
    lines = out.getvalue().splitlines()
    assert [cells(line)[:2] for line in lines[3:5]] == [
        ["2026-11-22 00:00:01 JST", "tokyo-1"],
        ["2026-11-21 15:00:01 UTC", "london-1"],
    ]


def test_caller_cannot_steer_the_readers_terminal() -> None:
    text = "\n".join(table(Shown(cdr(caller="\x1b[31m\u202e[bold]2"))))
    assert "?[31m?[bold]2" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("body", [{}, {"start_utc": "?", "route": "x", "quality": [], "billsec_ms": "9"}])
def test_record_that_says_little_or_nonsense_is_shown_all_the_same(body: dict[str, Any]) -> None:
    assert len(table(Shown(cdr() | {"body": body}))) == 5


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, ""), (None, ""), (400, "0:00"), (59_600, "1:00"), (3_725_000, "1:02:05")],
)
def test_length_is_written_as_on_a_display(milliseconds: int | None, shown: str) -> None:
    assert length(milliseconds) == shown


def test_every_word_of_a_record_has_a_text() -> None:
    plain = {"originator_cancel", "user_busy", "no_answer", "call_rejected"}
    words = {
        "cause": {*causes._SLUGS.values(), *causes.Cause, "kamailio_restart", "box_restart", "unknown"}
        - plain,
        "step": set(StepKind),
        "step_outcome": set(Outcome),
        "recording": set(Held),
    }
    keys = {f"centre.records.{about}.{word}" for about, found in words.items() for word in found}
    assert keys - set(catalogue().keys()) == set()
