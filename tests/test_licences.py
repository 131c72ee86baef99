"""What a box says and plays is what docs/licences.md names, with the licence that is beside it where it is installed."""

import importlib.util
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from appliance.freeswitch import audio_files, speech

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/licences.md").read_text("utf-8")
ROWS = {
    row[0]: row[1:]
    for line in PAGE.splitlines()
    if line.startswith("| ") and len(row := [cell.strip() for cell in line.strip("|").split("|")]) == 4
    if row[0] != "what"
}

ENGINES = {"_espeak": {"espeak-ng"}, "_open_jtalk": {"pyopenjtalk-plus", "Open JTalk", "hts_engine API"}}
"""Synthesiser of `speech` -> rows that it needs."""

SOUNDS = {
    "write_tone": "signs and silence",
    "write_silence": "signs and silence",
    "write_hold_music": "hold music",
}
DATA = {"NAIST-jdic, UniDic", 'HTS Voice "Mei"'}


def test_every_synthesiser_voice_and_sound_in_use_is_named_and_nothing_else() -> None:
    source = Path(speech.__file__).read_text("utf-8")
    engines = set(re.findall(r"^def (_\w+)\(text: str, language: str\)", source, re.MULTILINE))
    sounds = {name for name in vars(audio_files) if name.startswith("write_")}
    assert engines == set(ENGINES)
    assert sounds == set(SOUNDS)
    assert set(ROWS) == set().union(*ENGINES.values(), SOUNDS.values(), DATA)


def test_the_project_ships_no_audio_of_anybody() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    names = ["*.wav", "*.mp3", "*.ogg", "*.flac", "*.m4a", "*.htsvoice"]
    listed = subprocess.run(
        ["git", "ls-files", "--", *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""


def test_the_licences_are_those_of_what_is_installed() -> None:
    found = importlib.util.find_spec("pyopenjtalk")
    if found is None or found.origin is None:
        pytest.skip("the package pyopenjtalk-plus is not installed")
    package = Path(found.origin).parent
    voices = sorted(path for path in package.rglob("*.htsvoice") if not path.name.startswith("LICENSE"))
    assert [voice.name for voice in voices] == ["mei_normal.htsvoice"]
    assert voices[0].name in ROWS['HTS Voice "Mei"'][2]
    terms = (package / "htsvoice/LICENSE_mei_normal.htsvoice").read_text("utf-8")
    assert "Creative Commons Attribution 3.0" in terms
    assert ROWS['HTS Voice "Mei"'][1].startswith("CC BY 3.0")
    copying = (package / "dictionary/COPYING").read_text("utf-8")
    assert "Nara Institute of Science and Technology" in copying
    assert "The UniDic Consortium" in copying
    told = metadata.metadata("pyopenjtalk-plus")
    assert told["License-Expression"] == ROWS["pyopenjtalk-plus"][1]
    assert told["Version"] in ROWS["pyopenjtalk-plus"][2]
    assert f'"pyopenjtalk-plus=={told["Version"]}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_espeak_s_licence_is_that_of_the_installed_package() -> None:
    copyright_file = Path("/usr/share/doc/espeak-ng/copyright")
    if not copyright_file.exists():
        pytest.skip("espeak-ng is not installed from a Debian package")
    assert "GPL-3" in copyright_file.read_text("utf-8", "replace")
    assert ROWS["espeak-ng"][1].startswith("GPL-3.0-or-later")
