"""The units, judged by systemd's own checker, and what they promise beside it."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "appliance" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze on this machine")


def read(name: str) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser(strict=False, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((UNITS / name).read_text("utf-8"))
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with programs that exist here in place of /opt/kyusai's, which the checker looks for."""
    for path in UNITS.iterdir():
        text = path.read_text("utf-8").replace("/opt/kyusai/venv/bin/kyusai", "/bin/true")
        for program in ("/usr/sbin/kamailio", "/usr/bin/rtpengine"):
            if not Path(program).exists():
                text = text.replace(program, "/bin/true")
        (tmp_path / path.name).write_text(text)
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_systemd_accepts_every_unit_without_a_word(installed: Path, name: str) -> None:
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", "--recursive-errors=no", str(installed / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "kyusai" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(installed: Path, name: str) -> None:
    done = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--threshold=30", "--no-pager", str(installed / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "offline" in done.stderr:
        pytest.skip(f"systemd-analyze security cannot work offline here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stdout[-400:]


def test_the_four_services_come_back_by_themselves_whatever_happens() -> None:
    assert SERVICES == [
        "kyusai-agent.service",
        "kyusai-kamailio.service",
        "kyusai-media.service",
        "kyusai-rtpengine.service",
    ]
    for name in SERVICES:
        assert read(name)["Service"]["Restart"] == "always"
        assert read(name)["Unit"]["StartLimitIntervalSec"] == "0", (
            "a box in a cupboard has nobody to reset a limit"
        )


def test_calls_require_nothing_that_runs_beside_them() -> None:
    for name in ("kyusai-kamailio.service", "kyusai-rtpengine.service"):
        unit = read(name)
        words = " ".join(value for key, value in unit["Unit"].items() if key != "Description")
        assert "agent" not in words
        assert "media.service" not in words
        assert not {"Requires", "BindsTo", "PartOf"} & set(unit["Unit"])
        assert unit["Service"]["ExecStartPre"].startswith("-"), "a failed rendering must not keep calls down"
        assert unit["Service"]["Slice"] == "kyusai-calls.slice"


def test_the_agent_is_watched_by_systemd() -> None:
    service = read("kyusai-agent.service")["Service"]
    assert (service["Type"], service["WatchdogSec"]) == ("notify", "10")
