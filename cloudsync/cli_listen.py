"""The centre's commands that open recordings: fetch, export, play, token. Mounted by `cloudsync.cli`."""

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.errors import KyusaiError
from cloudsync import cli_output as out
from cloudsync.cli_output import said
from cloudsync.layout import DATA_DIR_DEFAULT

if TYPE_CHECKING:
    from cloudsync.sealing import Hand
    from cloudsync.service.centre import Centre

Data = Annotated[Path, typer.Option("--data", envvar="KYUSAI_CENTRE_DATA", help=said("centre.option.data"))]
AsJson = Annotated[bool, typer.Option("--json", help=said("centre.option.json"))]
OfSite = Annotated[str, typer.Option("--site", help=said("centre.option.site"))]
Output = Annotated[Path, typer.Option("--output", "-o", help=said("centre.option.output"))]
KeyFile = Annotated[Path | None, typer.Option("--key", help=said("centre.option.key"))]
NewKeyFile = Annotated[Path | None, typer.Option("--key", help=said("centre.option.new_key"))]
KeyAtCentre = Annotated[bool, typer.Option("--key-at-centre", help=said("centre.option.key_at_centre"))]
FromS = Annotated[float, typer.Option("--from", min=0.0, help=said("centre.option.from_s"))]
ToS = Annotated[float, typer.Option("--to", min=0.0, help=said("centre.option.to_s"))]
Name = Annotated[str, typer.Option("--name", help=said("centre.option.listener"))]
Minutes = Annotated[int, typer.Option("--minutes", help=said("centre.option.minutes"))]

FOR_EVER_S = 1e9
PIECE_BYTES = 1 << 16
Opened = Callable[[Path], AbstractContextManager["Centre"]]
Reported = Callable[[], AbstractContextManager[None]]


def add_commands(
    recordings_app: typer.Typer, opened: Opened, reported: Reported, actor: Callable[[], str]
) -> None:
    """Add the commands. actor: who types."""

    @recordings_app.command("fetch", help=said("centre.help.fetch"))
    def fetch(
        recording: str,
        output: Output,
        site: OfSite = "",
        key: KeyFile = None,
        data: Data = DATA_DIR_DEFAULT,
    ) -> None:
        with reported():
            keys = _keys(key)
        with opened(data) as centre:
            _whole(centre, recording, site, output, actor(), keys)

    @recordings_app.command("export", help=said("centre.help.export"))
    def export(
        recording: str,
        output: Output,
        from_s: FromS = 0.0,
        to_s: ToS = 0.0,
        site: OfSite = "",
        key: KeyFile = None,
        data: Data = DATA_DIR_DEFAULT,
    ) -> None:
        with reported():
            keys = _keys(key)
        with opened(data) as centre:
            from cloudsync import durable, ogg

            if not (from_s or to_s):
                _whole(centre, recording, site, output, actor(), keys)
                return
            durable.write_pieces(output, _part(centre, recording, site, actor(), keys, from_s, to_s))
            with output.open("rb") as part:
                seconds = ogg.seconds(ogg.pages(iter(lambda: part.read(PIECE_BYTES), b"")))
            out.say("centre.said.part", path=os.fspath(output), seconds=f"{seconds:.1f}")

    @recordings_app.command("play", help=said("centre.help.play"))
    def play(
        recording: str,
        from_s: FromS = 0.0,
        to_s: ToS = 0.0,
        site: OfSite = "",
        key: KeyFile = None,
        data: Data = DATA_DIR_DEFAULT,
    ) -> None:
        with reported():
            keys = _keys(key)
            if sys.stdout.isatty():
                raise KyusaiError(
                    "recording.no_player",
                    "the audio goes to standard output, and that is a terminal",
                    "Pipe it into a player: kyusai recordings play ID | mpv -",
                )
        with opened(data) as centre:
            for part in _part(centre, recording, site, actor(), keys, from_s, to_s):
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()

    @recordings_app.command("token", help=said("centre.help.token"))
    def token(
        recording: str,
        name: Name,
        minutes: Minutes = 15,
        site: OfSite = "",
        data: Data = DATA_DIR_DEFAULT,
        as_json: AsJson = False,
    ) -> None:
        with opened(data) as centre:
            from cloudsync.service.listening import allow

            text, expires_utc = allow(centre, recording, site, name, minutes, actor())
            if as_json:
                out.print_json({"token": text, "expires_utc": expires_utc, "listener": name})
                return
            print(text)
            print(said("centre.said.token", name=name, expires=expires_utc), file=sys.stderr)


def hand_over(key: Path | None, at_centre: bool, tenant: str) -> "Hand | None":
    """Where the private key of a new pair goes: a file, the centre's folder (None), or the terminal, once."""
    from cloudsync import sealing

    if key is not None:
        return sealing.into_file(key)
    if at_centre:
        return None

    def show(_recipient: str, text: str) -> None:
        print(text.splitlines()[-1])
        print(said("centre.said.key_once", tenant=tenant), file=sys.stderr)

    return show


def _keys(path: Path | None) -> list[str]:
    """The identities in a file, none for no file. Read before the process acts as the owner of the data."""
    if path is None:
        return []
    from cloudsync import sealing

    return sealing.read_identities(
        path.read_bytes(), lambda: getpass.getpass(said("centre.said.passphrase", path=os.fspath(path)))
    )


def _whole(
    centre: "Centre", recording: str, site: str, output: Path, actor: str, keys: Sequence[str]
) -> None:
    """Write all of it and say whether it is what the box recorded. Raises KyusaiError when it is not."""
    from cloudsync.service.listening import fetch

    if not fetch(centre, recording, site, output, actor, keys).sha256_fits:
        raise KyusaiError(
            "recording.altered",
            f"{output} was written, but its audio does not have the hash that the box recorded",
            "Do not rely on this recording; compare it with the call record's.",
            path=output,
        )
    out.say("centre.said.fetched", path=os.fspath(output))


def _part(
    centre: "Centre", recording: str, site: str, actor: str, keys: Sequence[str], from_s: float, to_s: float
) -> Iterator[bytes]:
    """The audio from one moment to another; all of it without either. Raises KyusaiError."""
    from cloudsync import ogg
    from cloudsync.age_stream import NotOpenedError
    from cloudsync.service.listening import stream

    audio = stream(centre, recording, site, actor, keys)
    try:
        whole = audio.read(0, audio.size)
        if from_s or to_s:
            yield from ogg.cut(ogg.pages(whole), from_s, to_s or FOR_EVER_S)
        else:
            yield from whole
    except ogg.NoAudioError as error:
        raise KyusaiError(
            "recording.no_such_part",
            f"{recording} has no audio from second {from_s:g} to second {to_s or error.duration_s:g}: it lasts "
            f"{error.duration_s:.1f} s",
            "--from must lie before --to, and before the end.",
            name=recording,
            begin=f"{from_s:g}",
            end=f"{to_s or error.duration_s:g}",
            duration=f"{error.duration_s:.1f}",
        ) from error
    except (NotOpenedError, ogg.NotOggError) as error:
        raise KyusaiError(
            "recording.sealed",
            f"{recording} does not open with the {len(keys)} keys at hand: {error}",
            "Name the tenant's key file with --key.",
            name=recording,
            keys=len(keys),
        ) from error
