"""What is laid down for FreeSWITCH: who may read it, what lies where, and what happens to odd folders and missing prompts."""

import itertools
import re
import stat
import tempfile
import wave
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import box as box_settings
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import render, stand_ins
from appliance.layout import Layout
from tests.helpers.flows import bye, menu, plan_of

NOW = datetime(2026, 5, 11, tzinfo=UTC)


def box(folder: Path, address: str = '"127.0.0.1"') -> Box:
    text = f'[box]\nid = "a"\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n[sip]\nlan = "192.0.2.10"\n'
    return box_settings.parse(text + (f"[freeswitch]\naddress = {address}\n" if address else ""))


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name leaves room for a Unix socket's."""
    with tempfile.TemporaryDirectory(prefix="ky-") as folder:
        yield Path(folder)


def test_the_password_is_made_once_and_nobody_else_can_read_it(short: Path) -> None:
    settings = box(short)
    layout = Layout.of(settings)
    render.write(settings, layout)
    first = layout.event_socket_password.read_text()
    render.write(settings, layout)
    assert layout.event_socket_password.read_text() == first
    assert len(first.strip()) >= 32
    for path in (layout.event_socket_password, layout.freeswitch_xml):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f'value="{first.strip()}"' in layout.freeswitch_xml.read_text()


def test_two_boxes_have_two_passwords(short: Path) -> None:
    made = {render.password(Layout.of(box(short / name))) for name in ("a", "b")}
    assert len(made) == 2


def test_a_box_without_freeswitch_gets_nothing(short: Path) -> None:
    settings = box(short, "")
    assert render.write(settings, Layout.of(settings)) == ()
    assert not (short / "state").exists()


@pytest.mark.parametrize("address", ['"192.0.2.10"', '"::"', '"0.0.0.0"'])
def test_an_address_that_others_reach_is_refused(short: Path, address: str) -> None:
    with pytest.raises(box_settings.BoxInvalid) as caught:
        box(short, address)
    assert [problem.path for problem in caught.value.problems] == ["freeswitch.address"]


def test_a_folder_that_freeswitch_could_misread_is_refused(short: Path) -> None:
    settings = box(short / "a b")
    with pytest.raises(KyusaiError) as caught:
        render.write(settings, Layout.of(settings))
    assert caught.value.key == "freeswitch.path"


def test_a_site_s_files_are_xml_and_name_what_is_missing(tmp_path: Path) -> None:
    missing = render.write_site(plan_of(menu(), bye()), tmp_path / "site", tmp_path / "prompts", NOW)
    assert "welcome/en" in missing
    written = {path.name: path.read_text() for path in (tmp_path / "site").iterdir()}
    assert set(written) == {
        "globals.xml",
        "dialplan.xml",
        "configuration.xml",
        "directory.xml",
        "languages.xml",
    }
    for name, text in written.items():
        ET.fromstring(f"<x>{text}</x>")  # noqa: S314 - made by ourselves
        assert text, name
    named = set(re.findall(rf"{tmp_path}/prompts/en/[0-9a-f]+[.]wav", written["dialplan.xml"]))
    assert len(named) == 2
    for file in named:  # two tones are heard until the audio takes their place
        assert Path(file).resolve() == tmp_path / "prompts" / stand_ins.MISSING


@pytest.mark.parametrize("name", ["missing.wav", "moh/hold.wav"])
def test_sounds_of_the_box_s_own_are_audio(tmp_path: Path, name: str) -> None:
    render.write_site(plan_of(menu(), bye()), tmp_path / "site", tmp_path / "prompts", NOW)
    with wave.open(str(tmp_path / "prompts" / name)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        assert sound.getnframes() > 8000


def test_music_on_hold_goes_on_for_hours_without_the_second_that_freeswitch_pauses_between_rounds(
    tmp_path: Path,
) -> None:
    """It plays no file twice in a row, so the list names two in turn."""
    for _ in range(2):
        render.write_site(plan_of(menu(), bye()), tmp_path / "site", tmp_path / "prompts", NOW)
    named = (tmp_path / "prompts/moh/hold.loc").read_text("utf-8").splitlines()
    assert all(one != after for one, after in itertools.pairwise(named))
    assert all(Path(one).is_absolute() and Path(one).is_file() for one in set(named))
    with wave.open(named[0]) as sound:
        assert sound.getnframes() / sound.getframerate() * len(named) > 8 * 3600


@pytest.mark.parametrize(
    ("zone", "rule"),
    [("Asia/Tokyo", "JST-9"), ("Europe/London", "GMT0BST,M3.5.0/1,M10.5.0"), ("UTC", "UTC0")],
)
def test_a_time_zone_s_rule_is_the_machine_s(zone: str, rule: str) -> None:
    assert render.posix_rule(zone) == rule


def test_an_unknown_time_zone_is_told() -> None:
    with pytest.raises(KyusaiError) as caught:
        render.posix_rule("Asia/Atlantis")
    assert caught.value.key == "freeswitch.time_zone"
