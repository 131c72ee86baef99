"""`kyusai centre rollout`: one change to many sites, ring by ring. Mounted by `cloudsync.cli`."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.errors import KyusaiError
from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre
    from cloudsync.service.rollouts import View

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
Rings = Annotated[list[str], typer.Option("--ring", help=said("centre.option.ring"))]
Errors = Annotated[int, typer.Option("--errors", min=0, help=said("centre.option.errors"))]
Soak = Annotated[float, typer.Option("--soak-minutes", min=0, help=said("centre.option.soak"))]
Patience = Annotated[float, typer.Option("--patience-minutes", min=0, help=said("centre.option.patience"))]
Tenant = Annotated[str, typer.Option("--tenant", help=said("centre.option.rest_of_tenant"))]
ForGood = Annotated[bool, typer.Option("--for-good", help=said("centre.option.for_good"))]

SOAK_MINUTES = 10.0
"""Long enough for a few calls on a site in use."""
PATIENCE_MINUTES = 60.0
"""A box that was away for an hour is not waited for."""
FROM_STDIN = "-"


def add_commands(
    centre_app: typer.Typer,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    reported: Callable[[], AbstractContextManager[None]],
    actor: Callable[[], str],
) -> None:
    """Add the commands. opened: the centre of a folder, errors reported; actor: who types."""
    app = typer.Typer(help=said("centre.help.rollout"), no_args_is_help=True)
    centre_app.add_typer(app, name="rollout")

    @app.command(help=said("centre.help.rollout_start"))
    def start(
        file: str,
        ring: Rings,
        errors: Errors = 0,
        soak: Soak = SOAK_MINUTES,
        patience: Patience = PATIENCE_MINUTES,
        tenant: Tenant = "",
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with reported():
            change = _change(file)
        with opened(data) as centre:
            from cloudsync.rollout import Policy
            from cloudsync.service import rollouts

            policy = Policy(errors, round(soak * 60), round(patience * 60))
            rings = [one.split(",") for one in ring]
            _show(rollouts.start(centre, change, rings, policy, actor(), tenant), as_json)

    @app.command(help=said("centre.help.rollout_status"))
    def status(data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        with opened(data) as centre:
            from cloudsync.service import rollouts

            _show(rollouts.status(centre), as_json)

    @app.command(help=said("centre.help.rollout_stop"))
    def stop(for_good: ForGood = False, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        with opened(data) as centre:
            from cloudsync.service import rollouts

            _show(rollouts.stop(centre, actor(), for_good=for_good), as_json)

    @app.command(help=said("centre.help.rollout_resume"))
    def resume(data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        with opened(data) as centre:
            from cloudsync.service import rollouts

            _show(rollouts.resume(centre, actor()), as_json)


def _change(file: str) -> object:
    text = sys.stdin.buffer.read() if file == FROM_STDIN else Path(file).read_bytes()
    try:
        return json.loads(text)
    except ValueError as error:
        raise KyusaiError("rollout.bad_json", f"{file}: {error}", file=file, detail=error) from error


def _show(view: "View", as_json: bool) -> None:
    if as_json:
        out.print_json(asdict(view))
        return
    out.say(
        "centre.said.rollout",
        id=view.id,
        state=said(f"centre.rollout.{view.state}"),
        ring=view.ring,
        rings=view.rings,
        errors=view.errors,
        most=view.errors_max + view.accepted,
        reason=f" ({view.reason})" if view.reason else "",
    )
    out.print_table(
        ("ring", "site", "version", "state"),
        [
            (
                str(one.ring),
                one.site,
                f"{one.version_before} → {one.version}" if one.version else "-",
                said(f"centre.rollout.{one.state}") if one.state else "-",
            )
            for one in view.sites
        ],
    )
