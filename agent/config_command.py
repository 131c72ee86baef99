"""`kyusai config`: the site document in use, and what differs between the versions that this box knows.

What is shown as in use has the changes made here in it. HA1 values are left out everywhere: they are as good as passwords.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from agent.command import LANG, AsJson, BoxFile, box_of, told
from agent.config_store import read_overlay
from appliance import document_diff_view
from appliance.document_diff import differences, without_secrets
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.overlay import Overlay, applied
from appliance.text import text

app = typer.Typer(no_args_is_help=True, help=text("agent.help.config", LANG))

Signed = Annotated[bool, typer.Option("--signed", help=text("agent.help.config_signed", LANG))]
From = Annotated[int, typer.Option("--from", min=0, help=text("agent.help.diff_from", LANG))]
To = Annotated[int, typer.Option("--to", min=0, help=text("agent.help.diff_to", LANG))]


@app.command(help=text("agent.help.config_show", LANG))
def show(as_json: AsJson = False, signed: Signed = False, box: BoxFile = None) -> None:
    """The document in use, or as the centre signed it."""
    with told():
        layout = Layout.of(box_of(box))
        active = _overlay(layout).active
        shown = without_secrets(_running(layout) if signed else applied(_running(layout), active))
        if active and not signed:
            typer.echo(text("agent.change.over", LANG, count=len(active), version=shown["version"]), err=True)
    if as_json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
    else:
        Console().print_json(data=shown)


@app.command(help=text("agent.help.config_diff", LANG))
def diff(before: From = 0, after: To = 0, as_json: AsJson = False, box: BoxFile = None) -> None:
    """Without versions: from the running one to the one that was not taken, else from the one before to the running;
    and what was changed here."""
    with told():
        layout = Layout.of(box_of(box))
        first, second = _pair(layout, before, after)
        found, here = differences(first, second), []
        if not before and not after:
            running = _running(layout)
            here = differences(running, applied(running, _overlay(layout).active))
    versions = int(first["version"]), int(second["version"])
    if as_json:
        told_ = document_diff_view.as_json(found, *versions)
        told_["here"] = document_diff_view.as_json(here, *versions)["differences"]
        typer.echo(json.dumps(told_, ensure_ascii=False))
        return
    for line in document_diff_view.lines(found, *versions, LANG):
        typer.echo(line)
    if here:
        typer.echo(text("agent.change.differences", LANG, count=len(here)))
        for line in document_diff_view.changes(here):
            typer.echo(line)


def _overlay(layout: Layout) -> Overlay:
    path = layout.current / "overlay.json"
    return read_overlay(path) if path.is_file() else Overlay()


def _pair(layout: Layout, before: int, after: int) -> tuple[dict[str, Any], dict[str, Any]]:
    running = _running(layout)
    if not before and not after:
        offered = _newest_other(layout, running["version"])
        if offered is not None and offered["version"] > running["version"]:
            return running, offered
        return (offered or running), running
    first = _version(layout, before) if before else running
    second = _version(layout, after) if after else running
    return first, second


def _newest_other(layout: Layout, running: int) -> dict[str, Any] | None:
    """The newest document on this box that is not in use: offered and not taken, or the one before."""
    known = [one for one in _known(layout).values() if one["version"] != running]
    return max(known, key=lambda one: int(one["version"]), default=None)


def _known(layout: Layout) -> dict[int, dict[str, Any]]:
    paths = [*layout.versions_dir.glob("*/document.json"), layout.offered_document]
    found = (_read(path) for path in paths)
    return {int(one["version"]): one for one in found if one is not None and "version" in one}


def _version(layout: Layout, version: int) -> dict[str, Any]:
    known = _known(layout)
    if version not in known:
        listed = ", ".join(map(str, sorted(known))) or "-"
        raise KyusaiError(
            "agent.no_version",
            f"this box does not have version {version}; it has {listed}",
            "The centre has all of them: kyusai centre site diff SITE",
            version=version,
            known=listed,
        )
    return known[version]


def _running(layout: Layout) -> dict[str, Any]:
    document = _read(layout.current / "document.json")
    if document is None:
        raise KyusaiError(
            "agent.no_config",
            "this box has no site configuration yet",
            "Enrol it with: kyusai enrol CODE",
        )
    return document


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
