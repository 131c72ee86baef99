"""`kyusai flow template`: call flows to begin with, as JSON for a site document. Writes to standard output, no more."""

import json
from typing import Annotated

import typer

from agent.command import LANG, told
from appliance.errors import KyusaiError
from appliance.freeswitch.flow_templates import TEMPLATES, part
from appliance.text import text

app = typer.Typer(no_args_is_help=True, help=text("agent.help.flow.template", LANG))


@app.command("list", help=text("agent.help.flow.template.list", LANG))
def list_templates() -> None:
    """Each with its settings and their defaults."""
    for one in TEMPLATES.values():
        typer.echo(f"{one.name}  {text(f'agent.flow.template.{one.name}', LANG)}")
        defaults = "  ".join(f"{key}={setting.default}" for key, setting in one.settings.items())
        typer.echo(f"    {defaults}")


@app.command(help=text("agent.help.flow.template.show", LANG))
def show(
    name: Annotated[str, typer.Argument(help=text("agent.help.flow.template.name", LANG))],
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help=text("agent.help.flow.template.set", LANG)),
    ] = None,
) -> None:
    """The part of a document."""
    with told():
        found = part(name, dict(_pair(one) for one in given or ()))
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


def _pair(given: str) -> tuple[str, str]:
    key, sign, value = given.partition("=")
    if not sign:
        raise KyusaiError(
            "agent.flow.setting",
            f"{given!r} is not a setting",
            "Write it as key=value; kyusai flow template list shows the keys.",
            value=given,
        )
    return key, value
