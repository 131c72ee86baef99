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


def told_and_lost(*options: str) -> "subprocess.Popen[str]":
    """Begin to find out. Each uses one core: they run side by side."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash.heirs", *options],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(shim.library())},
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(process: "subprocess.Popen[str]") -> dict[str, bool]:
    """By kind of file, whether something that was told was lost."""
    said, _ = process.communicate()
    assert process.returncode == 0, said
    found = json.loads(said)
    assert all(figures["runs"] >= 10 for figures in found.values())
    return {name: bool(figures["lost"]) for name, figures in found.items()}


@pytest.mark.timeout(600)
def test_what_is_told_after_a_kill_survives_the_power_cut_that_follows_and_what_does_not_sync_is_found_out() -> (
    None
):
    product, spoilt = told_and_lost(), told_and_lost("--spoilt")
    lost = heard(spoilt)
    assert not any(heard(product).values())
    assert lost["the centre's store"]
    assert lost["the call journal, read by the agent"]
