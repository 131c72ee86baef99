"""`kyusai change`: what a person at the site sets while the centre is out of reach, and what became of it.

The agent does it (`change_desk`); the list is read from disk, so that it is there without the agent too.
"""

import getpass
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.command import FAILED, LANG, AsJson, BoxFile, box_of, print_table, told
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.local_change import Change, target, value_of
from appliance.text import retold, text
from cloudsync.wire import reasons_from

app = typer.Typer(no_args_is_help=True, help=text("agent.help.change", LANG))

Why = Annotated[str, typer.Option("--why", help=text("agent.help.change_why", LANG))]
By = Annotated[str, typer.Option("--by", help=text("agent.help.change_by", LANG))]
Anyway = Annotated[bool, typer.Option("--anyway", help=text("agent.help.change_anyway", LANG))]
Settings = Annotated[
    list[str], typer.Argument(metavar="FIELD=VALUE...", help=text("agent.help.change_fields", LANG))
]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help=text("agent.help.change_number", LANG))]
Gateway = Annotated[str, typer.Argument(metavar="ID", help=text("agent.help.change_gateway_id", LANG))]

HISTORY = ("made", "id", "field", "base", "value", "state", "by", "why")


def me() -> str:
    """Who types, also behind sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


@app.command(help=text("agent.help.change_extension", LANG))
def extension(
    number: Number,
    fields: Settings,
    why: Why,
    by: By = "",
    anyway: Anyway = False,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """Forwardings, do-not-disturb."""
    _set(f"extensions[{number}].", fields, why, by, anyway=anyway, as_json=as_json, box=box)


@app.command(help=text("agent.help.change_group", LANG))
def group(
    number: Number,
    fields: Settings,
    why: Why,
    by: By = "",
    anyway: Anyway = False,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """Members, strategy, overflow."""
    _set(f"groups[{number}].", fields, why, by, anyway=anyway, as_json=as_json, box=box)


@app.command(help=text("agent.help.change_gateway", LANG))
def gateway(
    gateway_id: Gateway,
    fields: Settings,
    why: Why,
    by: By = "",
    anyway: Anyway = False,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """Calls at once."""
    _set(f"gateways[{gateway_id}].", fields, why, by, anyway=anyway, as_json=as_json, box=box)


@app.command(help=text("agent.help.change_site", LANG))
def site(
    fields: Settings,
    why: Why,
    by: By = "",
    anyway: Anyway = False,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """The order of gateways, emergency gateways, limits."""
    _set("", fields, why, by, anyway=anyway, as_json=as_json, box=box)


@app.command(help=text("agent.help.change_undo", LANG))
def undo(
    why: Why,
    ids: Annotated[list[str] | None, typer.Argument(help=text("agent.help.change_ids", LANG))] = None,
    every: Annotated[bool, typer.Option("--all", help=text("agent.help.change_undo_all", LANG))] = False,
    by: By = "",
    anyway: Anyway = False,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """By id, or all of them."""
    with told():
        if bool(ids) == every:
            raise KyusaiError(
                "change.which",
                "name the changes to withdraw, or say --all",
                "`kyusai change list` shows them.",
            )
    _ask({"withdraw": ids or []}, why, by, anyway=anyway, as_json=as_json, box=box)


@app.command("list", help=text("agent.help.change_list", LANG))
def list_changes(
    every: Annotated[bool, typer.Option("--all", help=text("agent.help.change_list_all", LANG))] = False,
    as_json: AsJson = False,
    box: BoxFile = None,
) -> None:
    """Open ones; with --all those that are over too."""
    from agent.config_store import ConfigStore

    with told():
        store = ConfigStore(Layout.of(box_of(box)))
        state, running = store.read_state(), store.current()
        known = (*state.taken_back, *store.overlay(*running).changes)
    shown = [one for one in known if every or one.is_open]
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in shown], ensure_ascii=False))
    elif not shown:
        typer.echo(text("agent.change.none", LANG))
    else:
        print_table([text(f"agent.change.{column}", LANG) for column in HISTORY], map(_cells, shown))


def _cells(one: Change) -> Sequence[str]:
    state = text(f"agent.change.is.{one.state}", LANG) + (f": {one.reason}" if one.reason else "")
    return one.made_utc, one.id, one.path, _shown(one.base), _shown(one.value), state, one.by, one.why


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _set(
    prefix: str, fields: Sequence[str], why: str, by: str, *, anyway: bool, as_json: bool, box: Path | None
) -> None:
    with told():
        wanted = dict(_assigned(prefix, one) for one in fields)
    _ask({"set": wanted}, why, by, anyway=anyway, as_json=as_json, box=box)


def _assigned(prefix: str, field: str) -> tuple[str, Any]:
    """Path and value of `FIELD=VALUE`. Raises KyusaiError `change.not_allowed`, `change.bad_value`."""
    name, equals, value = field.partition("=")
    if not equals:
        raise KyusaiError(
            "change.no_value",
            f"{field[:60]!r} gives no value",
            "Write FIELD=VALUE, for example forward_always=0312340000; FIELD= empties a field.",
            field=field[:60],
        )
    where = target(prefix + name.strip())
    return where.path, value_of(where, value.strip())


def _ask(
    asked: Mapping[str, Any], why: str, by: str, *, anyway: bool, as_json: bool, box: Path | None
) -> None:
    from agent.watch import order

    with told():
        socket = Layout.of(box_of(box)).agent_socket
        if not as_json:
            typer.echo(text("agent.change.watched", LANG), err=True)
        done = order(socket, "/change", {**asked, "why": why, "by": by or me(), "anyway": anyway})
    if as_json:
        typer.echo(json.dumps(done, ensure_ascii=False))
    elif done["outcome"] == "applied":
        for one in done["changes"]:
            typer.echo(
                text(
                    f"agent.change.did.{one['state']}" if one["state"] in _DID else "agent.change.did.other",
                    LANG,
                    id=one["id"],
                    path=one["path"],
                    base=_shown(one["base"]),
                    value=_shown(one["value"]),
                )
            )
    else:
        typer.echo(text("agent.change.taken_back", LANG), err=True)
        for one in reasons_from(done["reasons"], done.get("details")):
            typer.echo(f"  {retold(one, LANG)}", err=True)
    if done["outcome"] != "applied":
        raise typer.Exit(FAILED)


_DID = ("active", "withdrawn", "replaced")
