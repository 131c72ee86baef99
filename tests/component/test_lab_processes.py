"""Children of a lab are waited for, stopped, and cleaned up after a lab that crashed."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import addresses, processes

SLEEP = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
FAMILY = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('child', p.pid, flush=True); time.sleep(60)",
]


async def test_child_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    child = processes.Process(
        "child", [sys.executable, "-c", "print('no licence'); raise SystemExit(3)"], tmp_path
    )
    await child.start()
    with pytest.raises(processes.StateNotReached, match="no licence"):
        await child.wait_log("ready", 5)
    assert await child.stop() == 3


async def test_kill_takes_the_child_s_own_children_with_it(tmp_path: Path) -> None:
    child = processes.Process("family", FAMILY, tmp_path)
    await child.start()
    await child.wait_log(r"child \d+")
    grandchild = int(child.log.read_text().split()[1])
    await child.kill()
    assert not processes.alive(grandchild)


async def test_stopped_child_starts_again(tmp_path: Path) -> None:
    child = processes.Process("again", SLEEP, tmp_path)
    await child.start()
    await child.wait_log("up")
    first = child.pid
    assert await child.stop() == -signal.SIGTERM
    await child.start()
    assert child.running
    assert child.pid != first
    await child.stop()


async def test_what_a_killed_child_had_put_aside_lies_in_the_lab_s_folder(tmp_path: Path) -> None:
    aside = "import tempfile, time; print('aside', tempfile.mkdtemp(), flush=True); time.sleep(60)"
    child = processes.Process("hoarder", [sys.executable, "-c", aside], tmp_path)
    await child.start()
    await child.wait_log(r"aside /\S+\n")
    await child.kill()
    assert tmp_path in Path(child.log.read_text().split()[1]).parents


def test_next_lab_stops_what_a_crashed_one_left(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from tests.lab import addresses, processes\n"
        "held = addresses.claim(Path(sys.argv[1]))\n"
        "child = processes.Process('left', sys.argv[2:], held.folder)\n"
        "async def main():\n"
        "    await child.start(); await child.wait_log('up'); print(child.pid, flush=True); os._exit(1)\n"
        "asyncio.run(main())\n"
    )
    crashed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *SLEEP],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    left = int(crashed.stdout)
    assert processes.alive(left)
    held = addresses.claim(tmp_path)
    held.release()
    assert not processes.alive(left)


def test_cleaning_up_spares_a_stranger_with_a_recorded_number(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL, start_new_session=True)
    (tmp_path / "processes.jsonl").write_text(f'{{"name": "x", "pid": {stranger.pid}, "start": 1}}\n')
    assert processes.clean_up(tmp_path) == []
    assert stranger.poll() is None
    os.kill(stranger.pid, signal.SIGKILL)
    stranger.wait()


def test_two_labs_stand_side_by_side(tmp_path: Path) -> None:
    one, two = addresses.claim(tmp_path), addresses.claim(tmp_path)
    assert one.addresses.network != two.addresses.network
    one.release()
    two.release()


def test_abandoned_labs_go_and_what_labs_share_stays(tmp_path: Path) -> None:
    for name in ("prompts", "80.1", "80.2", "80.3"):
        (tmp_path / name).mkdir()
    addresses.sweep(tmp_path, keep=1)
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert left[-1] == "prompts"
    assert len(left) == 2


async def test_awaited_state_that_never_comes_names_itself() -> None:
    with pytest.raises(processes.StateNotReached, match="moon is full"):
        await processes.wait_until(lambda: False, "moon is full", 0.05)
    assert await asyncio.wait_for(processes.wait_until(lambda: 7, "seven"), 1) == 7


def test_a_folder_that_another_lab_removes_at_this_moment_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "80.1").mkdir()
    is_dir = Path.is_dir

    def seen_and_gone(path: Path) -> bool:
        found = is_dir(path)
        if found:
            path.rmdir()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_dir", seen_and_gone)
        assert addresses.sweep(tmp_path) == []
