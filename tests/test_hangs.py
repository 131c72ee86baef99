"""No hang outlives its time: not after a failure, not in a teardown, not even where the alarm itself is swallowed."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ALARM_S, NET_S = 2, 1
ENDS_WITHIN_S = 60
"""Far beyond what any of it takes; a hang would take for ever."""

AFTER_A_FAILURE = """
import time, pytest
goes = []
def test_fails_then_hangs():
    goes.append(1)
    assert len(goes) > 1
    time.sleep(600)
@pytest.fixture
def thing():
    yield
    time.sleep(600)
@pytest.mark.flaky(reruns=0)
def test_fails_and_its_teardown_hangs(thing):
    assert False
def test_the_next_one():
    pass
"""
SWALLOWED = """
import time
def test_takes_its_alarm_for_something_else():
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass
"""


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """A run of one test file of the component suite by our conftest, with short times."""
    suite = folder / "component"
    suite.mkdir()
    ours = (HERE / "conftest.py").read_text().replace("LAST_NET_S = 60.0", f"LAST_NET_S = {NET_S}")
    (folder / "conftest.py").write_text(ours)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (suite / "test_it.py").write_text(text)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", str(ALARM_S), "component"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=ENDS_WITHIN_S)


def test_a_hang_after_a_failure_fails_the_test_and_the_run_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, AFTER_A_FAILURE)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"Timeout (>{ALARM_S:.1f}s) from pytest-timeout" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "2 failed, 1 passed, 1 error, 1 rerun" in last


def test_a_test_that_swallows_its_alarm_ends_its_process_and_the_stack_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, SWALLOWED)
    assert done.returncode != 0
    assert "in test_takes_its_alarm_for_something_else" in done.stderr
