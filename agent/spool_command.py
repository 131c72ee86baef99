"""`kyusai spool`: what is parked and why, letting it try again, and letting go of what no try brings to the centre."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from agent.change_command import me
from agent.command import LANG, AsJson, BoxFile, box_of, own_box, print_table, told
from agent.spool import DAMAGED_REASON
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.local_change import BY_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from appliance.text import text
from cloudsync.wire import Refusal

LIMIT = 100
EXPLAINED = {**{str(word): str(word) for word in Refusal}, DAMAGED_REASON: "damaged"}
"""Reasons that are the centre's words or the spool's own, and their place in the catalogue; all others are sentences."""

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
    for reason in sorted({one.reason for one in found} & EXPLAINED.keys()):
        typer.echo(f"{reason}: {text(f'agent.spool.why.{EXPLAINED[reason]}', LANG)}")


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


@app.command("give-up", help=text("agent.help.spool_give_up", LANG))
def give_up(
    ids: Annotated[list[str] | None, typer.Argument(help=text("agent.help.spool_give_up_ids", LANG))] = None,
    why: Annotated[str, typer.Option("--why", help=text("agent.help.spool_why", LANG))] = "",
    by: Annotated[str, typer.Option("--by", help=text("agent.help.change_by", LANG))] = "",
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """The records stay in files; the running agent tells the centre by itself."""
    from agent import clock
    from agent.identity import load_enrolled
    from agent.spool_give_up import Word
    from agent.spool_give_up import give_up as let_go

    with told():
        author, reason = _author(by or me(), why)
        if not ids:
            raise KyusaiError(
                "spool.give_up_which",
                "name the records to give up, by their ids",
                "`kyusai spool list` shows the ids of what is parked.",
            )
        settings = own_box(box)
        layout = Layout.of(settings)
        enrolled = load_enrolled(layout.enrolment)
        site_id = enrolled.enrolment.site_id if enrolled else ""
        word = Word(author, reason, site_id, settings.id, clock.now())
        done = let_go(layout.spool, layout.acknowledged, layout.given_up_dir, ids, word)
    if as_json:
        Console().print_json(data=[{"seq": one.seq, "id": one.id, "file": str(one.file)} for one in done])
        return
    typer.echo(text("agent.spool.given_up", LANG, count=len(done)))
    for one in done:
        typer.echo(f"  {one.file}")


def _author(by: str, why: str) -> tuple[str, str]:
    """Both as they are told. Raises KyusaiError `spool.give_up_why`."""
    author, reason = (" ".join(said.split()) for said in (by, why))
    if not 0 < len(author) <= BY_CHARACTERS_MAX or not 0 < len(reason) <= WHY_CHARACTERS_MAX:
        raise KyusaiError(
            "spool.give_up_why",
            f"giving up needs a name (1 to {BY_CHARACTERS_MAX} characters) and a reason (1 to {WHY_CHARACTERS_MAX})",
            'For example: --by "Sato" --why "spoilt by a bad disk, call known from the bill"',
            by_most=BY_CHARACTERS_MAX,
            why_most=WHY_CHARACTERS_MAX,
        )
    return author, reason
