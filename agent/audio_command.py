"""`kyusai audio`: where audio in the clear lies on this box, and moving it to where it belongs."""

import typer
from rich.console import Console

from agent.at_rest_watch import look_at
from agent.audio_move import move as take
from agent.audio_place import Lies, belongs, lies
from agent.command import LANG, AsJson, BoxFile, box_of, own_box, told
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.text import text
from cloudsync.wire import AtRest

app = typer.Typer(invoke_without_command=True, help=text("agent.help.audio", LANG))


@app.callback()
def show(context: typer.Context, as_json: AsJson = False, box: BoxFile = None) -> None:
    """Where it lies now, and where it should."""
    if context.invoked_subcommand:
        return
    with told():
        settings = box_of(box)
        layout = Layout.of(settings)
        here, there = lies(layout), belongs(layout, settings.audio)
        kind = look_at(layout.audio_dir) or AtRest.UNKNOWN
    folder = layout.audio_dir.resolve()
    stays = here in (there, Lies.ELSEWHERE)
    if as_json:
        data = {
            "folder": str(folder),
            "lies": here,
            "belongs": there,
            "encryption": kind,
            "setting": settings.audio,
        }
        Console().print_json(data=data)
        return
    if here is Lies.NOWHERE:
        typer.echo(text("agent.audio.nowhere", LANG))
        return
    typer.echo(text("agent.audio.here", LANG, folder=folder, where=text(f"agent.status.audio_{kind}", LANG)))
    if not stays:
        typer.echo(text("agent.audio.belongs", LANG, place=text(f"agent.audio.{there}", LANG)))


@app.command(help=text("agent.help.audio_move", LANG))
def move(box: BoxFile = None) -> None:
    """With the services stopped."""
    with told():
        try:
            moved = take(own_box(box))
        except OSError as error:
            raise KyusaiError(
                "audio.not_moved",
                f"audio could not be moved: {error.strerror}: {error.filename}",
                "What it was is as it was. Call it again when that is mended.",
                detail=f"{error.strerror}: {error.filename}",
            ) from error
    place = text(f"agent.audio.{moved.there}", LANG)
    if moved.files:
        typer.echo(
            text("agent.audio.moved", LANG, count=moved.files, mib=f"{moved.bytes / 2**20:.1f}", place=place)
        )
    else:
        typer.echo(text("agent.audio.nothing", LANG, place=place))
