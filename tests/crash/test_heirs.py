"""What a process tells that comes after a killed one: if this fails, a record or recording is given up for a word that a
power cut takes back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash import shim

ROOT = Path(__file__).resolve().parents[2]


def told_and_lost(*options: str) -> dict[str, bool]:
    """By kind of file, whether something that was told was lost."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.heirs", *options],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(shim.library())},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert all(figures["runs"] >= 10 for figures in found.values())
    return {name: bool(figures["lost"]) for name, figures in found.items()}


@pytest.mark.timeout(600)
def test_what_is_told_after_a_kill_survives_the_power_cut_that_follows() -> None:
    assert not any(told_and_lost().values())


@pytest.mark.timeout(600)
def test_a_store_or_reader_that_does_not_sync_what_it_finds_is_found_out() -> None:
    lost = told_and_lost("--spoilt")
    assert lost["the centre's store"]
    assert lost["the call journal, read by the agent"]
