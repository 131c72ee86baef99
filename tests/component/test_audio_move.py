"""Moving audio between disk and memory. A failure loses messages, or leaves them where a thief finds them."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from agent import audio_move
from agent.audio_move import Moved, move
from agent.audio_place import Lies, lies, make_folders
from appliance import box as box_settings
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.layout import Layout

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """A box, settings and folders, and what lies in its audio."""

    def __init__(self, folder: Path, run_dir: Path) -> None:
        self.toml, self.run_dir, self.state_dir = folder / "box.toml", run_dir, folder / "state"
        self.layout = Layout(self.state_dir, run_dir)

    def wants(self, audio: str) -> Box:
        self.toml.write_text(
            f'[box]\nid = "a"\nstate_dir = "{self.state_dir}"\nrun_dir = "{self.run_dir}"\naudio = "{audio}"\n'
            '[sip]\nlan = "127.0.0.1"\n[rtp]\nng = "127.0.0.1:9"\n'
        )
        return box_settings.load(self.toml)

    def say(self) -> None:
        for name in ("voicemail/site/202/msg_1.wav", "voicemail/site/202/msg_1.sent", "capture/pcaps/a.pcap"):
            path = self.layout.audio_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def said(self) -> dict[str, str]:
        files = (path for path in self.layout.audio_dir.resolve().rglob("*") if path.is_file())
        return {str(path.relative_to(self.layout.audio_dir.resolve())): path.read_text() for path in files}

    def command(self, *words: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "kyusai_cli", "audio", *words, "--box", str(self.toml)],
            cwd=ROOT,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    run_dir = Path(mkdtemp(prefix="kyusai-audio-", dir="/dev/shm"))
    yield Site(tmp_path, run_dir)
    shutil.rmtree(run_dir)


@pytest.mark.parametrize(("before", "after"), [("disk", "memory"), ("memory", "disk")])
def test_everything_goes_over_and_nothing_stays_behind(site: Site, before: str, after: str) -> None:
    make_folders(site.wants(before))
    site.say()
    said = site.said()
    moved = move(site.wants(after))
    assert (moved.there.value, moved.files, lies(site.layout).value) == (after, 3, after)
    assert site.said() == said
    left = {path.name for path in site.state_dir.iterdir()} & {"audio.leaving", "audio.coming"}
    assert not left
    assert site.layout.memory_audio_dir.exists() == (after == "memory")
    assert move(site.wants(after)) == Moved(Lies(after)), "again there is nothing to do"


@pytest.mark.parametrize(("before", "after"), [("disk", "memory"), ("memory", "disk")])
@pytest.mark.parametrize("steps", range(6))
def test_a_move_that_is_killed_at_any_step_has_moved_everything_or_nothing(
    site: Site, before: str, after: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folders(site.wants(before))
    site.say()
    said = site.said()
    count = 0

    class Killed(BaseException):
        pass

    def counted(name: str, owner: object) -> None:
        real = getattr(owner, name)

        def step(*args: object, **options: object) -> object:
            nonlocal count
            if count == steps:
                raise Killed
            count += 1
            return real(*args, **options)

        monkeypatch.setattr(owner, name, step)

    for name, owner in (
        ("copytree", shutil),
        ("rmtree", shutil),
        ("rename", Path),
        ("symlink_to", Path),
        ("unlink", Path),
    ):
        counted(name, owner)
    wanted = site.wants(after)
    try:
        move(wanted)
    except Killed:
        pass
    else:
        assert steps >= 3, "the move has more steps than that"
    monkeypatch.undo()
    make_folders(wanted)
    assert site.said() == said
    move(wanted)
    assert (site.said(), lies(site.layout).value) == (said, after)


def test_while_a_program_of_the_box_runs_nothing_is_moved(site: Site) -> None:
    make_folders(site.wants("disk"))
    site.say()
    wanted = site.wants("memory")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(site.layout.agent_socket))
        agent.listen()
        with pytest.raises(KyusaiError) as refused:
            move(wanted)
    assert (refused.value.key, refused.value.values["program"]) == ("audio.running", "kyusai agent")
    assert lies(site.layout) is Lies.DISK


def test_without_room_nothing_is_moved(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folders(site.wants("disk"))
    site.say()
    said = site.said()
    real = os.statvfs

    def full(path: Path) -> os.statvfs_result:
        return os.statvfs_result((*real(path)[:4], 0, *real(path)[5:]))

    monkeypatch.setattr(audio_move.os, "statvfs", full)
    with pytest.raises(KyusaiError) as refused:
        move(site.wants("memory"))
    assert (refused.value.key, lies(site.layout), site.said()) == ("audio.no_room", Lies.DISK, said)


def test_the_command_says_where_audio_lies_and_moves_it(site: Site) -> None:
    site.wants("memory")
    assert "nowhere yet" in site.command().stdout
    make_folders(site.wants("disk"))
    site.say()
    site.wants("memory")
    shown = site.command().stdout
    assert str(site.state_dir / "audio") in shown
    assert "kyusai audio move" in shown
    data = json.loads(site.command("--json").stdout)
    assert (data["lies"], data["belongs"], data["setting"]) == ("disk", "memory", "memory")
    done = site.command("move", env={"KYUSAI_LANG": "ja"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 個のファイル" in done.stdout
    assert "メモリー" in done.stdout
    assert "in memory only" in site.command().stdout
    assert "Nothing to move" in site.command("move").stdout
