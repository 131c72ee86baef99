"""Records for people: a table of calls and one of events, in the user's language and the site's time. Opens nothing."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from appliance.text import Lang, catalogue, text
from cloudsync.record_rows import Shown, is_correction

CALL_COLUMNS = ("when", "site", "caller", "callee", "length", "outcome", "route", "link", "audio", "flags")
EVENT_COLUMNS = ("when", "site", "event", "what")
NARROW = frozenset({"when", "length", "link"})
"""Columns whose cells are short and are never broken over two lines."""
LEFT_OUT = frozenset({"event", "id", "boot_id", "runs"})
"""What an event's own columns show already, or nobody reads."""

HELD = "recordings_held"
"""What was looked up of the recordings that a record names (`cloudsync.held`), beside its body."""

Body = Mapping[str, Any]
Zones = Callable[[str], tzinfo | None]
"""Time zone of a site; None: this machine's."""


def view(rows: Sequence[Shown], lang: Lang, zones: Zones) -> RenderableType:
    """Everything: calls first, then events."""
    calls: list[Shown] = []
    events: list[Shown] = []
    for one in rows:
        (calls if one.row["kind"] == "cdr" or is_correction(one.row) else events).append(one)
    parts: list[RenderableType] = []
    if calls or not events:
        lines = [line for one in calls for line in _call_lines(one, lang, zones)]
        parts.append(_table(CALL_COLUMNS, lines, lang))
    if events:
        parts.append(_table(EVENT_COLUMNS, [_event_line(one, lang, zones) for one in events], lang))
    return Group(*parts)


def clock_time(utc: str, zone: tzinfo | None) -> str:
    """A time of a record in a zone, to the second; as it is when it is none."""
    try:
        return datetime.fromisoformat(utc).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    except (ValueError, TypeError, OverflowError):
        return str(utc)


def length(milliseconds: object) -> str:
    """A duration as on a telephone's display: "0:07", "1:02:09"; "" for none."""
    if not isinstance(milliseconds, int) or milliseconds <= 0:
        return ""
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _call_lines(one: Shown, lang: Lang, zones: Zones) -> list[dict[str, str]]:
    row, zone = one.row, zones(one.row["site_id"])
    if is_correction(row):
        flags = [f"{_word('flag', 'corrects', lang)} {row['body']['cdr_id']}"]
        return [_call_line(row["site_id"], _in_time(row, row["body"]["cdr"]), lang, zone, flags)]
    body = {**_in_time(row, row["body"]), HELD: row.get(HELD)}
    lines = [_call_line(row["site_id"], body, lang, zone, _clock(row, lang))]
    if one.corrected is not None:
        line = _call_line("", _in_time(row, one.corrected), lang, zone, [])
        lines[0]["flags"] = ", ".join(filter(None, (lines[0]["flags"], _word("flag", "corrected", lang))))
        lines.append({**line, "when": f"↳ {line['when']}", "caller": "", "callee": ""})
    return lines


def _in_time(row: Body, body: Body) -> Body:
    """The call with its true times, where the box's clock was wrong; where only its arrival is known, that."""
    if not row.get("time_source"):
        return body
    times = row.get("times") or ({"start_utc": row["at_utc"]} if row["time_source"] == "arrival" else {})
    return {**body, **times, "clock_ok": None}


def _recordings(held: object, lang: Lang) -> list[str]:
    """Whether the recordings that a record names are held, each word once."""
    words = [str(word) for one in _dicts(held) for word in one.get("held", ())]
    return [_word("recording", word, lang) for word in dict.fromkeys(words)]


def _clock(row: Body, lang: Lang) -> list[str]:
    """What to say of a time that is not the one that the box told."""
    source = row.get("time_source")
    told = str(row["body"].get("start_utc") or row["created_utc"])[:16].replace("T", " ")
    return [f"{_word('flag', f'clock_{source}', lang)} ({told}Z)"] if source else []


def _call_line(
    site: str, body: Body, lang: Lang, zone: tzinfo | None, more_flags: list[str]
) -> dict[str, str]:
    return {
        "when": clock_time(str(body.get("start_utc", "")), zone),
        "site": site,
        "caller": str(body.get("caller") or body.get("origin_id") or "?"),
        "callee": _callee(body),
        "length": length(body.get("billsec_ms")),
        "outcome": _outcome(body, lang),
        "route": " → ".join(_step(step, lang) for step in _dicts(body.get("route"))),
        "link": str(body.get("link_state", "")),
        "audio": _audio(body, lang),
        "flags": ", ".join([*_flags(body, lang), *more_flags]),
    }


def _callee(body: Body) -> str:
    dialled, by = str(body.get("dialled") or "?"), str(body.get("answered_by") or "")
    return f"{dialled} ({by})" if by and by not in (dialled, body.get("number")) else dialled


def _outcome(body: Body, lang: Lang) -> str:
    """The disposition, with the cause where it says more."""
    disposition, cause = str(body.get("disposition", "")), str(body.get("cause", ""))
    told = _word("disposition", disposition, lang)
    plain = {
        "normal_clearing",
        "originator_cancel",
        "user_busy",
        "no_answer",
        "call_rejected",
        "rejected",
        "",
    }
    return told if cause in plain else f"{told} ({_word('cause', cause, lang)})"


def _step(step: Body, lang: Lang) -> str:
    """Where a call was tried, and what came of it unless it was answered there."""
    kind, outcome = str(step.get("kind", "")), str(step.get("outcome", ""))
    target = str(step.get("target") or _word("step", kind, lang))
    return target if outcome in ("", "answered") else f"{target} ({_word('step_outcome', outcome, lang)})"


def _audio(body: Body, lang: Lang) -> str:
    quality = body.get("quality")
    quality = quality if isinstance(quality, dict) else {}
    parts = [str(body.get("codec") or "")]
    if isinstance(quality.get("mos"), int | float):
        parts.append(f"MOS {quality['mos']:.1f}")
    if isinstance(quality.get("loss"), int | float) and quality["loss"] > 0:
        parts.append(text("centre.records.loss", lang, share=f"{quality['loss']:.1%}"))
    return ", ".join(part for part in parts if part)


def _flags(body: Body, lang: Lang) -> list[str]:
    said = {
        "emergency": body.get("emergency"),
        "recorded": body.get("recordings") and not body.get(HELD),
        "announced": body.get("announced"),
        "not_recorded": body.get("recording_refused") not in (None, "", "unannounced"),
        "unannounced": body.get("recording_refused") == "unannounced",
        "transferred": body.get("transfers"),
        "incomplete": body.get("incomplete"),
        "clock": body.get("clock_ok") is False,
    }
    words = [_word("flag", name, lang) for name, yes in said.items() if yes]
    return [*words, *_recordings(body.get(HELD), lang)]


def _event_line(one: Shown, lang: Lang, zones: Zones) -> dict[str, str]:
    row, body = one.row, one.row["body"]
    name = str(body.get("event") or row["kind"])
    told = {key: value for key, value in body.items() if key not in LEFT_OUT}
    more = [*_recordings(row.get(HELD), lang), *_clock(row, lang)]
    what = ", ".join([*(f"{key}={_plain(value)}" for key, value in told.items()), *more])
    return {
        "when": clock_time(str(row.get("at_utc") or row["created_utc"]), zones(row["site_id"])),
        "site": row["site_id"],
        "event": _word("event", name, lang),
        "what": what,
    }


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _word(about: str, value: str, lang: Lang) -> str:
    """A word of the records in the user's language; itself when the catalogue has none."""
    key = f"centre.records.{about}.{value}"
    return text(key, lang) if key in catalogue() else value


def _table(columns: Sequence[str], lines: Iterable[Mapping[str, str]], lang: Lang) -> Table:
    kept = [dict(line) for line in lines]
    zone = _one_zone(kept)
    for line in kept:
        line["when"] = line["when"].removesuffix(f" {zone}")
    few = [name for name in columns if name != "site" or len({line["site"] for line in kept} - {""}) > 1]
    table = Table()
    for name in few:
        table.add_column(
            text(f"centre.records.column.{name}", lang) + (f" ({zone})" if name == "when" and zone else ""),
            justify="right" if name == "length" else "left",
            no_wrap=name in NARROW,
            overflow="fold",
        )
    for line in kept:
        table.add_row(*(escape(_harmless(line[name])) for name in few))
    return table


def _one_zone(lines: Sequence[Mapping[str, str]]) -> str:
    """The name of the time zone when all lines have the same one; it then stands in the heading alone."""
    names = {line["when"].rpartition(" ")[2] for line in lines}
    return names.pop() if len(names) == 1 else ""


def _harmless(cell: str) -> str:
    """What came out of a SIP message must not steer the reader's terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in cell)


def _dicts(value: object) -> list[Body]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
