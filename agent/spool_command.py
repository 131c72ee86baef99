"""`kyusai spool`: what is parked and why, and letting it try again."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from agent.command import LANG, AsJson, BoxFile, box_of, own_box, print_table, told
from appliance.layout import Layout
from appliance.text import text
from cloudsync.wire import Refusal

LIMIT = 100
EXPLAINED = frozenset(Refusal)
"""Reasons that are the centre's words; all others are sentences."""

app = typer.Typer(no_args_is_help=True, help=text("agent.help.spool", LANG))


@app.command("list", help=text("agent.help.spool_list", LANG))
def list_parked(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, help=text("agent.help.limit", LANG))] = LIMIT,
    box: BoxFile = None,
) -> None:
    """Oldest first."""
    from agent.spool_desk import parked

    with told():
        found = parked(Layout.of(box_of(box)).spool, limit)
    console = Console()
    if as_json:
        console.print_json(data=[asdict(one) for one in found])
        return
    if not found:
        typer.echo(text("agent.spool.none_parked", LANG))
        return
    print_table(
        [text(f"agent.spool.{column}", LANG) for column in ("created", "sort", "kind", "id", "reason")],
        [(one.created_utc, one.sort, one.kind, one.id, one.reason) for one in found],
    )
    for reason in sorted({one.reason for one in found} & EXPLAINED):
        typer.echo(f"{reason}: {text(f'agent.spool.why.{reason}', LANG)}")


@app.command("retry", help=text("agent.help.spool_retry", LANG))
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help=text("agent.help.spool_ids", LANG))] = None,
    renumber: Annotated[bool, typer.Option("--renumber", help=text("agent.help.renumber", LANG))] = False,
    box: BoxFile = None,
) -> None:
    """The running agent notices by itself."""
    from agent.spool_desk import retry as let_wait

    with told():
        count = let_wait(Layout.of(own_box(box)).spool, ids or (), renumber=renumber)
    typer.echo(text("agent.spool.retried", LANG, count=count))
