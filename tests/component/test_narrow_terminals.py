"""Tables on a terminal of few columns. A failure means an id that nobody can copy, or a word that is cut off."""

import sys
from collections.abc import Callable, Iterable, Sequence

import pytest

from agent import command
from cloudsync import cli_output

CELLS = (
    "rec-a20981cdb18f6b465d1b4666a374aa43-0a37e2b60f04a938",
    "extensions[201].forward_always",
    "CONFLICT: changed",
)


@pytest.mark.parametrize(
    ("print_table", "headings"),
    [(command.print_table, ("a", "b", "c")), (cli_output.print_table, ("id", "call", "state"))],
    ids=["box", "centre"],
)
def test_cells_are_broken_over_lines_and_never_cut(
    print_table: Callable[[Sequence[str], Iterable[Sequence[str]]], None],
    headings: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(headings, [CELLS])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    columns = zip(*(line.strip("│").split("│") for line in lines), strict=True)
    shown = ["".join(column).replace(" ", "") for column in columns]
    assert shown == [cell.replace(" ", "") for cell in CELLS]


def test_in_a_pipe_a_row_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    for print_table, headings in (
        (command.print_table, ("a", "b", "c")),
        (cli_output.print_table, ("id", "call", "state")),
    ):
        print_table(headings, [CELLS])
        assert any(all(cell in line for cell in CELLS) for line in capsys.readouterr().out.splitlines()), (
            headings
        )
