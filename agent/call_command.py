"""`kyusai calls` and `kyusai call`: calls in media applications, seen and handled at the terminal. The controller does it."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agent import watch
from agent.change_command import me
from agent.command import LANG, AsJson, BoxFile, box_of, told
from appliance.layout import Layout
from appliance.text import text

app = typer.Typer(no_args_is_help=True, help=text("agent.help.call", LANG))

Call = Annotated[str, typer.Argument(metavar="CALL", help=text("agent.help.call_which", LANG))]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help=text("agent.help.call_number", LANG))]
Keep = Annotated[str, typer.Option("--side", help=text("agent.help.call_side", LANG))]

COLUMNS = ("id", "caller", "number", "state", "with", "places")
ID_SHOWN = 8
"""Characters of a leg's id that are shown, and are enough to name it."""


def calls(as_json: AsJson = False, box: BoxFile = None) -> None:
    """List the calls in applications."""
    with told():
        found = watch.control_calls(Layout.of(box_of(box)).control_socket)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table(title=text("agent.calls.title", LANG, count=len(found)), title_justify="left")
    for column in COLUMNS:
        table.add_column(text(f"agent.calls.{column}", LANG))
    for leg in found:
        state = "held" if leg["held"] else "answered" if leg["answered"] else "rings"
        told_state = text(f"agent.calls.{state}", LANG)
        places = ", ".join(leg["places"])
        other = (leg["with"] or leg.get("placed_for", ""))[:ID_SHOWN]
        table.add_row(leg["id"][:ID_SHOWN], leg["caller"], leg["number"], told_state, other, places)
    Console().print(table)


@app.command(help=text("agent.help.call_hold", LANG))
def hold(call: Call, box: BoxFile = None) -> None:
    """The side that is named is put on hold."""
    _order(box, do="hold", call=call)


@app.command(help=text("agent.help.call_resume", LANG))
def resume(call: Call, box: BoxFile = None) -> None:
    """Takes it back."""
    _order(box, do="resume", call=call)


@app.command(help=text("agent.help.call_transfer", LANG))
def transfer(call: Call, number: Number, side: Keep = "", box: BoxFile = None) -> None:
    """The caller's side, unless another one is named."""
    _order(box, do="transfer", call=call, number=number, keep=side)


@app.command(help=text("agent.help.call_hangup", LANG))
def hangup(call: Call, box: BoxFile = None) -> None:
    """Both sides."""
    _order(box, do="hangup", call=call)


@app.command(help=text("agent.help.call_listen", LANG))
def listen(call: Call, number: Number, side: Keep = "", box: BoxFile = None) -> None:
    """Hears both, is heard by nobody."""
    _order(box, do="listen", call=call, number=number, keep=side)


@app.command(help=text("agent.help.call_whisper", LANG))
def whisper(call: Call, number: Number, side: Keep = "", box: BoxFile = None) -> None:
    """Is heard by the side that was called."""
    _order(box, do="whisper", call=call, number=number, keep=side)


@app.command(help=text("agent.help.call_join", LANG))
def join(call: Call, number: Number, side: Keep = "", box: BoxFile = None) -> None:
    """Is heard by both."""
    _order(box, do="join", call=call, number=number, keep=side)


@app.command(help=text("agent.help.call_originate", LANG))
def originate(
    number: Number, then: Annotated[str, typer.Argument(metavar="THEN")], box: BoxFile = None
) -> None:
    """Rings the first, then the second."""
    _order(box, do="originate", number=number, then=then)


@app.command(help=text("agent.help.call_record", LANG))
def record(
    call: Call,
    what: Annotated[
        str, typer.Argument(metavar="start|stop|pause|resume", help=text("agent.help.call_record_what", LANG))
    ],
    box: BoxFile = None,
) -> None:
    """Of every leg of the call."""
    _order(box, do="record", call=call, recording=what)


def _order(box: BoxFile, **fields: str) -> None:
    with told():
        path = Layout.of(box_of(box)).control_socket
        given: dict[str, Any] = {name: value for name, value in fields.items() if value}
        answer = watch.control_order(path, {"by": me(), **given})
    typer.echo(text("agent.calls.already" if answer.get("already") else "agent.calls.done", LANG))
