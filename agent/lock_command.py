"""`kyusai lock`: what wrong PINs and access codes have locked, and opening it before its time."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from agent.command import LANG, AsJson, BoxFile, box_of, own_box, print_table, told
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import render
from appliance.freeswitch.ask import Address, ask
from appliance.freeswitch.pin_locks import Lock, locks_in, opening
from appliance.layout import Layout
from appliance.text import text

app = typer.Typer(invoke_without_command=True, help=text("agent.help.lock", LANG))

Name = Annotated[str, typer.Argument(help=text("agent.help.lock_name", LANG))]


@app.callback()
def show(context: typer.Context, as_json: AsJson = False, box: BoxFile = None) -> None:
    """Everything that is locked."""
    if context.invoked_subcommand:
        return
    with told():
        found = _locks(box_of(box))
    if as_json:
        Console().print_json(data=[{"what": one.what, "name": one.name} for one in found])
        return
    if not found:
        typer.echo(text("agent.lock.none", LANG))
        return
    print_table(
        [text(f"agent.lock.{column}", LANG) for column in ("name", "what")],
        [(one.name, text(f"agent.lock.{one.what}", LANG)) for one in found],
    )


@app.command("open", help=text("agent.help.lock_open", LANG))
def open_lock(name: Name, box: BoxFile = None) -> None:
    """Whoever knows the PIN or the code may try again at once."""
    with told():
        settings = own_box(box)
        known = _locks(settings)
        meant = [one for one in known if one.name == name]
        if not meant:
            shown = ", ".join(one.name for one in known) or text("agent.lock.none", LANG)
            raise KyusaiError(
                "lock.unknown",
                f"{name!r} is not locked; locked: {shown}",
                "See `kyusai lock`.",
                value=name,
                known=shown,
            )
        for argument in (argument for one in meant for argument in opening(one)):
            asyncio.run(ask(_address(settings), "global_setvar", argument))
    typer.echo(text("agent.lock.opened", LANG, name=name))


def _locks(box: Box) -> list[Lock]:
    return sorted(locks_in(asyncio.run(ask(_address(box), "global_getvar"))))


def _address(box: Box) -> Address:
    return Address(box.freeswitch.address, box.freeswitch.esl_port, render.password(Layout.of(box)))
