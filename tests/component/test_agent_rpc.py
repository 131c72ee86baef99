"""The RPC client against a real Kamailio: link states arrive, expire, and errors come back as errors."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.evidence import Sighting
from agent.kamailio_figures import read_figures
from agent.kamailio_rpc import KamailioRpc, RpcRefused, RpcSilent
from agent.link import Link
from agent.publish import publish
from appliance.model import LinkState

KAMAILIO = shutil.which("kamailio") or "/usr/sbin/kamailio"

needs_kamailio = pytest.mark.skipif(not Path(KAMAILIO).exists(), reason="no kamailio on this machine")

CONFIG = """
debug=0
log_stderror=yes
children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "kex.so"
loadmodule "jsonrpcs.so"
loadmodule "htable.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "usrloc.so"
loadmodule "dialog.so"
modparam("usrloc", "preload", "location")
modparam("jsonrpcs", "transport", 6)
modparam("jsonrpcs", "dgram_socket", "{folder}/rpc.sock")
modparam("htable", "htable", "link=>size=4;autoexpire=2;")
modparam("htable", "timer_interval", 1)
request_route {{ drop; }}
"""


def free_port() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def rpc() -> AsyncIterator[KamailioRpc]:
    with tempfile.TemporaryDirectory(prefix="kyusai-rpc-") as folder:
        config = Path(folder, "kamailio.cfg")
        config.write_text(CONFIG.format(port=free_port(), folder=folder))
        server = subprocess.Popen(
            [KAMAILIO, "-DD", "-E", "-f", str(config), "-m", "16", "-M", "2", "-Y", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        client = KamailioRpc(Path(folder, "rpc.sock"))
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        await client.call("core.version", timeout_s=0.3)
                        break
                    except RpcSilent:
                        await asyncio.sleep(0.05)
            yield client
        finally:
            client.close()
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(10)


@needs_kamailio
async def test_link_states_arrive_in_kamailio_and_expire_with_the_agent(rpc: KamailioRpc) -> None:
    link = Link("cloud", 0.0)
    link.observe(Sighting.PROBE_ANSWERED, 1.0, 20.0)
    link.state = LinkState.DOWN
    assert await publish(rpc, [link], 1.0, 600) == 1
    item = await rpc.call("htable.get", "link", "cloud")
    assert item["item"]["value"] == "DOWN"
    assert (await rpc.call("htable.get", "link", "cloud:life_ms"))["item"]["value"] == 600
    async with asyncio.timeout(8):
        while True:
            try:
                await rpc.call("htable.get", "link", "cloud")
                await asyncio.sleep(0.2)
            except RpcRefused:
                break


@needs_kamailio
async def test_a_link_whose_prober_fell_silent_is_not_written(rpc: KamailioRpc) -> None:
    link = Link("cloud", 0.0)
    link.observe(Sighting.PROBE_ANSWERED, 1.0, 20.0)
    assert await publish(rpc, [link, Link("never", 0.0)], 60.0, 600) == 0


@needs_kamailio
async def test_a_refusal_names_method_and_code(rpc: KamailioRpc) -> None:
    with pytest.raises(RpcRefused, match=r"no\.such") as caught:
        await rpc.call("no.such")
    assert caught.value.code == 500


@needs_kamailio
async def test_every_figure_is_known_by_the_name_that_kamailio_gives_it(rpc: KamailioRpc) -> None:
    found = await read_figures(rpc)
    assert found.version.startswith("kamailio ")
    assert (found.registered_contacts, found.active_calls, found.own_errors, found.answers_5xx) == (
        0,
        0,
        0,
        0,
    )
    assert found.shared_memory_bytes == 16 * 1024 * 1024
    assert None not in (found.uptime_s, found.transactions, found.shared_memory_used_bytes)


@needs_kamailio
async def test_many_requests_at_once_find_their_own_answers(rpc: KamailioRpc) -> None:
    await asyncio.gather(*(rpc.call("htable.seti", "link", f"k{i}", i) for i in range(5)))
    found = await asyncio.gather(*(rpc.call("htable.get", "link", f"k{i}") for i in range(5)))
    assert [item["item"]["value"] for item in found] == list(range(5))


@needs_kamailio
async def test_an_answer_of_sixty_kilobytes_arrives_whole(rpc: KamailioRpc) -> None:
    for i in range(300):
        await rpc.call("htable.sets", "link", f"key{i}", "v" * 120)
    dump = await rpc.call("htable.dump", "link")
    assert sum(len(slot["slot"]) for slot in dump) == 300


async def test_no_kamailio_is_said_with_a_hint(tmp_path: Path) -> None:
    client = KamailioRpc(tmp_path / "none.sock")
    with pytest.raises(RpcSilent) as caught:
        await client.call("core.version")
    client.close()
    assert "systemctl" in caught.value.hint


async def test_a_kamailio_that_hangs_is_given_up_after_the_limit(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(tmp_path / "rpc.sock"))
        client = KamailioRpc(tmp_path / "rpc.sock")
        with pytest.raises(RpcSilent, match=r"0\.1 s"):
            await client.call("core.version", timeout_s=0.1)
        client.close()
