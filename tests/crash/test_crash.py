"""The crash harness as a test: `bin/test` without a suite comes by here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1200)
def test_killed_at_every_point_nothing_is_lost_doubled_or_corrupt_and_spoilt_variants_are_found_out(
    tmp_path: Path,
) -> None:
    found = tmp_path / "crash.json"
    command = [sys.executable, "-m", "tests.crash", "--json", str(found)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(found.read_text())
    assert figures["runs"] >= 1000
    assert {word: figures[word] for word in ("lost", "doubled", "corrupt", "stuck")} == dict.fromkeys(
        ("lost", "doubled", "corrupt", "stuck"), 0
    )
