"""`kyusai centre prompt`: recordings of one's own as prompts. Mounted by `cloudsync.cli`."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from appliance.errors import KyusaiError
from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.service.centre import Centre

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
Words = Annotated[
    list[str], typer.Argument(metavar="[SITE] ID FILE", help=said("centre.option.prompt_words"))
]
Tenant = Annotated[str, typer.Option("--tenant", help=said("centre.option.prompt_tenant"))]
Language = Annotated[
    Literal["ja", "en"], typer.Option("--language", help=said("centre.option.prompt_language"))
]
NoPublish = Annotated[bool, typer.Option("--no-publish", help=said("centre.option.no_publish"))]


def add_commands(
    centre_app: typer.Typer,
    opened: Callable[[Path], AbstractContextManager["Centre"]],
    reported: Callable[[], AbstractContextManager[None]],
    actor: Callable[[], str],
) -> None:
    """Add the commands. opened: the centre of a folder, errors reported; actor: who types."""
    app = typer.Typer(help=said("centre.help.prompt"), no_args_is_help=True)
    centre_app.add_typer(app, name="prompt")

    @app.command(help=said("centre.help.prompt_add"))
    def add(
        words: Words,
        tenant: Tenant = "",
        language: Language = "ja",
        no_publish: NoPublish = False,
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with reported():  # before the process acts as the owner of the data: the file is the administrator's
            from cloudsync.prompt_audio import convert
            from cloudsync.service.prompts import Place

            site, prompt, file = _words(words, tenant)
            place = Place(prompt, language, site, tenant)
            audio = convert(Path(file))
        with opened(data) as centre:
            from cloudsync.service import configuration, prompts

            changed = {} if no_publish else prompts.planned(centre, place, audio.sha256)
            prompts.add(centre, audio, place, actor())
            versions = {
                site_id: configuration.publish(centre, document, actor())[0].version
                for site_id, document in changed.items()
            }
            entry = prompts.entry(place, audio.sha256)
        if as_json:
            out.print_json({"prompt": entry, "seconds": round(audio.seconds, 2), "published": versions})
            return
        out.say(
            "centre.said.prompt_added",
            prompt=prompt,
            seconds=f"{audio.seconds:.1f}",
            bytes=f"{len(audio.wav):,}",
        )
        for site_id, version in versions.items():
            out.say("centre.said.published", site=site_id, version=version)
        out.say("centre.said.prompt_entry", entry=json.dumps(entry))

    @app.command("list", help=said("centre.help.prompt_list"))
    def list_prompts(
        site: Annotated[str, typer.Argument(help=said("centre.option.site"))] = "",
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.prompts import listed

            found = listed(centre, site)
        if as_json:
            rows = [
                {
                    "site": one.site,
                    "prompt": one.prompt,
                    "language": one.language,
                    "sha256": one.sha256,
                    "bytes": one.bytes,
                }
                for one in found
            ]
            out.print_json(rows)
            return
        columns = ("site", "prompt", "language", "sha256", "size")
        out.print_table(
            columns,
            [
                (
                    one.site,
                    one.prompt,
                    one.language,
                    one.sha256[:16],
                    "-" if one.bytes is None else f"{one.bytes:,}",
                )
                for one in found
            ],
        )


def _words(words: list[str], tenant: str) -> tuple[str, str, str]:
    """Site, id and file; the site is "" with a tenant. Raises `KyusaiError` "prompt.words"."""
    if len(words) != (2 if tenant else 3):
        raise KyusaiError(
            "prompt.words",
            f"{len(words)} words were given",
            "kyusai centre prompt add SITE ID FILE, or kyusai centre prompt add --tenant TENANT ID FILE",
            count=len(words),
        )
    return ("", words[0], words[1]) if tenant else (words[0], words[1], words[2])
