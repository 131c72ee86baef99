"""A campaign that somebody breaks off leaves nothing behind: no process, no folder in memory."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import progress, shim

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0


def until(there: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not there():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def folder_of(campaign: int) -> Path | None:
    """Where the workers of this process make what they make; None before there is a run in it that is over."""
    for worker in Path(f"/proc/{campaign}/task/{campaign}/children").read_text().split():
        for word in Path(f"/proc/{worker}/cmdline").read_text().split("\0"):
            if word.startswith(f"{shim.memory() or tempfile.gettempdir()}/") and list(
                Path(word).glob(f"{progress.TALLY}*")
            ):
                return Path(word)
    return None


def users_of(folder: Path) -> list[str]:
    """Command lines with this folder in them."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(words.decode())
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [[], ["--postgres"]], ids=("every point", "PostgreSQL"))
def test_campaign_that_is_broken_off_takes_its_processes_and_folders_with_it(kind: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash", *kind, "--runs", "999"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: folder_of(process.pid) is not None)
        own = folder_of(process.pid)
        assert own is not None and users_of(own)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
    assert not own.exists()
    assert users_of(own) == []
