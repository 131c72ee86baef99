"""`kyusai schedule`: sets a schedule of the site by hand, at the box. The agent does it, asked over its socket."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from agent.change_command import me
from agent.command import LANG, AsJson, BoxFile, box_of, told
from appliance import site
from appliance.errors import KyusaiError
from appliance.freeswitch.by_hand import AUTOMATIC
from appliance.freeswitch.schedule import State
from appliance.layout import Layout
from appliance.text import text

app = typer.Typer(no_args_is_help=True, help=text("agent.help.schedule", LANG))

Name = Annotated[str, typer.Argument(help=text("agent.help.schedule.name", LANG))]
Until = Annotated[str, typer.Option("--until", help=text("agent.help.schedule.until", LANG))]


@app.command("open", help=text("agent.help.schedule.open", LANG))
def open_schedule(name: Name, until: Until = "", as_json: AsJson = False, box: BoxFile = None) -> None:
    """Open whatever hours and holidays say."""
    _set(name, State.OPEN, until, as_json, box)


@app.command(help=text("agent.help.schedule.closed", LANG))
def closed(name: Name, until: Until = "", as_json: AsJson = False, box: BoxFile = None) -> None:
    """Closed whatever hours and holidays say."""
    _set(name, State.CLOSED, until, as_json, box)


@app.command(help=text("agent.help.schedule.automatic", LANG))
def automatic(name: Name, as_json: AsJson = False, box: BoxFile = None) -> None:
    """By its hours again."""
    _set(name, AUTOMATIC, "", as_json, box)


@app.command("list", help=text("agent.help.schedule.list", LANG))
def list_schedules(as_json: AsJson = False, box: BoxFile = None) -> None:
    """Each schedule and what holds by hand."""
    from agent.watch import ask

    with told():
        layout = Layout.of(box_of(box))
        zone, known = _known(layout)
        held = {one["schedule"]: one for one in ask(layout.agent_socket)["schedules"]}
    if as_json:
        typer.echo(json.dumps([held.get(name, {"schedule": name, "state": AUTOMATIC}) for name in known]))
        return
    for name in known:
        one = held.get(name)
        if one is None:
            typer.echo(f"{name}  {AUTOMATIC}")
            continue
        end = one["until_utc"]
        shown = (
            "" if end is None else f" → {datetime.fromtimestamp(end, UTC).astimezone(zone):%Y-%m-%d %H:%M}"
        )
        typer.echo(f"{name}  {one['state']}{shown}  ({one['by']})")


def moment(given: str, now: datetime) -> datetime:
    """ "18:00" (the next one) or "2026-05-03T18:00", in the zone of `now`. Raises `KyusaiError` "schedule.moment"."""
    try:
        if len(given) <= len("18:00"):
            clock = datetime.strptime(given, "%H:%M")
            today = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
            return today if today > now else today + timedelta(days=1)
        found = datetime.fromisoformat(given)
        return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
    except ValueError:
        raise KyusaiError(
            "schedule.moment",
            f"{given!r} is not a moment",
            "Write 18:00 or 2026-05-03T18:00, in the site's local time.",
            value=given,
        ) from None


def _set(name: str, state: str, until: str, as_json: bool, box: BoxFile) -> None:
    from agent.watch import order

    with told():
        layout = Layout.of(box_of(box))
        zone, _ = _known(layout)
        end = moment(until, datetime.now(zone)).timestamp() if until else None
        asked = {"schedule": name, "state": str(state), "until_utc": end, "by": me()}
        done = order(layout.agent_socket, "/schedule", asked)
    typer.echo(json.dumps(done) if as_json else text("agent.schedule.did", LANG, name=name, state=str(state)))


def _known(layout: Layout) -> tuple[ZoneInfo, list[str]]:
    found = site.loads((layout.current / "document.json").read_bytes()).media
    return ZoneInfo(found.time_zone), [one.id for one in found.schedules]
