"""`kyusai centre change`: what people changed at boxes, beside the document; merged or refused. Mounted by `cloudsync.cli`."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre
    from cloudsync.service.changes import Decided, View

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
OfSite = Annotated[str, typer.Option("--site", help=said("centre.option.site"))]
All = Annotated[bool, typer.Option("--all", help=said("centre.option.change_all"))]
Ids = Annotated[list[str] | None, typer.Argument(help=said("centre.option.change_ids"))]
Why = Annotated[str, typer.Option("--why", help=said("centre.option.change_why"))]
Overwrite = Annotated[bool, typer.Option("--overwrite", help=said("centre.option.overwrite"))]


def add_commands(
    centre_app: typer.Typer,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    actor: Callable[[], str],
) -> None:
    """Add the commands. opened: the centre of a folder, errors reported; actor: who types."""
    app = typer.Typer(help=said("centre.help.change"), no_args_is_help=True)
    centre_app.add_typer(app, name="change")

    @app.command("list", help=said("centre.help.change_list"))
    def list_changes(
        site: OfSite = "", every: All = False, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import changes

            found = changes.view(centre, site, over=every)
        if as_json:
            out.print_json([one.as_json() for one in found])
        elif found:
            _print(found)
        else:
            out.say("centre.said.no_changes")

    @app.command(help=said("centre.help.change_merge"))
    def merge(
        site: str,
        ids: Ids = None,
        overwrite: Overwrite = False,
        why: Why = "",
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import changes

            decided = changes.merge(centre, site, ids or (), actor(), why, overwrite=overwrite)
            _tell(decided, site, "centre.said.merged", as_json)

    @app.command(help=said("centre.help.change_refuse"))
    def refuse(
        site: str, ids: Ids = None, why: Why = "", data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import changes

            decided = changes.refuse(centre, site, ids or (), actor(), why)
            _tell(decided, site, "centre.said.refused", as_json)


def _tell(decided: "Decided", site: str, key: str, as_json: bool) -> None:
    if as_json:
        ids = [one.id for one in decided.changes]
        out.print_json({"site": site, "version": decided.envelope.version, "changes": ids})
    else:
        out.say(key, site=site, version=decided.envelope.version, count=len(decided.changes))


def _print(found: Sequence["View"]) -> None:
    columns = (
        "site",
        "box",
        "id",
        "field",
        "base",
        "document",
        "there",
        "sides",
        "state",
        "made",
        "by",
        "why",
    )
    out.print_table(columns, [_cells(one) for one in found])


def _cells(one: "View") -> tuple[str, ...]:
    kept, change = one.kept, one.kept.change
    state = said(f"centre.change.state.{change.state}") + (f": {change.reason}" if change.reason else "")
    if kept.decision and change.is_open:
        state += f"\n{said(f'centre.change.decided.{kept.decision}', version=kept.decided_version)}"
    return (
        kept.site_id,
        kept.box_id,
        change.id,
        change.path,
        _shown(change.base),
        _shown(one.document),
        _shown(change.value),
        said(f"centre.change.{one.sides}"),
        state,
        change.made_utc,
        change.by,
        change.why,
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
