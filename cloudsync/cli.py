"""The centre's part of the command `kyusai`. Administration works directly on the data folder, with or without a server.

Only typer, rich and the texts are imported at the top: a box without the centre's packages can still show help.
"""

import contextlib
import getpass
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.errors import KyusaiError
from appliance.owner import act_as_owner
from cloudsync import (
    cli_changes,
    cli_flows,
    cli_held,
    cli_listen,
    cli_prompts,
    cli_retention,
    cli_rollout,
    cli_versions,
)
from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.cli_store import add_commands
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

LISTEN_DEFAULT = "127.0.0.1:8443"
"""Nothing outside this machine, until somebody says so."""
LIMIT_DEFAULT = 50
POINTS_DEFAULT = 60
"""An hour of a site with one box."""
DOCUMENT_FROM_STDIN = "-"

app = typer.Typer(no_args_is_help=True, add_completion=False)
centre_app = typer.Typer(help=said("centre.help.root"), invoke_without_command=True)
site_app = typer.Typer(help=said("centre.help.site"), no_args_is_help=True)
recordings_app = typer.Typer(help=said("centre.help.recordings"), invoke_without_command=True)
app.add_typer(centre_app, name="centre")
app.add_typer(recordings_app, name="recordings")
centre_app.add_typer(site_app, name="site")

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
Listen = Annotated[str, typer.Option("--listen", help=said("centre.option.listen"))]
Addresses = Annotated[list[str] | None, typer.Option("--address", help=said("centre.option.address"))]
MetricsFrom = Annotated[
    list[str] | None, typer.Option("--metrics-from", help=said("centre.option.metrics_from"))
]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
NotEncrypted = Annotated[bool, typer.Option("--not-encrypted", help=said("centre.option.not_encrypted"))]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help=said("centre.option.limit"))]
OfSite = Annotated[str, typer.Option("--site", help=said("centre.option.site"))]


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Errors of ours as one line and a hint, exit code 1; a missing package as what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        out.print_error(
            KyusaiError(
                "centre.not_installed",
                f"the centre's packages are not installed here ({error.name} is missing)",
                "Install them: pip install 'kyusai[centre]'",
                package=error.name,
            )
        )
        raise typer.Exit(1) from None
    except KyusaiError as error:
        out.print_error(error)
        raise typer.Exit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        out.print_error(_system_fault(error))
        raise typer.Exit(1) from None


def _system_fault(error: OSError) -> KyusaiError:
    """What the system, or the store of the recordings, has refused; with the hint that fits."""
    detail = error.strerror or str(error)
    if type(error).__name__ == "BucketAwayError":  # its module needs the centre's packages
        return KyusaiError(
            "centre.bucket_away",
            detail,
            "Check that the S3 server runs, the bucket exists, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set here.",
            detail=detail,
        )
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "kyusai"
    return KyusaiError(
        "centre.os_error",
        f"{path}: {detail}",
        "Check the path, its owner and the disk.",
        path=path,
        detail=detail,
    )


@contextlib.contextmanager
def _centre(data: Path, *, create: bool = False) -> Iterator["Centre"]:
    """The centre on `data`, errors reported. Unless `create`, it must be there already."""
    with _reported():
        from sqlalchemy.exc import DBAPIError

        from cloudsync import settings
        from cloudsync.layout import CentreLayout
        from cloudsync.service.centre import open_centre

        act_as_owner(data)
        layout = CentreLayout(data)
        elsewhere = settings.load(layout.settings, os.environ).database
        if not create and not elsewhere and not layout.database.exists():
            raise KyusaiError(
                "centre.no_store",
                f"{data} holds no centre",
                "Name the data folder with --data or KYUSAI_CENTRE_DATA; `kyusai centre site add` begins a new one.",
                data=data,
            )
        try:
            with contextlib.closing(open_centre(data)) as opened:
                yield opened
        except DBAPIError as error:
            raise KyusaiError(
                "centre.store_failed", f"{data}: {error.orig}", data=data, detail=error.orig
            ) from error


def _hand_down(context: typer.Context, data: Path) -> None:
    """Let `kyusai centre --data D site add` mean D, and not the default of `site add`."""
    if context.invoked_subcommand is not None:
        os.environ["KYUSAI_CENTRE_DATA"] = os.fspath(data)


def _actor() -> str:
    return f"admin:{getpass.getuser()}"


def _serve(data: Path, listen: str, addresses: list[str] | None, metrics_from: list[str] | None) -> None:
    with _reported():
        from cloudsync.app import Settings, serve

        act_as_owner(data)
        networks = {"metrics_from": tuple(metrics_from)} if metrics_from else {}
        settings = Settings(data, listen, tuple(addresses or ()), **networks)
        if sys.stdout.isatty():
            out.say("centre.said.listening", listen=listen, data=data)
        serve(settings)


@centre_app.callback()
def centre(
    context: typer.Context,
    data: Data = DATA_DIR_DEFAULT,
    listen: Listen = LISTEN_DEFAULT,
    address: Addresses = None,
    metrics_from: MetricsFrom = None,
) -> None:
    """`kyusai centre` alone serves. A data folder named here holds for the command behind it as well."""
    _hand_down(context, data)
    if context.invoked_subcommand is None:
        _serve(data, listen, address, metrics_from)


@centre_app.command(help=said("centre.help.serve"))
def serve(
    data: Data = DATA_DIR_DEFAULT,
    listen: Listen = LISTEN_DEFAULT,
    address: Addresses = None,
    metrics_from: MetricsFrom = None,
) -> None:
    """Run the HTTPS server."""
    _serve(data, listen, address, metrics_from)


@centre_app.command(help=said("centre.help.revoke"))
def revoke(box: str, data: Data = DATA_DIR_DEFAULT) -> None:
    """Shut a box out."""
    with _centre(data) as opened:
        from cloudsync.service.sites import revoke_box

        revoke_box(opened, box, _actor())
        out.say("centre.said.revoked", box=box)


@centre_app.command(help=said("centre.help.audit"))
def audit(
    data: Data = DATA_DIR_DEFAULT,
    limit: Limit = LIMIT_DEFAULT,
    as_json: AsJson = False,
    head: Annotated[bool, typer.Option("--head", help=said("centre.option.audit_head"))] = False,
    check: Annotated[bool, typer.Option("--check", help=said("centre.option.audit_check"))] = False,
    against: Annotated[
        Path | None, typer.Option("--against", help=said("centre.option.audit_against"))
    ] = None,
) -> None:
    """Show the audit trail, or check it; exit code 1 when it is not what it was."""
    with _reported():
        noted = None if against is None else json.loads(against.read_text("utf-8"))
    with _centre(data) as opened:
        from cloudsync.service import audit_log
        from cloudsync.store import audit as trail

        if head:
            out.print_json(asdict(audit_log.head(opened)))
            return
        if check or against is not None:
            checked = audit_log.check(opened, None if noted is None else audit_log.head_from(noted))
            out.print_audit_check(checked, as_json)
            raise typer.Exit(1 if checked.faults else 0)
        with opened.database.read() as connection:
            rows = trail.newest(connection, limit)
        if as_json:
            out.print_json([{**row, "detail": json.loads(str(row["detail"]))} for row in rows])
        else:
            out.print_audit(rows)


@site_app.command("add", help=said("centre.help.site_add"))
def site_add(
    site: str,
    tenant: Annotated[str, typer.Option("--tenant", help=said("centre.option.tenant"))],
    name: Annotated[str, typer.Option("--name", help=said("centre.option.name"))] = "",
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", help=said("centre.option.recipient"))
    ] = None,
    key: cli_listen.NewKeyFile = None,
    key_at_centre: cli_listen.KeyAtCentre = False,
    data: Data = DATA_DIR_DEFAULT,
) -> None:
    """Add a site."""
    with _centre(data, create=True) as opened:
        from cloudsync.service.sites import add_site

        hand = cli_listen.hand_over(key, key_at_centre, tenant)
        recipients = add_site(opened, site, name, tenant, recipient or [], _actor(), hand)
        out.say("centre.said.site_added", site=site, tenant=tenant, recipients=", ".join(recipients))


@site_app.command("publish", help=said("centre.help.site_publish"))
def site_publish(file: str, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
    """Publish a site document."""
    with _reported():  # before the process acts as the owner of the data: the file is the administrator's
        text = sys.stdin.buffer.read() if file == DOCUMENT_FROM_STDIN else Path(file).read_bytes()
    with _centre(data) as opened:
        from cloudsync.service.configuration import publish

        envelope, warnings = publish(opened, text, _actor())
        site = json.loads(envelope.document)["site"]["id"]
        out.print_warnings(warnings)
        if as_json:
            out.print_json({"site": site, "version": envelope.version, "key_id": envelope.key_id})
            return
        out.say("centre.said.published", site=site, version=envelope.version)


@site_app.command("code", help=said("centre.help.site_code"))
def site_code(
    site: str,
    hours: Annotated[float, typer.Option("--hours", help=said("centre.option.hours"))] = 24.0,
    data: Data = DATA_DIR_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Print an enrolment text on standard output, the explanation on standard error."""
    with _centre(data) as opened:
        from cloudsync.service.enrolment import make_code

        code, expires_utc = make_code(opened, site, hours, _actor())
        if as_json:
            out.print_json({"site": site, "code": code, "expires_utc": expires_utc})
            return
        print(code)
        print(said("centre.said.code", code=code, expires=expires_utc), file=sys.stderr)


@site_app.command("list", help=said("centre.help.site_list"))
def site_list(
    data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False, not_encrypted: NotEncrypted = False
) -> None:
    """List the sites."""
    _sites(data, as_json, not_encrypted)


@site_app.command("receipt", help=said("centre.help.site_receipt"))
def site_receipt(site: str, data: Data = DATA_DIR_DEFAULT) -> None:
    """Print the signed receipt as JSON; `kyusai receipt verify` checks it anywhere."""
    with _centre(data) as opened:
        from cloudsync.service.ledger import receipt

        out.print_json(asdict(receipt(opened, site)))


@app.command(help=said("centre.help.sites"))
def sites(
    data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False, not_encrypted: NotEncrypted = False
) -> None:
    """List the sites."""
    _sites(data, as_json, not_encrypted)


def _sites(data: Path, as_json: bool, not_encrypted: bool) -> None:
    with _centre(data) as opened:
        from cloudsync.service.sites import list_sites

        views = list_sites(opened)
        if not_encrypted:
            views = [site for site in views if any(box.exposed for box in site.boxes)]
        if as_json:
            out.print_json(out.sites_as_json(views))
        else:
            out.print_sites(views)


@app.command(help=said("centre.help.series"))
def series(
    site: str,
    limit: Annotated[int, typer.Option("--limit", min=1, help=said("centre.option.limit"))] = POINTS_DEFAULT,
    as_json: AsJson = False,
    open_metrics: Annotated[
        bool, typer.Option("--openmetrics", help=said("centre.option.openmetrics"))
    ] = False,
    data: Data = DATA_DIR_DEFAULT,
) -> None:
    """Show a site's figures over time, those of an outage too, and whether there is a hole in them."""
    with _centre(data) as opened:
        from cloudsync import series as figures
        from cloudsync.service.series import read

        found = read(opened, site, limit)
        holes = figures.holes(found)
        if open_metrics:
            for line in figures.open_metrics(site, found):
                print(line)
        elif as_json:
            out.print_json(
                {"points": [asdict(point) for point in found], "holes": [asdict(h) for h in holes]}
            )
        else:
            out.print_series(found)
            for hole in holes:
                out.say("centre.said.hole", box=hole.box_id, begin=hole.from_utc, end=hole.to_utc)


@app.command(help=said("centre.help.records"))
def records(
    site: OfSite = "",
    kind: Annotated[str, typer.Option("--kind", help=said("centre.option.kind"))] = "",
    since: Annotated[str, typer.Option("--since", help=said("centre.option.since"))] = "",
    call: Annotated[str, typer.Option("--call", help=said("centre.option.call"))] = "",
    number: Annotated[str, typer.Option("--number", help=said("centre.option.number"))] = "",
    zone: Annotated[str, typer.Option("--zone", help=said("centre.option.zone"))] = "",
    refused: Annotated[bool, typer.Option("--refused", help=said("centre.option.refused"))] = False,
    limit: Limit = LIMIT_DEFAULT,
    as_json: AsJson = False,
    data: Data = DATA_DIR_DEFAULT,
) -> None:
    """List records."""
    with _centre(data) as opened:
        from cloudsync.service import record_search

        if refused:
            rows = record_search.refused(opened, site, limit)
            out.print_json(rows) if as_json else out.print_refused(rows)
            return
        asked = record_search.Asked(site, kind, since, call, number, zone, limit, figures=as_json)
        found = record_search.find(opened, asked, datetime.now(UTC))
        if as_json:
            out.print_json(found.rows)
        else:
            out.print_records(found)


@recordings_app.callback()
def recordings(
    context: typer.Context,
    site: OfSite = "",
    limit: Limit = LIMIT_DEFAULT,
    as_json: AsJson = False,
    data: Data = DATA_DIR_DEFAULT,
) -> None:
    """List recordings."""
    _hand_down(context, data)
    if context.invoked_subcommand is not None:
        return
    with _centre(data) as opened:
        from cloudsync.service import retention
        from cloudsync.service.sites import require_site
        from cloudsync.store import recordings as store
        from cloudsync.store import sites

        with opened.database.read() as connection:
            if site:
                require_site(sites.find(connection, site), site)
            rows = store.newest(connection, site_id=site, limit=limit)
            until_utc = retention.kept_until(connection, rows, opened.now_utc())
        if as_json:
            out.print_json(out.recordings_as_json(rows, until_utc))
        else:
            out.print_recordings(rows, until_utc)


cli_listen.add_commands(recordings_app, _centre, _reported, _actor)
cli_held.add_commands(recordings_app, _centre, _actor)
add_commands(centre_app, DATA_DIR_DEFAULT, _centre, _reported, _actor)
cli_versions.add_commands(centre_app, site_app, _centre, _actor)
cli_changes.add_commands(centre_app, _centre, _actor)
cli_flows.add_commands(centre_app, _centre, _reported, _actor)
cli_prompts.add_commands(centre_app, _centre, _reported, _actor)
cli_retention.add_commands(centre_app, _centre, _actor)
cli_rollout.add_commands(centre_app, _centre, _reported, _actor)
