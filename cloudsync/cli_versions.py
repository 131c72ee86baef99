"""The centre's commands about versions and keys: revert, diff, versions, rotation. Mounted by `cloudsync.cli`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance import document_diff_view
from cloudsync import cli_output as out
from cloudsync.cli_listen import KeyAtCentre, NewKeyFile, hand_over
from cloudsync.cli_output import LANG, said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help=said("centre.option.limit"))]
ToVersion = Annotated[int, typer.Option("--to", min=1, help=said("centre.option.to_version"))]
DiffFrom = Annotated[int, typer.Option("--from", min=0, help=said("centre.option.diff_from"))]
DiffTo = Annotated[int, typer.Option("--to", min=0, help=said("centre.option.diff_to"))]
Recipient = Annotated[str, typer.Option("--recipient", help=said("centre.option.recipient"))]

Opened = Callable[[Path], AbstractContextManager["Centre"]]
"""The centre of a folder, errors reported."""


def add_commands(
    centre_app: typer.Typer, site_app: typer.Typer, opened: Opened, actor: Callable[[], str]
) -> None:
    """Add the commands. actor: who types."""
    _add_keys(centre_app, opened, actor)
    _add_recipients(centre_app, opened, actor)

    @site_app.command("revert", help=said("centre.help.site_revert"))
    def revert(site: str, to: ToVersion, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        with opened(data) as centre:
            from cloudsync.service import versions

            envelope = versions.revert(centre, site, to, actor())
            if as_json:
                out.print_json({"site": site, "version": envelope.version, "reverted_to": to})
            else:
                out.say("centre.said.reverted", site=site, version=envelope.version, to=to)

    @site_app.command("diff", help=said("centre.help.site_diff"))
    def diff(
        site: str,
        before: DiffFrom = 0,
        after: DiffTo = 0,
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import versions

            compared = versions.compare(centre, site, before, after)
        if as_json:
            out.print_json(document_diff_view.as_json(compared.found, compared.before, compared.after))
            return
        for line in document_diff_view.lines(compared.found, compared.before, compared.after, LANG):
            print(line)

    @site_app.command("versions", help=said("centre.help.site_versions"))
    def list_versions(
        site: str, data: Data = DATA_DIR_DEFAULT, limit: Limit = 50, as_json: AsJson = False
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import versions

            rows = versions.history(centre, site, limit)
        if as_json:
            out.print_json([{"version": version, "published_utc": utc} for version, utc in rows])
        else:
            out.print_table(("version", "published"), [(str(version), utc) for version, utc in rows])


def _add_keys(centre_app: typer.Typer, opened: Opened, actor: Callable[[], str]) -> None:
    keys_app = typer.Typer(help=said("centre.help.keys"), invoke_without_command=True)
    centre_app.add_typer(keys_app, name="keys")

    @keys_app.callback()
    def keys(context: typer.Context, data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        if context.invoked_subcommand is not None:
            return
        with opened(data) as centre:
            public = centre.keys.public()
        if as_json:
            out.print_json([asdict(key) for key in public])
            return
        for key in public:
            print(f"{key.key_id}  {key.public_key}")

    @keys_app.command("rotate-box", help=said("centre.help.keys_rotate_box"))
    def rotate_box(box: str, data: Data = DATA_DIR_DEFAULT) -> None:
        with opened(data) as centre:
            from cloudsync.service.box_keys import ask_for_new

            ask_for_new(centre, box, actor())
        out.say("centre.said.key_wanted", box=box)

    @keys_app.command("rotate", help=said("centre.help.keys_rotate"))
    def rotate(data: Data = DATA_DIR_DEFAULT, as_json: AsJson = False) -> None:
        with opened(data) as centre:
            from cloudsync.service import versions

            link = versions.rotate_signing_key(centre, actor())
        if as_json:
            out.print_json(asdict(link))
        else:
            out.say("centre.said.key_rotated", new=link.key_id, before=link.signed_by)


def _add_recipients(centre_app: typer.Typer, opened: Opened, actor: Callable[[], str]) -> None:
    recipients_app = typer.Typer(help=said("centre.help.recipients"), no_args_is_help=True)
    centre_app.add_typer(recipients_app, name="recipients")

    @recipients_app.callback()
    def recipients() -> None:
        """A group with one command so far."""

    @recipients_app.command("rotate", help=said("centre.help.recipients_rotate"))
    def rotate(
        tenant: str,
        recipient: Recipient = "",
        key: NewKeyFile = None,
        key_at_centre: KeyAtCentre = False,
        data: Data = DATA_DIR_DEFAULT,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service import versions

            new, renewed = versions.rotate_recipient(
                centre, tenant, recipient, actor(), hand_over(key, key_at_centre, tenant)
            )
        out.say(
            "centre.said.recipient_rotated", tenant=tenant, recipient=new, sites=", ".join(renewed) or "-"
        )
