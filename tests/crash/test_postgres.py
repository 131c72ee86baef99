"""A few runs of a centre on PostgreSQL that is killed, and PostgreSQL with it. `bin/test crash --postgres` makes fifty."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_centre_and_postgresql_killed_while_boxes_send_lose_double_and_alter_nothing(tmp_path: Path) -> None:
    found = tmp_path / "postgres.json"
    command = [sys.executable, "-m", "tests.crash", "--postgres", "--runs", "3", "--json", str(found)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(found.read_text())
    assert figures["runs"] == 3
    (spoilt,) = figures["spoilt"].values()
    assert spoilt["lost"], "a centre that does not wait for the disk was not found out"
