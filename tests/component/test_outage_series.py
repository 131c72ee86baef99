"""A real agent and a real centre that is killed for a while, with the cloud gone too: the box keeps its own figures, and
the centre shows them afterwards as if it had been there. A failure is a hole in the graphs just where somebody wants to look."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.at_rest_watch import look
from agent.watch import ask
from appliance.box import load
from appliance.errors import KyusaiError
from appliance.layout import Layout
from cloudsync.service import configuration
from cloudsync.service.sites import list_sites
from cloudsync.wire import AtRest
from tests.helpers.centre_box import ROOT, CentreProcess, prepare_site
from tests.helpers.site_documents import document, upstream

HOST = "127.0.0.1"
EVERY_S = 1.5
"""Instead of a minute: between two figures of this test."""
AGENT = f"""import runpy, sys
from agent import series
series.EVERY_S = {EVERY_S}
sys.argv = ["kyusai", "agent", "--hold-s", "1", "--hold-cap-s", "2"]
runpy.run_path("kyusai_cli.py", run_name="__main__")"""
LIMIT_S = 60.0


class Cloud(asyncio.DatagramProtocol):
    """Answers OPTIONS while `alive`."""

    alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.alive:
            lines = [
                line for line in data.split(b"\r\n") if re.match(rb"(?i)(via|from|to|call-id|cseq):", line)
            ]
            answer = b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""])
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]


@pytest.fixture
async def cloud() -> AsyncIterator[tuple[Cloud, int]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Cloud, local_addr=(HOST, 0))
    yield protocol, transport.get_extra_info("sockname")[1]
    transport.close()


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A socket's path is short."""
    with tempfile.TemporaryDirectory(prefix="kyusai-") as folder:
        yield Path(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(check):
            await asyncio.sleep(0.1)


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "kyusai_cli.py", *words]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)


def kyusai(*words: str, **environment: str) -> str:
    return run(*words, **environment).stdout


async def test_figures_of_an_outage_stand_at_the_centre_afterwards_without_a_hole(
    cloud: tuple[Cloud, int], tmp_path: Path, run_dir: Path
) -> None:
    upstream_uri = f"sip:{HOST}:{cloud[1]}"
    box_file, centre = tmp_path / "box.toml", CentreProcess(tmp_path / "centre")
    with centre.store() as opened:
        code = prepare_site(opened)
        site = document(upstreams=[upstream(uri=upstream_uri, network="lan")])
        configuration.publish(opened, json.dumps(site), "admin:test")
    box_file.write_text(
        f'[box]\nid = "tokyo-1-a"\nstate_dir = "{tmp_path}/state"\nrun_dir = "{run_dir}"\naudio = "disk"\n'
        f'[centre]\nurl = "{centre.url}"\n[sip]\nlan = "{HOST}"\n[agent]\nlisten = "{HOST}:{free_port()}"\n'
    )
    layout = Layout.of(load(box_file))
    centre.start()
    agent: subprocess.Popen[bytes] | None = None

    def now() -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError, KyusaiError):
            return dict(ask(layout.agent_socket))
        return {"survival_mode": None, "spool": {"waiting": -1, "acknowledged": 0}}

    def disk_encryption() -> str:
        """As the centre has it from the box's heartbeat."""
        with centre.store() as opened:
            return list_sites(opened)[0].boxes[0].disk_encryption

    try:
        warned = run("enrol", code, KYUSAI_BOX=str(box_file), KYUSAI_LANG="en").stderr
        assert ("The disk is not encrypted" in warned) == (look(layout) is AtRest.NONE)
        with (tmp_path / "agent.log").open("ab") as log:
            env = {**os.environ, "KYUSAI_BOX": str(box_file)}
            agent = subprocess.Popen([sys.executable, "-c", AGENT], cwd=ROOT, env=env, stderr=log)
        await until(lambda: now()["survival_mode"] is False and now()["spool"]["acknowledged"] > 1)
        await until(lambda: disk_encryption() == look(layout))
        centre.kill()
        cloud[0].alive = False
        await until(lambda: now()["survival_mode"] is True and now()["spool"]["waiting"] >= 4)
        cloud[0].alive = True
        centre.start()
        await until(lambda: now()["survival_mode"] is False and 0 <= now()["spool"]["waiting"] <= 1)
        shown = json.loads(kyusai("series", "tokyo-1", "--json", "--data", str(centre.data_dir)))
    finally:
        if agent is not None:
            agent.send_signal(signal.SIGTERM)
            agent.wait(20)
        centre.stop()
    alone = [point["figures"]["survival_mode"] for point in shown["points"]]
    assert len(alone) >= 6
    assert {0.0, 1.0} == set(alone)
    waiting = max(point["figures"]["spool_records"] for point in shown["points"])
    assert waiting >= 3, "the backlog of the outage is in the figures too"
    states = {link["state"] for point in shown["points"] for link in point["links"].values()}
    assert "DOWN" in states
    assert shown["holes"] == []
