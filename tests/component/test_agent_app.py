"""The whole agent as a process of its own, between an upstream, a Kamailio and a systemd that are played here."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.at_rest_watch import look
from agent.config_store import ConfigStore
from agent.watch import ask
from appliance import site
from appliance.box import load
from appliance.errors import KyusaiError
from appliance.layout import Layout
from cloudsync.wire import Envelope
from tests.helpers.site_documents import document, upstream

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Upstream(asyncio.DatagramProtocol):
    """Answers OPTIONS while `alive`."""

    def __init__(self) -> None:
        self.alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.alive:
            kept = [
                line for line in data.split(b"\r\n") if re.match(rb"(?i)(via|from|to|call-id|cseq):", line)
            ]
            reply = b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""])
            self.transport.sendto(reply, addr)  # type: ignore[attr-defined]


class Kamailio(asyncio.DatagramProtocol):
    """Answers JSON-RPC as Kamailio does and remembers what is in the link table."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.writes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        request = json.loads(data)
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] in ("htable.sets", "htable.seti"):
            self.writes += 1
            self.table[request["params"][1]] = request["params"][2]
            reply["result"] = "OK"
        elif request["method"] == "core.version":
            reply["result"] = "kamailio 5.6.3"
        else:
            reply["error"] = {"code": 500, "message": "Method Not Found"}
        self.transport.sendto(json.dumps(reply).encode(), addr)  # type: ignore[attr-defined]


class Stage:
    """One box with everything around it. `agent` starts the agent; what it started is stopped at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics_port = free_port()
        self.sip_port = free_port(socket.SOCK_DGRAM)
        self.box_file = folder / "box.toml"
        self.box_file.write_text(
            f"""[box]
id = "tokyo-1-a"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
audio = "disk"
[sip]
lan = "{HOST}"
[agent]
listen = "{HOST}:{self.metrics_port}"
"""
        )
        self.layout = Layout.of(load(self.box_file))
        for path in self.layout.folders():
            path.mkdir(parents=True, exist_ok=True)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / "notify.sock"))
        self.notified.settimeout(10)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        first, self.upstream = await loop.create_datagram_endpoint(Upstream, local_addr=(HOST, self.sip_port))
        second, self.kamailio = await loop.create_datagram_endpoint(
            Kamailio, local_addr=str(self.layout.kamailio_rpc), family=socket.AF_UNIX
        )

        self.transports = (first, second)

    def lay_config(self, version: int = 12) -> None:
        text = json.dumps(
            document(version=version, upstreams=[upstream(uri=f"sip:{HOST}:{self.sip_port}", network="lan")])
        )
        store = ConfigStore(self.layout)
        store.load()
        store.render(Envelope(text, version, "", ""), site.loads(text))
        store.switch(version)

    def agent(self) -> subprocess.Popen[bytes]:
        env = {
            **os.environ,
            "KYUSAI_BOX": str(self.box_file),
            "NOTIFY_SOCKET": str(self.folder / "notify.sock"),
            "WATCHDOG_USEC": "900000",
        }
        with (self.folder / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "kyusai_cli.py", "agent", "--hold-s", "1", "--hold-cap-s", "4"],
                cwd=ROOT,
                env=env,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def log(self) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for line in (self.folder / "agent.log").read_text().splitlines()
            if line.startswith("{")
        ]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)
        self.notified.close()
        for transport in self.transports:
            transport.close()

    async def status(self) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self.layout.agent_socket)

    async def until(
        self, what: str, done: Callable[[dict[str, Any]], bool], limit_s: float = 60
    ) -> dict[str, Any]:
        end_s = time.monotonic() + limit_s
        found: dict[str, Any] = {}
        while time.monotonic() < end_s:
            try:
                found = await self.status()
                if done(found):
                    return found
            except KyusaiError:
                pass
            await asyncio.sleep(0.05)
        raise AssertionError(f"not {what} after {limit_s} s: {found.get('links')} {found.get('tasks')}")


def in_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: bool(status["links"]) and status["links"][0]["known_state"] == state


@pytest.fixture
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    found = Stage(tmp_path_factory.mktemp("agent"))
    await found.open()
    yield found
    found.close()
    await asyncio.sleep(0)


def words(stage: Stage, count: int) -> list[bytes]:
    return [stage.notified.recv(200) for _ in range(count)]


async def test_a_cut_is_known_told_and_taken_back_and_calls_would_never_wait_for_the_agent(
    stage: Stage,
) -> None:
    stage.lay_config()
    process = stage.agent()
    await stage.until("UP", in_state("UP"))
    await stage.until("told", lambda _: stage.kamailio.table == {"cloud": "UP", "cloud:life_ms": 600})
    assert (await stage.status())["disk_encryption"] == look(stage.layout)

    stage.upstream.alive = False
    cut_s = time.monotonic()
    status = await stage.until("DOWN", in_state("DOWN"))
    assert time.monotonic() - cut_s < 6
    assert status["survival_mode"] is True
    await asyncio.sleep(0.1)
    assert stage.kamailio.table["cloud"] == "DOWN", "told at once, not with the next beat"

    stage.upstream.alive = True
    await stage.until("RECOVERING", in_state("RECOVERING"))
    status = await stage.until("UP", in_state("UP"))
    assert status["survival_mode"] is False
    assert status["links"][0]["hold_s"] == 2, "the next hold-down is twice as long"

    text = await asyncio.to_thread(
        lambda: (
            urllib.request.urlopen(f"http://{HOST}:{stage.metrics_port}/metrics", timeout=3).read().decode()
        )
    )
    assert 'kyusai_link_state{state="UP",upstream="cloud"} 1.0' in text
    assert 'kyusai_link_transitions_total{from="RECOVERING",to="UP",upstream="cloud"} 1.0' in text

    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0
    assert not stage.layout.agent_socket.exists()
    assert [line["event"] for line in stage.log()][-1] == "agent_stopped"


async def test_a_killed_agent_leaves_unknown_and_the_next_one_goes_on_with_its_hold_down(
    stage: Stage,
) -> None:
    stage.lay_config()
    stage.upstream.alive = False
    process = stage.agent()
    await stage.until("DOWN", in_state("DOWN"))
    process.kill()
    process.wait(10)
    writes = stage.kamailio.writes
    await asyncio.sleep(1.2)
    assert stage.kamailio.writes == writes, "nobody goes on telling: the entry expires"

    stage.agent()
    status = await stage.until("answering", in_state("DOWN"))
    assert status["links"][0]["transitions"] == {}, "it resumed in DOWN instead of finding it out again"


async def test_systemd_is_told_of_readiness_and_that_the_loop_turns(stage: Stage) -> None:
    process = stage.agent()
    told = await asyncio.to_thread(words, stage, 4)
    assert told[0].startswith(b"WATCHDOG=1") or told[0].startswith(b"READY=1")
    assert any(word.startswith(b"READY=1") for word in told)
    assert told.count(b"WATCHDOG=1") >= 2
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 60)
    assert process.returncode == 0


async def test_a_kamailio_that_is_away_stops_no_task_and_is_said_once_a_minute(stage: Stage) -> None:
    stage.layout.kamailio_rpc.unlink()
    stage.lay_config()
    stage.agent()
    status = await stage.until("UP", in_state("UP"))
    assert status["kamailio"]["alive"] is False
    assert all(task["running"] for task in status["tasks"].values())
    await asyncio.sleep(1.5)
    assert [line["event"] for line in stage.log()].count("links_not_published") == 1


async def test_a_box_without_enrolment_and_configuration_says_so_and_waits(stage: Stage) -> None:
    stage.agent()
    status = await stage.until("there", lambda _: True)
    assert (status["site"], status["config"]["version"], status["links"]) == ("", 0, [])
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "kyusai_cli.py", "status", "--box", str(stage.box_file)],
        cwd=ROOT,
        env={**os.environ, "KYUSAI_LANG": "ja"},
        capture_output=True,
        timeout=90,
    )
    assert done.returncode == 0
    assert "未登録" in done.stdout.decode()


async def test_status_without_an_agent_is_one_line_a_hint_and_exit_code_1(stage: Stage) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "kyusai_cli.py", "status", "--box", str(stage.box_file)],
        cwd=ROOT,
        env={**os.environ, "KYUSAI_LANG": "en"},
        capture_output=True,
        timeout=90,
    )
    assert done.returncode == 1
    assert "does not answer" in done.stderr.decode()
    assert "systemctl status kyusai-agent" in done.stderr.decode()


async def test_second_agent_on_the_same_box_ends_with_one_line_and_the_first_does_not_notice(
    stage: Stage,
) -> None:
    stage.lay_config()
    first = stage.agent()
    await stage.until("UP", in_state("UP"))
    second = stage.agent()
    assert await asyncio.to_thread(second.wait, 60) == 1
    said = (stage.folder / "agent.log").read_text()
    assert "another agent is running" in said
    assert "systemctl stop kyusai-agent" in said
    assert "Traceback" not in said
    after = await stage.status()
    assert first.poll() is None
    assert after["links"][0]["known_state"] == "UP"
