"""`kyusai voicemail`: what lies in the boxes, which are locked or full, and unlocking one."""

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.command import LANG, AsJson, BoxFile, box_of, own_box, told
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import names, render, voicemail_store
from appliance.freeswitch.ask import Address, ask
from appliance.layout import Layout
from appliance.site import loads
from appliance.text import text

SET = "true"

app = typer.Typer(invoke_without_command=True, help=text("agent.help.voicemail", LANG))


@app.callback()
def show(context: typer.Context, as_json: AsJson = False, box: BoxFile = None) -> None:
    """Every box of the site."""
    if context.invoked_subcommand:
        return
    with told():
        rows = asyncio.run(_rows(box_of(box)))
    if as_json:
        Console().print_json(data=rows)
        return
    table = Table(
        *(text(f"agent.voicemail.{name}", LANG) for name in ("box", "messages", "seconds", "state"))
    )
    for row in rows:
        states = [text(f"agent.voicemail.{name}", LANG) for name in ("locked", "full") if row[name] is True]
        table.add_row(str(row["box"]), str(row["messages"]), str(row["seconds"]), ", ".join(states))
    Console().print(table)


@app.command("unlock", help=text("agent.help.voicemail_unlock", LANG))
def unlock(
    number: Annotated[str, typer.Argument(help=text("agent.help.voicemail_box", LANG))], box: BoxFile = None
) -> None:
    """The owner may try again at once."""
    with told():
        settings = own_box(box)
        if number not in _numbers(settings):
            raise KyusaiError(
                "voicemail.unknown",
                f"{number!r} has no voicemail box",
                "See `kyusai voicemail`.",
                value=number,
            )
        for name in (names.VOICEMAIL_LOCK, names.VOICEMAIL_TRIES):
            asyncio.run(ask(_address(settings), "global_setvar", f"{name}{number}="))
    typer.echo(text("agent.voicemail.unlocked", LANG, box=number))


async def _rows(box: Box) -> list[dict[str, object]]:
    found = voicemail_store.messages(Layout.of(box).freeswitch_db_dir)
    count = Counter(one.box for one in found)
    seconds: Counter[str] = Counter()
    for one in found:
        seconds[one.box] += one.seconds
    return [
        {
            "box": number,
            "messages": count[number],
            "seconds": seconds[number],
            "locked": await _is_set(box, names.VOICEMAIL_LOCK + number),
            "full": await _is_set(box, names.VOICEMAIL_FULL + number),
        }
        for number in _numbers(box)
    ]


def _numbers(box: Box) -> list[str]:
    document = Layout.of(box).current / "document.json"
    try:
        return [one.number for one in loads(document.read_bytes()).media.mailboxes]
    except FileNotFoundError:
        return []


async def _is_set(box: Box, name: str) -> bool:
    return (await ask(_address(box), "global_getvar", name)).strip() == SET


def _address(box: Box) -> Address:
    return Address(box.freeswitch.address, box.freeswitch.esl_port, render.password(Layout.of(box)))
