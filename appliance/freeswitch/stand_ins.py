"""Puts something where audio is not there yet, and gives the pieces of numbers the names that FreeSWITCH asks for. Adapter: disk.

The dialplan names every prompt's final place. What is not made yet is a link to a sign of two tones there; the audio takes
its place by a rename, so a prompt that comes later needs no new dialplan and no word to FreeSWITCH.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from appliance.freeswitch import audio_files, spoken_files
from appliance.freeswitch.prompt_texts import pieces
from appliance.freeswitch.spoken_pieces import PIECES, PREFIX

MISSING = "missing.wav"
"""What is heard where a prompt's audio is not there: a sign, not silence."""

SILENCE = "silence.wav"


def lay(files: Iterable[str], folder: Path) -> None:
    """Make the sign and the silence, and let the sign stand in for each of `files` (below `folder`) that is not there.

    Blocks on disk. Raises OSError."""
    if not (folder / MISSING).exists():
        audio_files.write_tone(folder / MISSING)
    if not (folder / SILENCE).exists():
        audio_files.write_silence(folder / SILENCE)
    for file in files:
        _stand_in(folder / file, folder / MISSING)


def link_pieces(folder: Path) -> None:
    """Give every piece the names of `spoken_files`. Blocks on disk. Raises OSError."""
    audio = {
        (one.language, one.prompt.removeprefix(PREFIX)): folder / one.file
        for language in PIECES
        for one in pieces(language)
    }
    lay((str(path.relative_to(folder)) for path in audio.values()), folder)
    for name, (language, piece) in spoken_files.names().items():
        target = folder / SILENCE if piece == spoken_files.SILENCE else audio[language, piece]
        _link(folder / spoken_files.FOLDER / name, target)


def waiting(files: Iterable[str], folder: Path) -> list[str]:
    """Those of `files` for which the sign stands in."""
    return [file for file in files if (folder / file).is_symlink() or not (folder / file).exists()]


def _stand_in(path: Path, sign: Path) -> None:
    """Put a link where nothing is. Audio that comes in this moment stays: it is made once, and nobody would make it again."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        path.symlink_to(os.path.relpath(sign, path.parent))
    except FileExistsError:
        if not path.exists():  # a link to nowhere
            _link(path, sign)


def _link(path: Path, target: Path) -> None:
    wanted = os.path.relpath(target, path.parent)
    try:
        if path.readlink() == Path(wanted):
            return
    except OSError:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(wanted)
    fresh.replace(path)
