"""`kyusai centre recording`: recordings that must not be deleted though their class runs out. Mounted by `cloudsync.cli`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
OfSite = Annotated[str, typer.Option("--site", help=said("centre.option.site"))]
Off = Annotated[bool, typer.Option("--off", help=said("centre.option.hold_off"))]


def add_commands(
    centre_app: typer.Typer,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    actor: Callable[[], str],
) -> None:
    """Add the command. opened: the centre of a folder, errors reported; actor: who types."""
    app = typer.Typer(help=said("centre.help.recording"), no_args_is_help=True)
    centre_app.add_typer(app, name="recording")

    @app.callback()
    def recording() -> None:
        """A group, though it has one command: others may follow."""

    @app.command(help=said("centre.help.recording_hold"))
    def hold(recording: str, off: Off = False, site: OfSite = "", data: Data = DATA_DIR_DEFAULT) -> None:
        with opened(data) as centre:
            from cloudsync.service import retention

            known = retention.hold(centre, recording, site, actor(), off=off)
            key = "centre.said.released" if off else "centre.said.held"
            out.say(key, id=known.id, site=known.site_id)
