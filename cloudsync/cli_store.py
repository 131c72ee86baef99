"""The centre's commands about its store: backup, restore, move, check, months. Mounted by `cloudsync.cli`."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.errors import KyusaiError
from cloudsync import cli_output as out
from cloudsync.cli_output import said

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]


def add_commands(
    centre_app: typer.Typer,
    data_default: Path,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    reported: Callable[[], AbstractContextManager[None]],
    actor: Callable[[], str],
) -> None:
    """Add the commands. `opened`: the centre of a folder, errors reported; `actor`: who types."""
    months_app = typer.Typer(help=said("centre.help.months"), invoke_without_command=True)
    centre_app.add_typer(months_app, name="months")

    @centre_app.command(help=said("centre.help.backup"))
    def backup(
        folder: Path,
        without_keys: Annotated[
            bool, typer.Option("--without-keys", help=said("centre.option.without_keys"))
        ] = False,
        without_recordings: Annotated[
            bool, typer.Option("--without-recordings", help=said("centre.option.without_recordings"))
        ] = False,
        data: Data = data_default,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.backup import backup as write

            done = write(centre, folder, with_keys=not without_keys, with_recordings=not without_recordings)
            copied = done.recordings.copied + done.recordings.kept
            out.say("centre.said.backup", folder=folder, records=done.rows["ledger"], recordings=copied)
            _tell_deleted(done.deleted)
            _complain(done.recordings.wrong)

    @centre_app.command(help=said("centre.help.restore"))
    def restore(folder: Path, data: Data = data_default) -> None:
        with reported():
            from cloudsync.service.backup import restore as fill

            done = fill(folder, data, actor())
            copied = done.recordings.copied + done.recordings.kept
            out.say("centre.said.restore", data=data, records=done.rows["ledger"], recordings=copied)
            out.say("centre.said.restore_next", made=done.made_utc)
            _tell_deleted(done.deleted)
            _complain(done.recordings.wrong)

    @centre_app.command(help=said("centre.help.move"))
    def move(
        database: Annotated[str, typer.Option("--database", help=said("centre.option.database"))] = "",
        recordings: Annotated[str, typer.Option("--recordings", help=said("centre.option.recordings"))] = "",
        data: Data = data_default,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.moving import move as go
            from cloudsync.settings import StoreSettings

            done = go(centre, StoreSettings(database, recordings), actor())
            copied = done.recordings.copied + done.recordings.kept
            out.say("centre.said.move", records=done.records, recordings=copied)

    @centre_app.command(help=said("centre.help.check"))
    def check(
        site: Annotated[str, typer.Option("--site", help=said("centre.option.site"))] = "",
        data: Data = data_default,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.checking import ask

            out.say("centre.said.check", recordings=ask(centre, site))

    @months_app.callback()
    def months(context: typer.Context, data: Data = data_default, as_json: AsJson = False) -> None:
        if context.invoked_subcommand is not None:
            os.environ["KYUSAI_CENTRE_DATA"] = os.fspath(data)
            return
        with opened(data) as centre:
            from cloudsync.service.months import list_months

            found = list_months(centre)
            if as_json:
                out.print_json([asdict(one) for one in found])
                return
            for one in found:
                out.say(
                    "centre.said.month",
                    month=one.month,
                    records=f"{one.records:,}",
                    exported=one.exported_utc or "-",
                    dropped=one.dropped_utc or "-",
                )

    @months_app.command("export", help=said("centre.help.months_export"))
    def months_export(
        month: str,
        output: Annotated[Path, typer.Option("--output", "-o", help=said("centre.option.output"))],
        data: Data = data_default,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.months import export

            done = export(centre, month, output, actor())
            out.say("centre.said.exported", path=done.path, records=done.records, sha256=done.sha256)

    @months_app.command("drop", help=said("centre.help.months_drop"))
    def months_drop(
        month: str,
        unexported: Annotated[
            bool, typer.Option("--unexported", help=said("centre.option.unexported"))
        ] = False,
        data: Data = data_default,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.months import drop

            out.say(
                "centre.said.dropped",
                month=month,
                records=drop(centre, month, actor(), unexported=unexported),
            )


def _tell_deleted(names: Sequence[str]) -> None:
    if names:
        out.say("centre.said.backup_deleted", count=len(names), first=", ".join(names[:5]))


def _complain(wrong: list[str]) -> None:
    if wrong:
        raise KyusaiError(
            "recording.missing",
            f"{len(wrong)} recordings are missing or altered: {', '.join(wrong[:5])}",
            "Everything else is there.",
            count=len(wrong),
            first=", ".join(wrong[:5]),
        )
