"""What all commands of the box share: language, options, and how errors are told."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from appliance.box import Box, box_path, load
from appliance.errors import KyusaiError
from appliance.owner import act_as_owner
from appliance.problems import DocumentError
from appliance.text import Lang, explain, language, text

LANG: Lang = language(os.environ)
PIPE_WIDTH = 240
"""Columns where the output is no terminal: lines are not to be cut for `grep`."""
FAILED = 1
"""Exit code: it did not work. 2 is typer's own, for a wrong command line."""

AsJson = Annotated[bool, typer.Option("--json", help=text("agent.help.json", LANG))]
BoxFile = Annotated[Path | None, typer.Option("--box", help=text("agent.help.box", LANG))]


@contextmanager
def told() -> Iterator[None]:
    """Errors as two lines on standard error, in the user's language, and exit code 1."""
    try:
        yield
    except KyusaiError as error:
        message, hint = explain(error, LANG)
        typer.echo(message, err=True)
        for problem in error.problems if isinstance(error, DocumentError) else ():
            fault = KyusaiError(problem.key, problem.message, problem.hint, **problem.values)
            line, what_to_do = explain(fault, LANG)
            typer.echo(f"  {problem.path}: {line}" if problem.path else f"  {line}", err=True)
            if what_to_do:
                typer.echo(f"      {what_to_do}", err=True)
        if hint:
            typer.echo(hint, err=True)
        raise typer.Exit(FAILED) from error


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A narrow terminal breaks cells over lines and cuts none off: ids are there to be copied. A pipe has room."""
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def box_of(path: Path | None) -> Box:
    """The box's settings from `path`, the environment or the usual place. Raises KyusaiError."""
    return load(path or box_path(os.environ))


def own_box(path: Path | None) -> Box:
    """For commands that write: from here on this process acts as the owner of the state folder."""
    settings = box_of(path)
    act_as_owner(settings.state_dir)
    return settings
