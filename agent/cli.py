"""The box's part of the command `kyusai`. Heavy imports wait until a command needs them, so that help is quick."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from agent import (
    audio_command,
    call_command,
    change_command,
    config_command,
    flow_command,
    lock_command,
    prompt_command,
    receipt_command,
    schedule_command,
    spool_command,
    voicemail_command,
)
from agent.command import LANG, AsJson, BoxFile, box_of, own_box, told
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.text import text

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(config_command.app, name="config")
app.add_typer(change_command.app, name="change")
app.add_typer(flow_command.app, name="flow")
app.add_typer(prompt_command.app, name="prompt")
app.add_typer(schedule_command.app, name="schedule")
app.add_typer(call_command.app, name="call")
app.command(name="calls", help=text("agent.help.calls", LANG))(call_command.calls)
app.add_typer(spool_command.app, name="spool")
app.add_typer(voicemail_command.app, name="voicemail")
app.add_typer(lock_command.app, name="lock")
app.add_typer(audio_command.app, name="audio")
app.add_typer(receipt_command.app, name="receipt")


@app.command(help=text("agent.help.agent", LANG))
def agent(
    box: BoxFile = None,
    hold_s: Annotated[float, typer.Option(min=0.1, help=text("agent.help.hold", LANG))] = 10.0,
    hold_cap_s: Annotated[float, typer.Option(min=0.1, help=text("agent.help.hold_cap", LANG))] = 1800.0,
) -> None:
    """Run the agent until it is told to stop."""
    from agent import app as wiring
    from agent.link import HoldDown
    from agent.logs import set_up

    with told():
        settings = own_box(box)
        log = set_up().bind(box=settings.id)
        hold_down = HoldDown(base_s=hold_s, cap_s=hold_cap_s, calm_s=min(hold_s, HoldDown().calm_s))
        try:
            asyncio.run(wiring.serve(settings, log, hold_down))
        except OSError as error:
            raise KyusaiError(
                "agent.cannot_start",
                f"the agent cannot start: {error}",
                "Look at [agent] listen in box.toml, at the folders' owner, and whether another agent runs.",
                detail=str(error),
            ) from error


@app.command(help=text("agent.help.media", LANG))
def media(box: BoxFile = None) -> None:
    """Turn captures into recordings until it is told to stop."""
    from agent.logs import set_up
    from agent.media import serve

    with told():
        settings = own_box(box)
        serve(settings, set_up().bind(box=settings.id))


@app.command(help=text("agent.help.control", LANG))
def control(box: BoxFile = None) -> None:
    """Report and control calls in applications until it is told to stop."""
    with told():
        settings = own_box(box)
        try:
            from agent.control import serve
        except ModuleNotFoundError as error:
            raise KyusaiError(
                "control.missing",
                f"the package {error.name} is not installed",
                "Install the distribution with the extra 'controller'.",
                package=str(error.name),
            ) from error
        from agent.logs import set_up

        serve(settings, set_up().bind(box=settings.id))


@app.command(help=text("agent.help.status", LANG))
def status(as_json: AsJson = False, box: BoxFile = None) -> None:
    """Exit code 1 when the agent does not answer."""
    from agent.status_view import view
    from agent.watch import ask

    with told():
        found = ask(Layout.of(box_of(box)).agent_socket)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        Console().print(view(found, LANG))


@app.command(help=text("agent.help.watch", LANG))
def watch(box: BoxFile = None) -> None:
    """Until interrupted."""
    from agent.watch import watch as show

    with told():
        path = Layout.of(box_of(box)).agent_socket
    try:
        show(path, LANG, Console())
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command(help=text("agent.help.enrol", LANG))
def enrol(
    code: Annotated[str, typer.Argument(help=text("agent.help.code", LANG))],
    new_key: Annotated[bool, typer.Option("--new-key", help=text("agent.help.new_key", LANG))] = False,
    box: BoxFile = None,
) -> None:
    """The running agent notices by itself."""
    from agent.app import software
    from agent.at_rest_watch import look
    from agent.enrol import enrol as ask_centre
    from cloudsync.wire import AtRest

    with told():
        settings = own_box(box)
        if not settings.centre.url:
            raise KyusaiError(
                "agent.no_centre",
                "box.toml names no centre",
                'Write its address: [centre] url = "https://..."',
            )
        layout = Layout.of(settings)
        versions = {"kyusai": software()}
        brought = asyncio.run(
            ask_centre(
                code,
                settings.centre.url,
                settings.id,
                versions,
                key=layout.key,
                enrolment=layout.enrolment,
                new_key=new_key,
            )
        )
    typer.echo(text("agent.enrolled", LANG, site=brought.enrolment.site_id, box=brought.enrolment.box_id))
    if look(layout) is AtRest.NONE:  # the best moment: there is nothing on it yet
        typer.echo(text("agent.status.disk_not_encrypted", LANG), err=True)


@app.command(help=text("agent.help.render", LANG))
def render(box: BoxFile = None) -> None:
    """Write the files that Kamailio and rtpengine read."""
    from agent.render import render as write

    with told():
        files = write(own_box(box))
    typer.echo(text("agent.rendered", LANG, files=", ".join(map(str, files))))
