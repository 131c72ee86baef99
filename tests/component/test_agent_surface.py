"""The agent's edges: local HTTP, systemd's socket, log lines, what it remembers, what it asks Kamailio, its command line."""

import asyncio
import contextlib
import io
import json
import socket
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from agent import certificate, notify
from agent.cli import app
from agent.evidence import Sighting
from agent.link import LinkMemory
from agent.links import Links, read_memory
from agent.local_http import HEAD_MAX_BYTES, LocalHttp
from agent.logs import set_up
from agent.repeats import Repeats
from agent.supervisor import Supervisor
from agent.watch import ask, watch
from appliance.document_diff import without_secrets
from appliance.errors import KyusaiError
from appliance.kamailio.view import Peer

BOX = """[box]
id = "tokyo-1-a"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
audio = "disk"
[sip]
lan = "127.0.0.1"
"""


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Unix socket's path may have 107 bytes, and a test's own folder is named after the test."""
    return tmp_path_factory.mktemp("a")


def broken() -> tuple[str, bytes]:
    raise RuntimeError("secret")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /status HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /status?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK"),
        (b"HEAD /status HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /../status HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /status HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"\x16\x03\x01\r\n\r\n", b"405 Method Not Allowed"),
        (b"GET /broken HTTP/1.1\r\n\r\n", b"500 Internal Server Error"),
    ],
)
async def test_the_local_server_answers_what_it_is_asked_and_never_a_traceback(
    tmp_path: Path, request_bytes: bytes, status: bytes
) -> None:
    pages = {"/status": lambda: ("application/json", b"{}"), "/broken": broken}
    server = await LocalHttp(pages).on_unix(tmp_path / "agent.sock")
    async with server:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "agent.sock")
        writer.write(request_bytes)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"secret" not in answer
    assert (tmp_path / "agent.sock").stat().st_mode & 0o007 == 0


async def test_an_endless_request_head_is_hung_up_on(tmp_path: Path) -> None:
    server = await LocalHttp({}).on_unix(tmp_path / "agent.sock")
    async with server:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "agent.sock")
        writer.write(b"x" * (HEAD_MAX_BYTES * 2))
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_a_socket_left_by_a_killed_agent_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = await LocalHttp({"/status": lambda: ("application/json", b'{"a": 1}')}).on_unix(path)
    async with server:
        assert await asyncio.to_thread(ask, path) == {"a": 1}


def test_systemd_is_told_and_an_absent_one_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        assert notify.notify("READY=1", {"NOTIFY_SOCKET": str(path)})
        assert listener.recv(100) == b"READY=1"
    assert not notify.notify("READY=1", {"NOTIFY_SOCKET": str(path) + "x"})
    assert not notify.notify("READY=1", {})


@pytest.mark.parametrize(("period", "beat_s"), [("9000000", 3.0), ("0", None), ("", None), ("x", None)])
def test_the_watchdog_is_fed_three_times_in_its_period(period: str, beat_s: float | None) -> None:
    assert notify.watchdog_beat_s({"WATCHDOG_USEC": period}) == beat_s


def test_log_lines_are_json_and_repeated_warnings_are_held_back() -> None:
    stream = io.StringIO()
    log = set_up(stream, Repeats(3600.0)).bind(box="b1")
    for _ in range(3):
        log.warning("centre_away", about="x", reason="キュウサイ")
    log.warning("centre_away", about="y")
    log.info("link_changed")
    log.info("link_changed")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["centre_away", "centre_away", "link_changed", "link_changed"]
    assert lines[0]["box"] == "b1" and lines[0]["level"] == "warning" and lines[0]["time"].endswith("Z")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"cloud": {"state": "DOWN", "failbacks": 3}}', {"cloud": LinkMemory("DOWN", 3)}),
        ('{"cloud": {"state": "DOWN", "failbacks": -3}}', {"cloud": LinkMemory("DOWN", 0)}),
        ("{", {}),
        ("[]", {}),
        ('{"cloud": 1}', {}),
        ('{"cloud": {"state": "DOWN"}}', {}),
    ],
)
def test_a_memory_that_cannot_be_read_is_no_memory(tmp_path: Path, text: str, found: object) -> None:
    path = tmp_path / "links.json"
    path.write_text(text)
    assert read_memory(path) == found
    assert read_memory(tmp_path / "none.json") == {}


def test_watch_shows_an_agent_that_is_away_instead_of_failing(tmp_path: Path) -> None:
    stream = io.StringIO()
    watch(tmp_path / "none.sock", "en", Console(file=stream, width=200), looks=1)
    assert "systemctl status kyusai-agent" in stream.getvalue()


def test_an_agent_that_answers_rubbish_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(KyusaiError, match="does not answer"):
            ask(tmp_path / "s")


def test_render_writes_all_that_the_daemons_read_and_keeps_the_certificate(short_path: Path) -> None:
    box = short_path / "box.toml"
    box.write_text(BOX.format(folder=short_path))
    runner = CliRunner()
    first = runner.invoke(app, ["render", "--box", str(box)])
    assert first.exit_code == 0, first.output
    state = short_path / "state"
    names = (
        "kamailio/kamailio.cfg",
        "kamailio/kemi_entry.py",
        "kamailio/kamailio.env",
        "rtpengine/rtpengine.conf",
    )
    assert all((state / name).is_file() for name in names)
    certificate_before = (state / "tls" / "certificate.pem").read_bytes()
    assert runner.invoke(app, ["render", "--box", str(box)]).exit_code == 0
    assert (state / "tls" / "certificate.pem").read_bytes() == certificate_before
    assert (state / "tls" / "key.pem").stat().st_mode & 0o077 == 0


def test_half_a_certificate_is_made_anew(tmp_path: Path) -> None:
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    assert certificate.ensure(*paths, ("127.0.0.1",))
    paths[1].unlink()
    assert certificate.ensure(*paths, ("127.0.0.1", "::1"))
    assert not certificate.ensure(*paths, ("127.0.0.1",))


def test_a_faulty_box_toml_lists_all_faults_and_exits_with_1(tmp_path: Path) -> None:
    box = tmp_path / "box.toml"
    box.write_text('[box]\nid = "x"\n[sip]\nlan = "pbx.example.com"\nlan_port = 70000\n')
    done = CliRunner().invoke(app, ["status", "--box", str(box)])
    assert done.exit_code == 1
    assert "sip.lan" in done.output and "sip.lan_port" in done.output


def test_config_show_leaves_secrets_out(short_path: Path) -> None:
    box = short_path / "box.toml"
    box.write_text(BOX.format(folder=short_path))
    folder = short_path / "state" / "config" / "current"
    assert CliRunner().invoke(app, ["config", "show", "--box", str(box)]).exit_code == 1
    folder.mkdir(parents=True)
    (folder / "document.json").write_text(
        '{"extensions": [{"number": "201", "ha1_md5": "abc", "ha1_sha256": ""}]}'
    )
    done = CliRunner().invoke(app, ["config", "show", "--json", "--box", str(box)])
    assert json.loads(done.output) == {"extensions": [{"number": "201", "ha1_md5": "...", "ha1_sha256": ""}]}
    assert without_secrets([{"ha1_md5": "x"}]) == [{"ha1_md5": "..."}]


async def test_a_changed_site_document_changes_what_is_watched_and_keeps_what_it_left_alone(
    tmp_path: Path,
) -> None:
    supervisor = Supervisor(lambda *_: None)
    links = Links(
        clock=asyncio.get_running_loop().time,
        local={"lan": "127.0.0.1", "wan": "127.0.0.1"},
        supervisor=supervisor,
        react=lambda *_: None,
        memory=tmp_path / "links.json",
    )
    await links.watch([Peer("a", "sip:127.0.0.1:9"), Peer("b", "sip:127.0.0.1:9")])
    kept, moved = links.links["a"], links.links["b"]
    await links.watch(
        [
            Peer("a", "sip:127.0.0.1:9", max_calls=3),
            Peer("b", "sip:127.0.0.1:10"),
            Peer("c", "sip:127.0.0.1:9"),
        ]
    )
    assert links.links["a"] is kept, "an unchanged address keeps its state and its hold-down"
    assert links.links["b"] is not moved
    assert sorted(supervisor.figures) == ["probe:a", "probe:b", "probe:c"]
    await links.watch([])
    links.observe("a", Sighting.PROBE_LOST)
    assert (links.links, supervisor.figures) == ({}, {})
    await asyncio.sleep(0)
