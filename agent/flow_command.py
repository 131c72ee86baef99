"""`kyusai flow`: a site document's call flows checked, walked through and drawn at the terminal. Reads a file, no more.

The walk is `appliance.freeswitch.flow_walk`, the code that the compiled dialplan is tested against.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from agent import flow_template_command, flow_world, lookup_secrets
from agent.command import LANG, BoxFile, box_of, told
from appliance import site
from appliance.errors import KyusaiError
from appliance.freeswitch import flow_draw, flow_walk, flow_words, prompt_texts
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow import CALLS, Flow
from appliance.freeswitch.flow_walk import Walk, World
from appliance.layout import Layout
from appliance.model import LinkState
from appliance.text import explain, text

app = typer.Typer(no_args_is_help=True, help=text("agent.help.flow", LANG))
app.add_typer(flow_template_command.app, name="template")

Document = Annotated[
    Path, typer.Argument(help=text("agent.help.flow.document", LANG), exists=True, dir_okay=False)
]
KEYS = frozenset("0123456789*#")

FlowId = Annotated[str, typer.Argument(help=text("agent.help.flow.id", LANG))]


@app.command(help=text("agent.help.flow.check", LANG))
def check(document: Document) -> None:
    """Exit code 1 when the document has faults; warnings change nothing."""
    try:
        found = site.loads(document.read_bytes())
    except site.SiteInvalid as invalid:
        for problem in invalid.problems:
            _say(problem)
        raise typer.Exit(1) from None
    for warning in found.warnings:
        _say(warning)
    typer.echo(text("agent.flow.good", LANG, count=len(found.media.flows)))


@app.command(help=text("agent.help.flow.draw", LANG))
def draw(
    document: Document,
    flow: FlowId,
    svg: Annotated[Path | None, typer.Option(help=text("agent.help.flow.svg", LANG))] = None,
) -> None:
    """As text, or as a picture in a file."""
    with told():
        found = _flow(_plan(document), flow)
    if svg is None:
        typer.echo("\n".join(flow_draw.lines(found, flow_words.words(LANG))))
    else:
        svg.write_text(flow_draw.svg(found, flow_words.words(LANG)), "utf-8")
        typer.echo(str(svg))


@app.command(help=text("agent.help.flow.walk", LANG))
def walk(
    document: Document,
    flow: FlowId,
    caller: Annotated[str, typer.Option(help=text("agent.help.flow.caller", LANG))] = "0312345678",
    link: Annotated[LinkState, typer.Option(help=text("agent.help.flow.link", LANG))] = LinkState.UP,
    at: Annotated[str, typer.Option(help=text("agent.help.flow.at", LANG))] = "",
    queue: Annotated[list[str] | None, typer.Option(help=text("agent.help.flow.queue", LANG))] = None,
    answer: Annotated[list[str] | None, typer.Option(help=text("agent.help.flow.answer", LANG))] = None,
    hand: Annotated[list[str] | None, typer.Option(help=text("agent.help.flow.hand", LANG))] = None,
    dialled: Annotated[str, typer.Option(help=text("agent.help.flow.dialled", LANG))] = "",
    pause_fails: Annotated[bool, typer.Option(help=text("agent.help.flow.pause_fails", LANG))] = False,
) -> None:
    """Until the call is over, or input ends."""
    with told():
        plan = _plan(document)
        found = _flow(plan, flow)
        moment = _moment(at, plan.time_zone)
        queues, answers = flow_world.queues(queue or ()), flow_world.answers(answer or ())
        by_hand = flow_world.by_hand(hand or (), frozenset(one.id for one in plan.schedules))
        number = flow_world.dialled(dialled, [one.number for one in plan.applications if one.flow == flow])
    world = World(
        caller=caller,
        dialled=number,
        moment=moment,
        link=link,
        schedules={one.id: one for one in plan.schedules},
        overrides=by_hand,
        queues=queues,
        room={one.id: one.waiting_max for one in plan.queues},
        answers=answers,
        paused_fails=pause_fails,
    )
    said = {(one.prompt, one.language): one.text for one in prompt_texts.catalogue(plan.prompts)}
    typer.echo(text("agent.flow.keys", LANG))
    step = flow_walk.begin(found, world)
    told_before = _tell(step, 0, said)
    while not step.over:
        try:
            given = input("> ").strip()
        except EOFError:
            break
        if step.at.kind not in CALLS and set(given) - KEYS:
            typer.echo(text("agent.flow.only_keys", LANG))
            continue
        step = _next(step, given)
        told_before = _tell(step, told_before, said)


@app.command(help=text("agent.help.flow.secret", LANG))
def secret(
    name: Annotated[str, typer.Argument(help=text("agent.help.flow.secret.name", LANG))],
    box: BoxFile = None,
) -> None:
    """Mode 0600; what was there under the name is replaced."""
    with told():
        layout = Layout.of(box_of(box))
        path = lookup_secrets.keep(lookup_secrets.folder(layout), name, sys.stdin.read(4_097))
    typer.echo(text("agent.flow.secret_kept", LANG, path=path))


def _next(step: Walk, given: str) -> Walk:
    if step.at.kind in CALLS:
        return flow_walk.answered(step) if given == "a" else flow_walk.wait(step)
    return flow_walk.press(step, given) if given else flow_walk.wait(step)


def _tell(step: Walk, before: int, said: dict[tuple[str, str], str]) -> int:
    """Print what has happened since; returns how much has been printed."""
    for what, value in step.log[before:]:
        line = _line(what, value, step.flow.language, said)
        if line:
            typer.echo(f"  {line}")
    if step.over:
        what, value = step.did[-1]
        typer.echo(f"  ■ {text(f'agent.flow.end.{what}', LANG, what=value)}")
    elif step.at.kind not in CALLS:
        typer.echo(f"  [{step.node}]")
    return len(step.log)


def _line(what: str, value: str, language: str, said: dict[tuple[str, str], str]) -> str:
    """One thing that happened; "" for what is told otherwise: nodes by their ways out, the end by itself."""
    if what == flow_walk.PROMPT:
        return f"♪ {said.get((value, language), value)}"
    if what == flow_walk.WAY:
        return f"· {value}"
    if what == "say":
        return f"♪ {value}"
    if what == "recording":
        order, _, about = value.partition("=")
        return f"● {text(f'agent.flow.recording.{order}', LANG, what=about)}"
    return f"☎ {value}" if what in CALLS else ""


def _plan(document: Path) -> MediaPlan:
    return site.loads(document.read_bytes()).media


def _flow(plan: MediaPlan, flow_id: str) -> Flow:
    found = plan.flow(flow_id)
    if found is None:
        known = ", ".join(flow.id for flow in plan.flows) or "none"
        raise KyusaiError(
            "agent.flow.unknown",
            f"{flow_id!r} is not a flow of this document; known are {known}",
            value=flow_id,
            known=known,
        )
    return found


def _moment(given: str, time_zone: str) -> datetime:
    if not given:
        return datetime.now(ZoneInfo(time_zone))
    try:
        return replace_zone(datetime.fromisoformat(given), time_zone)
    except ValueError:
        raise KyusaiError(
            "agent.flow.moment",
            f"{given!r} is not a moment",
            "Write it as 2026-05-03T10:00, in the site's local time.",
            value=given,
        ) from None


def replace_zone(moment: datetime, time_zone: str) -> datetime:
    """A moment without zone as the site's local time."""
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))


def _say(problem: site.SiteProblem) -> None:
    message, hint = explain(problem, LANG)
    typer.echo(f"{problem.path}: {message}" + (f"\n    {hint}" if hint else ""), err=True)
