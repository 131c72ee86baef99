"""Where audio in the clear lies, on a real tmpfs and on this machine's disk. A failure leaves what people say on a disk that a
thief can read, or loses it."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp

import pytest

from agent import audio_place
from agent.at_rest_watch import look_at
from agent.audio_place import Lies, coming, leaving, lies, make_folders, settle
from appliance import box as box_settings
from appliance.box import Audio, Box
from appliance.errors import KyusaiError
from appliance.layout import Layout
from cloudsync.wire import AtRest

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs on every Linux


@pytest.fixture
def run_dir() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="kyusai-audio-", dir=SHARED_MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def layout(tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A box on a disk in the clear, whatever this machine's is."""
    monkeypatch.setattr(
        audio_place, "look_at", lambda folder: AtRest.NONE if in_state(folder) else look_at(folder)
    )

    def in_state(folder: Path) -> bool:
        return folder.resolve().is_relative_to(tmp_path)

    (tmp_path / "state").mkdir()
    return Layout(tmp_path / "state", run_dir)


def encrypt(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        audio_place,
        "look_at",
        lambda folder: (
            AtRest.DM_CRYPT if folder.resolve().is_relative_to(layout.state_dir) else look_at(folder)
        ),
    )


def say(layout: Layout, name: str = "voicemail/msg_1.wav") -> Path:
    path = layout.audio_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"hello")
    return path


def box(layout: Layout, audio: str = "") -> Box:
    return box_settings.parse(
        f'[box]\nid = "a"\nstate_dir = "{layout.state_dir}"\nrun_dir = "{layout.run_dir}"\n{audio}\n'
        '[sip]\nlan = "127.0.0.1"\n'
    )


def test_on_a_disk_in_the_clear_audio_lies_in_memory_without_anybody_asking(layout: Layout) -> None:
    make_folders(box(layout))
    assert lies(layout) is Lies.MEMORY
    assert look_at(layout.audio_dir) is AtRest.MEMORY
    path = say(layout)
    assert path.resolve().is_relative_to(layout.run_dir)
    assert (layout.memory_audio_dir.stat().st_mode & 0o777) == 0o700
    assert all(folder.is_dir() for folder in layout.folders())
    make_folders(box(layout))
    assert path.read_bytes() == b"hello", "the next program to start leaves it alone"


def test_where_nobody_can_tell_it_lies_in_memory_too(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        audio_place,
        "look_at",
        lambda folder: AtRest.UNKNOWN if layout.state_dir in (folder, *folder.parents) else look_at(folder),
    )
    settle(layout, Audio.AUTO)
    assert lies(layout) is Lies.MEMORY


def test_on_an_encrypted_disk_it_lies_there(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    encrypt(layout, monkeypatch)
    make_folders(box(layout))
    assert lies(layout) is Lies.DISK
    assert not layout.memory_audio_dir.exists()


@pytest.mark.parametrize(("setting", "found"), [("disk", Lies.DISK), ("memory", Lies.MEMORY)])
def test_box_toml_may_say_where(layout: Layout, setting: str, found: Lies) -> None:
    make_folders(box(layout, f'audio = "{setting}"'))
    assert lies(layout) is found


def test_a_folder_for_memory_that_is_on_a_disk_is_refused(layout: Layout, tmp_path: Path) -> None:
    wrong = Layout(layout.state_dir, tmp_path / "run")
    wrong.run_dir.mkdir()
    with pytest.raises(KyusaiError) as refused:
        settle(wrong, Audio.AUTO)
    assert refused.value.key == "audio.no_memory"
    assert lies(wrong) is Lies.NOWHERE


def test_memory_that_went_with_the_power_is_made_anew(layout: Layout) -> None:
    make_folders(box(layout))
    say(layout)
    shutil.rmtree(layout.memory_audio_dir)
    make_folders(box(layout))
    assert (lies(layout), layout.voicemail_dir.is_dir()) == (Lies.MEMORY, True)


def test_an_empty_place_follows_the_setting_and_one_that_holds_files_stays(layout: Layout) -> None:
    for before, after in ((Audio.DISK, Audio.MEMORY), (Audio.MEMORY, Audio.DISK)):
        settle(layout, before)
        (layout.audio_dir / "capture" / "pcaps").mkdir(parents=True)
        settle(layout, after)
        assert lies(layout).value == after.value
        path = say(layout)
        settle(layout, before)
        assert (lies(layout).value, path.read_bytes()) == (after.value, b"hello")
        path.unlink()


def test_a_link_of_somebody_s_own_is_left_as_it_is(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    layout.audio_dir.symlink_to(tmp_path / "own")
    for setting in Audio:
        settle(layout, setting)
        assert (lies(layout), layout.audio_dir.resolve()) == (Lies.ELSEWHERE, tmp_path / "own")


def test_a_link_that_leads_nowhere_is_replaced(layout: Layout, tmp_path: Path) -> None:
    """As after run_dir was changed, or while a volume is not mounted: a box that does not start would be worse."""
    layout.audio_dir.symlink_to(tmp_path / "of-before")
    make_folders(box(layout))
    assert (lies(layout), layout.pcaps_dir.is_dir()) == (Lies.MEMORY, True)


def test_a_move_that_was_killed_is_ended_by_the_next_start(layout: Layout) -> None:
    settle(layout, Audio.DISK)
    path = say(layout)
    layout.audio_dir.rename(leaving(layout))  # into memory: killed before the link
    settle(layout, Audio.MEMORY)
    assert (lies(layout), path.read_bytes()) == (Lies.DISK, b"hello")
    layout.audio_dir.rename(coming(layout))  # to the disk: killed after the link went
    settle(layout, Audio.DISK)
    assert (lies(layout), path.read_bytes()) == (Lies.DISK, b"hello")
    for half in (leaving, coming):
        half(layout).mkdir()
        (half(layout) / "half").write_bytes(b"")
        settle(layout, Audio.DISK)
        assert not half(layout).exists()
    assert path.read_bytes() == b"hello"


def test_programs_that_start_together_agree(layout: Layout) -> None:
    settings = box(layout)
    with ThreadPoolExecutor(8) as threads:
        for _round in range(20):
            list(threads.map(lambda _one: make_folders(settings), range(8)))
            assert lies(layout) is Lies.MEMORY
            shutil.rmtree(layout.memory_audio_dir)
            layout.audio_dir.unlink()


def test_a_folder_that_cannot_be_emptied_keeps_its_files(layout: Layout) -> None:
    """Somebody writes between the look and the change."""
    settle(layout, Audio.DISK)
    path = say(layout)
    with pytest.raises(OSError, match="not empty"):
        audio_place.lay(layout, Lies.MEMORY)
    assert path.read_bytes() == b"hello"
