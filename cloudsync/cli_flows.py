"""`kyusai centre flow`: the call flows of a site's newest document; each edit is checked, shown and published as a new version.
Mounted by `cloudsync.cli`."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance import document_diff_view, site_flows
from appliance.freeswitch import flow_draw, flow_words
from appliance.freeswitch.flow import Flow
from appliance.problems import Problems
from appliance.reader import Document, Table
from appliance.site import ALL_TEMPLATES
from cloudsync import cli_output as out
from cloudsync import flow_edit
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=said("centre.option.flow_dry_run"))]
Svg = Annotated[Path | None, typer.Option("--svg", help=said("centre.option.flow_svg"))]
PartFile = Annotated[str, typer.Argument(help=said("centre.option.flow_file"))]

FROM_STDIN = "-"


def add_commands(
    centre_app: typer.Typer,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    reported: Callable[[], AbstractContextManager[None]],
    actor: Callable[[], str],
) -> None:
    """Add the commands. opened: the centre of a folder, errors reported; actor: who types."""
    app = typer.Typer(help=said("centre.help.flow"), no_args_is_help=True)
    centre_app.add_typer(app, name="flow")

    @app.command("list", help=said("centre.help.flow_list"))
    def list_flows(site: str, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        document = _document(opened, data, site)
        rows = [
            (str(one["id"]), str(len(one.get("nodes", ()))), " ".join(flow_edit.numbers(document, one["id"])))
            for one in document.get("flows", [])
        ]
        if as_json:
            out.print_json(
                [{"id": name, "nodes": int(nodes), "numbers": at.split()} for name, nodes, at in rows]
            )
        else:
            out.print_table(("flow", "nodes", "numbers"), rows)

    @app.command(help=said("centre.help.flow_show"))
    def show(site: str, flow: str, data: Data = DATA_DIR_DEFAULT) -> None:
        with reported():
            found = flow_edit.flow(_document(opened, data, site), flow)
        print(json.dumps(found, ensure_ascii=False, indent=2))

    @app.command(help=said("centre.help.flow_draw"))
    def draw(site: str, flow: str, svg: Svg = None, data: Data = DATA_DIR_DEFAULT) -> None:
        document = _document(opened, data, site)
        with reported():
            found = _read(flow_edit.flow(document, flow))
            if svg is None:
                print("\n".join(flow_draw.lines(found, flow_words.words(out.LANG))))
            else:
                svg.write_text(flow_draw.svg(found, flow_words.words(out.LANG)), "utf-8")
                print(svg)

    @app.command(help=said("centre.help.flow_put"))
    def put(
        site: str,
        file: PartFile,
        dry_run: DryRun = False,
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with reported():  # before the process acts as the owner of the data: the file is the administrator's
            given = _json(sys.stdin.read() if file == FROM_STDIN else Path(file).read_text("utf-8"))
            flow_edit.part(given)
        _edit(opened, data, site, lambda document: flow_edit.put(document, given), actor(), dry_run, as_json)

    @app.command(help=said("centre.help.flow_remove"))
    def remove(
        site: str, flow: str, dry_run: DryRun = False, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False
    ) -> None:
        _edit(
            opened, data, site, lambda document: flow_edit.remove(document, flow), actor(), dry_run, as_json
        )


def _document(
    opened: Callable[[Path], AbstractContextManager["Centre"]], data: Path, site: str
) -> dict[str, Any]:
    with opened(data) as centre:
        from cloudsync.service import flows

        return flows.document(centre, site)


def _edit(
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    data: Path,
    site: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    who: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    with opened(data) as centre:
        from cloudsync.service import flows

        edited = flows.edit(centre, site, change, who, dry_run=dry_run)
    if as_json:
        out.print_json(document_diff_view.as_json(edited.found, edited.before, edited.after))
        return
    for line in document_diff_view.changes(edited.found):
        print(line)
    if edited.after:
        out.say("centre.said.published", site=site, version=edited.after)
    else:
        out.say("centre.said.flow_tried" if edited.found else "centre.said.flow_same", site=site)


def _read(row: dict[str, Any]) -> Flow:
    """A published flow: its faults were found before."""
    return site_flows.flow(Table(row, "$", Document(Problems(ALL_TEMPLATES))))


def _json(text: str) -> object:
    """Raises `KyusaiError` "flow.no_part" for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
