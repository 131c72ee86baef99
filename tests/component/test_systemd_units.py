"""The units, judged by systemd's own checker, and what they promise beside it."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.freeswitch import render, settings_xml
from appliance.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "appliance" / "systemd"
CENTRE = ROOT / "cloudsync" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
ALL_SERVICES = [*SERVICES, "kyusai-centre.service"]
MEMORY = "run-kyusai-audio.mount"
SMALLEST_MIB = 2048
"""Of the machines that a box with media applications runs on."""
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze on this machine")


def read(name: str) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser(strict=False, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    folder = CENTRE if "centre" in name else UNITS
    found.read_string((folder / name).read_text("utf-8"))
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with programs that exist here in place of /opt/kyusai's, which the checker looks for."""
    for path in (*UNITS.iterdir(), *CENTRE.iterdir()):
        text = path.read_text("utf-8").replace("/opt/kyusai/venv/bin/kyusai", "/bin/true")
        for program in ("/usr/sbin/kamailio", "/usr/bin/rtpengine", "/usr/bin/freeswitch"):
            if not Path(program).exists():
                text = text.replace(program, "/bin/true")
        (tmp_path / path.name).write_text(text)
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("name", [*ALL_SERVICES, MEMORY])
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
@pytest.mark.parametrize("name", ALL_SERVICES)
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


def test_the_six_services_come_back_by_themselves_whatever_happens() -> None:
    assert SERVICES == [
        "kyusai-agent.service",
        "kyusai-control.service",
        "kyusai-freeswitch.service",
        "kyusai-kamailio.service",
        "kyusai-media.service",
        "kyusai-rtpengine.service",
    ]
    for name in ALL_SERVICES:
        assert read(name)["Service"]["Restart"] == "always"
        assert read(name)["Unit"]["StartLimitIntervalSec"] == "0", (
            "a box in a cupboard has nobody to reset a limit"
        )


def test_calls_require_nothing_that_runs_beside_them() -> None:
    for name in ("kyusai-kamailio.service", "kyusai-rtpengine.service", "kyusai-freeswitch.service"):
        unit = read(name)
        words = " ".join(value for key, value in unit["Unit"].items() if key != "Description")
        assert "agent" not in words
        assert "control" not in words
        assert "media.service" not in words
        assert not {"Requires", "BindsTo", "PartOf"} & set(unit["Unit"])
        assert unit["Service"]["ExecStartPre"].startswith("-"), "a failed rendering must not keep calls down"
        assert unit["Service"]["Slice"] == "kyusai-calls.slice"


def test_the_agent_and_the_controller_are_watched_by_systemd() -> None:
    for name in ("agent", "control"):
        service = read(f"kyusai-{name}.service")["Service"]
        assert (service["Type"], service["WatchdogSec"]) == ("notify", "10")


def test_a_dead_line_does_not_hold_up_the_start_of_calls() -> None:
    for name in SERVICES:
        words = " ".join(read(name)["Unit"].values())
        assert "network-online" not in words, (
            "it waits up to two minutes for a line that may be dead for a day"
        )


def test_memory_is_taken_from_the_converter_first_and_from_calls_last() -> None:
    order = ("kyusai-media", "kyusai-control", "kyusai-agent", "kyusai-kamailio")
    media, control, agent, kamailio = (
        int(read(f"{name}.service")["Service"]["OOMScoreAdjust"]) for name in order
    )
    assert media > control > agent > 0 > kamailio
    assert read("kyusai-rtpengine.service")["Service"]["OOMScoreAdjust"] == str(kamailio)


def test_calls_come_before_what_runs_beside_them_and_before_the_rest_of_the_machine() -> None:
    def weight(name: str) -> int:
        return int(read(name)["Slice"]["CPUWeight"])

    assert weight("kyusai-calls.slice") >= 10 * weight("kyusai-beside.slice")
    assert weight("kyusai.slice") > 100, "100 is what everything else on the machine has"


def test_no_service_may_write_outside_its_own_folders() -> None:
    for name in ALL_SERVICES:
        service = read(name)["Service"]
        assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "yes")
        assert "ReadWritePaths" not in service
        assert service["User"] in {"kyusai", "kyusai-centre"}


def test_no_memory_of_calls_reaches_a_disk() -> None:
    """Audio, digests and keys: neither as a core dump nor in swap. rtpengine raises its own limit for cores where it may."""
    for name in ALL_SERVICES:
        assert read(name)["Service"]["LimitCORE"] == "0"
    assert (
        "disable_core_dump=yes" in (ROOT / "appliance/kamailio/etc/kamailio.cfg").read_text("utf-8").split()
    )
    assert read("kyusai.slice")["Slice"]["MemorySwapMax"] == "0"
    assert read("kyusai-centre.service")["Service"]["MemorySwapMax"] == "0"
    for name in SERVICES:
        assert read(read(name)["Service"]["Slice"])["Slice"], "every service is in a slice below kyusai.slice"
        assert read(name)["Service"]["Slice"].startswith("kyusai-")


def test_what_sqlite_puts_aside_lies_beside_its_databases() -> None:
    for name in ("agent", "control", "freeswitch", "kamailio"):
        lines = (UNITS / f"kyusai-{name}.service").read_text("utf-8").splitlines()
        assert "Environment=SQLITE_TMPDIR=/var/lib/kyusai" in lines


def test_freeswitch_is_ended_before_the_calls_that_do_not_need_it() -> None:
    freeswitch, kamailio = (read(f"kyusai-{name}.service")["Service"] for name in ("freeswitch", "kamailio"))
    assert int(kamailio["OOMScoreAdjust"]) < int(freeswitch["OOMScoreAdjust"]) < 0
    assert int(kamailio["Nice"]) < int(freeswitch["Nice"]) < 0
    assert (freeswitch["IPAddressDeny"], freeswitch["IPAddressAllow"]) == ("any", "localhost")


def test_freeswitch_s_limits_hold_every_leg_that_it_takes() -> None:
    """By `bin/bench ivr` and `render`: 0.6 MiB a leg at the most, 180 MiB of its own; a thread, four sockets and a file a leg."""
    service, legs = read("kyusai-freeswitch.service")["Service"], settings_xml.SESSIONS_MAX
    size = dict(word.partition("=")[::2] for word in read(MEMORY)["Mount"]["Options"].split(","))["size"]
    own_mib, messages_mib = 180 + 0.6 * legs, percent(size) * SMALLEST_MIB
    assert percent(service["MemoryHigh"]) * SMALLEST_MIB > own_mib + messages_mib, "messages in memory count"
    assert percent(service["MemoryMax"]) > percent(service["MemoryHigh"])
    assert int(service["TasksMax"]) > 2 * legs + 100
    assert int(service["LimitNOFILE"]) > 10 * legs
    assert (service["RestrictRealtime"], "-np" in service["ExecStart"].split()) == ("yes", True), (
        "no program but the relay may take a core for itself"
    )


def percent(text: str) -> float:
    """A share of the machine's memory."""
    assert text.endswith("%")
    return int(text[:-1]) / 100


def test_what_people_say_has_memory_of_its_own_that_nobody_else_enters() -> None:
    """Whether it is used is decided when the box starts (`agent.audio_place`); the services start without it too."""
    unit, layout = read(MEMORY), Layout(Path("/var/lib/kyusai"), Path("/run/kyusai"))
    mount = unit["Mount"]
    assert (mount["Type"], mount["Where"]) == ("tmpfs", str(layout.memory_audio_dir))
    assert {"mode=0700", "uid=kyusai", "nosuid", "nodev", "noexec"} <= set(mount["Options"].split(","))
    for name in SERVICES:
        words = read(name)["Unit"]
        wanted = name != "kyusai-kamailio.service"
        assert (words.get("Wants") == MEMORY, MEMORY in words["After"].split()) == (wanted, wanted)


def test_freeswitch_is_started_as_the_box_s_own_command_says() -> None:
    layout = Layout(Path("/var/lib/kyusai"), Path("/run/kyusai"))
    service = read("kyusai-freeswitch.service")["Service"]
    assert service["ExecStart"] == "/usr/bin/" + " ".join(render.command(layout))
    assert service["Environment"] == " ".join(f"{name}={value}" for name, value in render.ENVIRONMENT.items())
