"""The demo is the first thing a newcomer runs: it must hold, and its JSON is an interface."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "failover": {"detected_ms", "first_call_after_cut_ms", "baseline_call_ms"},
    "cdr": {"made", "at_centre", "lost", "doubled"},
    "recordings": {"made", "at_centre", "lost", "doubled", "bad_hash"},
    "failback": {"live_calls_dropped", "state_changes"},
}


def test_demo_holds_every_step_and_writes_the_promised_keys(tmp_path: Path) -> None:
    figures = tmp_path / "demo.json"
    words = [sys.executable, "-m", "tests.lab.demo", "--json", figures, "--keep", tmp_path / "kept"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert found["ok"] is True
    assert {key: set(found[key]) for key in KEYS} == KEYS
    assert all(set(step) == {"name", "ok", "seconds", "detail"} for step in found["steps"])
    assert len(found["audio"]) == found["recordings"]["made"] >= 8
    assert all(entry["left_ok"] and entry["right_ok"] for entry in found["audio"])
    assert {"kyusai", "kamailio", "rtpengine", "python"} <= set(found["versions"])
