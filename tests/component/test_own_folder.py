"""Folders of tests in a place that all share. A failure means that killed runs fill it, or that one run takes another's away."""

import os
import signal
from pathlib import Path

from tests.lab.own_folder import OwnFolder


def test_folder_of_somebody_who_was_killed_goes_when_the_next_one_is_made(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        (OwnFolder("mine-", str(tmp_path)).path / "file").write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (left,) = tmp_path.iterdir()
    with OwnFolder("mine-", str(tmp_path)) as own:
        assert not left.exists()
        assert list(tmp_path.iterdir()) == [own.path]
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_in_use_or_somebody_else_s_stays(tmp_path: Path) -> None:
    (tmp_path / "mine-not-locked").mkdir()
    first = OwnFolder("mine-", str(tmp_path))
    other = OwnFolder("another-", str(tmp_path))
    with OwnFolder("mine-", str(tmp_path)):
        assert first.path.exists()
    other.remove()
    assert {path.name for path in tmp_path.iterdir()} == {"mine-not-locked", first.path.name}
    first.remove()
