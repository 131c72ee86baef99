"""`kyusai recordings missing` and `strays`: what should be here and is not, what is here and unknown. For `cloudsync.cli`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

LIMIT_DEFAULT = 50
Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
OfSite = Annotated[str, typer.Option("--site", help=said("centre.option.site"))]
Since = Annotated[str, typer.Option("--since", help=said("centre.option.missing_since"))]
Zone = Annotated[str, typer.Option("--zone", help=said("centre.option.zone"))]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help=said("centre.option.limit"))]
Everything = Annotated[bool, typer.Option("--all", help=said("centre.option.missing_all"))]
Adopt = Annotated[bool, typer.Option("--adopt", help=said("centre.option.adopt"))]


def add_commands(
    recordings_app: typer.Typer,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    actor: Callable[[], str],
) -> None:
    """Add the commands. opened: the centre of a folder, errors reported; actor: who types."""

    @recordings_app.command("missing", help=said("centre.help.missing"))
    def missing(
        site: OfSite = "",
        since: Since = "",
        everything: Everything = False,
        zone: Zone = "",
        limit: Limit = LIMIT_DEFAULT,
        as_json: AsJson = False,
        data: Data = DATA_DIR_DEFAULT,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.held import Held
            from cloudsync.service import record_search

            states = set(Held) - {Held.STORED} if everything else {Held.MISSING}
            asked = record_search.Asked(site=site, since=since, zone=zone, limit=limit)
            found = record_search.without_recordings(centre, asked, states, datetime.now(UTC))
            if as_json:
                out.print_json(found.rows)
            else:
                out.print_records(found)

    @recordings_app.command("strays", help=said("centre.help.strays"))
    def strays(
        site: OfSite = "",
        since: Since = "",
        adopt: Adopt = False,
        as_json: AsJson = False,
        data: Data = DATA_DIR_DEFAULT,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import strays as service

            found = service.find(centre, site, since, datetime.now(UTC))
            taken = sum(service.adopt(centre, one, actor()) for one in found) if adopt else 0
            if as_json:
                out.print_json(service.as_json(found))
                return
            out.print_strays(found)
            if adopt:
                out.say("centre.said.adopted", count=taken)
