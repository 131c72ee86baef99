"""The status for people: tables of `rich`, from the JSON that the agent serves. Reads no clock and opens nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.disk import DiskState
from appliance.errors import KyusaiError
from appliance.text import Lang, explain, retold, text
from cloudsync.wire import AtRest, reasons_from

STATE_STYLES = {
    "UP": "green",
    "SUSPECT": "yellow",
    "DOWN": "bold red",
    "RECOVERING": "cyan",
    "UNKNOWN": "magenta",
}
PROBLEMS_SHOWN = 10
"""Of a document that was not taken; the JSON has all of them."""
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

Json = Mapping[str, Any]


def view(status: Json, lang: Lang) -> RenderableType:
    """The whole status."""
    return Group(_head(status, lang), _links(status, lang), _figures(status, lang), *_troubles(status, lang))


def span(seconds: float | None) -> str:
    """A duration in two units at most: "3 h 5 min", "12 s"; "-" for none."""
    if seconds is None:
        return "-"
    left = max(0, round(seconds))
    parts = []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    if left or not parts:
        parts.append(f"{left} s")
    return " ".join(parts[:2])


def _head(status: Json, lang: Lang) -> RenderableType:
    survival = bool(status["survival_mode"])
    mode = text("agent.status.alone" if survival else "agent.status.with_cloud", lang)
    if not status["links"]:
        mode = text("agent.status.no_upstream", lang)
    site = status["site_name"] or status["site"] or text("agent.status.not_enrolled", lang)
    return Panel(
        Text.assemble((mode, "bold red" if survival else "bold green"), f"   {status['time_utc']}"),
        title=f"{site} · {status['box']}",
        subtitle=f"kyusai {status['software']}",
        title_align="left",
    )


def _links(status: Json, lang: Lang) -> RenderableType:
    table = Table(expand=True, title=text("agent.status.links", lang), title_justify="left")
    for column in ("upstream", "state", "since", "loss", "round_trip", "hold"):
        table.add_column(
            text(f"agent.status.{column}", lang),
            justify="left" if column in ("upstream", "state") else "right",
        )
    for link in status["links"]:
        state = str(link["known_state"])
        round_trip = link["round_trip_ms"]
        hold = (
            f"{span(link['hold_left_s'])} / {span(link['hold_s'])}"
            if state == "RECOVERING"
            else span(link["hold_s"])
        )
        table.add_row(
            str(link["id"]),
            Text(state, STATE_STYLES.get(state, "")),
            span(link["state_age_s"]),
            f"{link['loss_ratio']:.0%}",
            "-" if round_trip is None else f"{round_trip:.0f} ms",
            hold,
        )
    return table


def _figures(status: Json, lang: Lang) -> RenderableType:
    kamailio, config, spool = status["kamailio"], status["config"], status["spool"]
    grid = Table.grid(padding=(0, 3))
    rows = (
        ("kamailio", text("agent.status.answers" if kamailio["alive"] else "agent.status.silent", lang)),
        ("registered", _known(kamailio["registered_contacts"])),
        ("calls", _known(kamailio["active_calls"])),
        *(
            (("applications", _applications(status["applications"], lang)),)
            if status.get("applications")
            else ()
        ),
        *_prompts(status, lang),
        ("config", f"{config['version']} ({span(config['age_s'])})"),
        ("changes", _changes(config, lang)),
        ("centre", span(config["centre_age_s"])),
        ("waiting", f"{spool['waiting']} ({span(spool['oldest_age_s'])})"),
        ("received", _received(spool, lang)),
        ("parked", str(spool["parked"] + spool.get("recordings_parked", 0))),
        ("recordings", _recordings(spool, lang)),
        *([("schedules", _schedules(status))] if status.get("schedules") else []),
        ("disk", f"{status['disk_free_bytes'] / 1e9:.1f} GB"),
        *_encryption(status, lang),
    )
    for name, value in rows:
        grid.add_row(text(f"agent.status.{name}", lang), value)
    return grid


def _encryption(status: Json, lang: Lang) -> tuple[tuple[str, str], ...]:
    """What protects the disk, and audio in the clear: `the disk (LUKS)`; no rows until it was looked at."""
    return tuple(
        (name, text(f"agent.status.{shown}_{kind}", lang))
        for name, shown in (("disk_encryption", "encrypted"), ("audio_encryption", "audio"))
        if (kind := status.get(name))
    )


def _schedules(status: Json) -> str:
    """What is set by hand: `office closed`, with the time when it ends (UTC)."""
    told = []
    for one in status["schedules"]:
        end = one["until_utc"]
        until = "" if end is None else f" – {datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%MZ}"
        told.append(f"{one['schedule']} {one['state']}{until}")
    return ", ".join(told)


def _applications(told: Json, lang: Lang) -> str:
    """FreeSWITCH and its controller: `3 legs`, `does not answer`, `3 legs; the controller does not answer`."""
    if not told["alive"]:
        return text("agent.status.silent", lang)
    legs = text("agent.status.legs", lang, count=told["channels"])
    return legs if told["connected"] else f"{legs}; {text('agent.status.no_controller', lang)}"


def _prompts(status: Json, lang: Lang) -> tuple[tuple[str, str], ...]:
    """A row while prompts are still to be made: `212 to be made`."""
    waiting = (status.get("applications") or {}).get("prompts_waiting", 0)
    return (("prompts", text("agent.status.prompts_waiting", lang, count=waiting)),) if waiting else ()


def _changes(config: Json, lang: Lang) -> str:
    """Changes made here: `2`, or `2, 1 set aside`."""
    told = str(config.get("changes", 0))
    aside = config.get("changes_set_aside", 0)
    return told + (text("agent.status.set_aside", lang, count=aside) if aside else "")


def _recordings(spool: Json, lang: Lang) -> str:
    """How many wait, and what holds them back: `12`, or `12 (at most 2,000 kbit/s)`."""
    told = str(spool["recordings_waiting"])
    rate = spool.get("upload_kbit_s")
    return told if rate is None else told + text("agent.status.at_most", lang, kbit_s=f"{rate:,.0f}")


def _received(spool: Json, lang: Lang) -> str:
    """The centre's receipt: `4,411 of 4,411`."""
    if not spool.get("receipt_utc"):
        return "-"
    figures = {"count": f"{spool['receipt_count']:,}", "seq": f"{spool['receipt_seq']:,}"}
    told = text("agent.status.received_of", lang, **figures, utc=spool["receipt_utc"])
    given_up = spool.get("receipt_given_up", 0)
    return told + (text("agent.status.received_given_up", lang, count=f"{given_up:,}") if given_up else "")


def _troubles(status: Json, lang: Lang) -> list[RenderableType]:
    """What somebody has to look at; nothing when all is well."""
    lines = [
        text("agent.status.task_failed", lang, task=name, error=task["last_error"], restarts=task["restarts"])
        for name, task in status["tasks"].items()
        if not task["running"]
    ]
    if status["centre"].get("revoked"):
        lines.append(text("agent.status.revoked", lang))
    lines += [
        text(f"agent.status.{place}_{state}", lang)
        for place in ("disk", "audio")
        if (state := status.get(f"{place}_state", DiskState.AMPLE)) != DiskState.AMPLE
    ]
    if status.get("audio_encryption") == AtRest.NONE:
        lines.append(text("agent.status.audio_in_the_clear", lang))
    if status.get("disk_encryption") == AtRest.NONE:
        lines.append(text("agent.status.disk_not_encrypted", lang))
    lines += [
        text(f"agent.status.centre_{one['kind']}", lang, age=span(one["age_s"]), message=_failure(one, lang))
        for one in {one["kind"]: one for one in reversed(status["centre"]["failing"])}.values()
    ]
    spool = status["spool"]
    if spool["parked"] or spool.get("recordings_parked"):
        lines.append(text("agent.status.look_at_parked", lang))
        lines += [f"  {count} × {reason}" for reason, count in spool.get("parked_reasons", {}).items()]
    given_up = sum(spool.get("recordings_given_up", {}).values())
    if given_up:
        lines.append(text("agent.status.given_up", lang, count=given_up))
    records_given_up = sum(spool.get("records_given_up", {}).values())
    if records_given_up:
        lines.append(text("agent.status.records_given_up", lang, count=f"{records_given_up:,}"))
    if spool.get("sent_again"):
        lines.append(text("agent.status.sent_again", lang, count=f"{spool['sent_again']:,}"))
    if spool.get("receipt_problem"):
        lines.append(text(f"agent.status.receipt_{spool['receipt_problem']}", lang))
    not_made = (status.get("applications") or {}).get("prompts_failed", 0)
    if not_made:
        lines.append(text("agent.status.prompts_failed", lang, count=not_made))
    config = status["config"]
    if config.get("changes") or config.get("changes_set_aside"):
        lines.append(text("agent.status.look_at_changes", lang))
    if config["problems"]:
        lines.append(
            text("agent.status.refused", lang, version=config["refused_version"] or config["version"])
        )
        reasons = reasons_from(config["problems"], config.get("details"))
        lines += [f"  {retold(one, lang)}" for one in reasons[:PROBLEMS_SHOWN]]
    return [Text(line, "yellow") for line in lines]


def _failure(failing: Json, lang: Lang) -> str:
    error = KyusaiError(failing.get("key", ""), failing["message"], **failing.get("values", {}))
    return explain(error, lang)[0]


def _known(value: object) -> str:
    return "-" if value is None else str(value)
