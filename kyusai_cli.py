"""The command `kyusai`: the box's commands from `agent.cli`, the centre's from `cloudsync.cli`, each loaded when asked for.

A box needs nothing of the centre's packages and the centre nothing of the box's; whichever is missing simply has
no commands here.
"""

import contextlib
import importlib
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from appliance.text import breakable, language, text

CENTRE_COMMANDS = ("centre", "sites", "records", "recordings", "series")
"""What `cloudsync.cli` offers; anything else is looked for in `agent.cli`."""
LANG = language(os.environ)
_AGENT, _CENTRE = "agent.cli", "cloudsync.cli"


def _group(module: str) -> TyperGroup | None:
    """The commands of one module, None when that half of the program is not installed.

    Raises ModuleNotFoundError when the half is there and a package that it needs is not.
    """
    try:
        return _told(get_group(importlib.import_module(module).app))
    except ModuleNotFoundError as error:
        if error.name in (module, module.partition(".")[0]):
            return None
        raise


def _told(command: Any) -> Any:
    """The command with help that a terminal can break into lines, and all commands below it."""
    if LANG == "ja":
        for told in (command, *command.params):
            told.help = breakable(getattr(told, "help", None) or "")
        for below in getattr(command, "commands", {}).values():
            _told(below)
    return command


class LazyCommands(TyperGroup):
    """Imports only the half of the program that the command line names."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Every command of both halves, for the help."""
        names: list[str] = []
        for module in (_AGENT, _CENTRE):
            with contextlib.suppress(ModuleNotFoundError):
                group = _group(module)
                names += group.commands if group is not None else ()
        return names

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def,override]
        """The command, or None when there is none of that name."""
        module, extra = (_CENTRE, "centre") if cmd_name in CENTRE_COMMANDS else (_AGENT, "agent")
        try:
            group = _group(module)
        except ModuleNotFoundError as error:
            print(text("command.missing", LANG, package=error.name), file=sys.stderr)
            print(text("command.missing.hint", LANG, extra=extra), file=sys.stderr)
            raise typer.Exit(1) from None
        return group.commands.get(cmd_name) if group is not None else None


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    help=text("command.help", LANG),
)


@app.callback()
def _root() -> None:
    """No options of its own."""


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
