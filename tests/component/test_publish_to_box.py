"""From publishing to the box: a real centre, the box's own client and keeper. A failure is a change that comes late."""

import asyncio
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent import health, heartbeat, senders
from agent.centre import Centre
from agent.cloud_client import CloudClient
from agent.cloud_transport import Transport, pinned
from agent.config import ConfigKeeper
from agent.config_check import Trust
from agent.config_store import ConfigStore
from agent.enrol import enrol
from agent.health import Vitals
from agent.identity import load_or_make
from agent.key_chain import document_keys
from agent.logs import set_up
from agent.supervisor import Supervisor
from appliance.layout import Layout
from appliance.site import Site
from cloudsync.service import configuration
from cloudsync.wire import HEARTBEAT_INTERVAL_S, Envelope
from tests.helpers.centre_box import ROOT, CentreProcess, prepare_site

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
SITE, TENANT = DOCUMENT["site"]["id"], DOCUMENT["site"]["tenant"]
PUBLISHED = 8
SEEN_LIMIT_S = 5.0
SEEN_WORST_S = 30.0


class Counting(CloudClient):
    """The box's client, which counts its polls."""

    polls = 0

    async def config(self, have: int, wait_s: float) -> Envelope | None:
        self.polls += 1
        return await super().config(have, wait_s)


async def test_every_published_version_is_in_use_within_five_seconds_by_one_poll_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "WATCH_S", 0.0)
    process = CentreProcess(tmp_path / "data")
    layout = Layout(tmp_path / "state", tmp_path / "run")
    layout.config_dir.mkdir(parents=True)
    seen: dict[int, float] = {}

    async def look(_: int) -> Vitals:
        return Vitals(kamailio=True)

    async def activate(site: Site) -> None:
        seen[site.version] = time.monotonic()

    def publish() -> float:
        with process.store() as store:
            configuration.publish(store, json.dumps(DOCUMENT), "admin:test")
        return time.monotonic()

    try:
        with process.store() as store:
            text = prepare_site(store, SITE, TENANT)
        url = process.start().url
        told = await enrol(text, url, f"{SITE}-a", {}, key=layout.key, enrolment=layout.enrolment)
        transport = Transport(url, pinned(told.ca_pem))
        client = Counting(transport, f"{SITE}-a", load_or_make(layout.key).sign)
        keeper = ConfigKeeper(
            ConfigStore(layout), look=look, activate=activate, clock=time.monotonic, log=set_up(io.StringIO())
        )
        await keeper.resume()
        trust = Trust(SITE, document_keys(told.enrolment.config_keys))

        async def pull_on() -> None:
            while True:
                await keeper.pull(client, trust)

        keeping = asyncio.create_task(pull_on())
        delays = []
        for version in range(1, PUBLISHED + 1):
            published_s = await asyncio.to_thread(publish)
            async with asyncio.timeout(SEEN_WORST_S):
                while version not in seen:
                    assert not keeping.done()
                    await asyncio.sleep(0.01)
            delays.append(seen[version] - published_s)
        assert max(delays) < SEEN_LIMIT_S, delays
        assert client.polls <= PUBLISHED + 1, "nobody asked in between"
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await transport.close()
    finally:
        process.stop()


async def test_version_published_in_an_outage_is_in_use_as_soon_as_anything_reaches_the_centre(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "WATCH_S", 0.0)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_INTERVAL_S", 0.2)
    monkeypatch.setattr(senders, "_spread", lambda _state: 3600.0)  # whoever only waits comes too late
    process = CentreProcess(tmp_path / "data")
    layout = Layout(tmp_path / "state", tmp_path / "run")
    layout.config_dir.mkdir(parents=True)
    log, failed = io.StringIO(), []

    async def look(_: int) -> Vitals:
        return Vitals(kamailio=True)

    async def activate(_: Site) -> None: ...

    def publish() -> None:
        with process.store() as store:
            configuration.publish(store, json.dumps(DOCUMENT), "admin:test")

    async def until(reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not reached():
                await asyncio.sleep(0.02)

    with process.store() as store:
        text = prepare_site(store, SITE, TENANT)
    url = process.start().url
    await enrol(text, url, f"{SITE}-a", {}, key=layout.key, enrolment=layout.enrolment)
    keeper = ConfigKeeper(
        ConfigStore(layout), look=look, activate=activate, clock=time.monotonic, log=set_up(log)
    )
    status: Any = SimpleNamespace(as_json=dict)
    box: Any = SimpleNamespace(centre=SimpleNamespace(url=url))
    centre = Centre(box, layout, keeper, lambda: status, set_up(log), time.monotonic)
    supervisor = Supervisor(lambda name, error, _wait_s: failed.append((name, error)))
    try:
        await keeper.resume()
        first, second = await asyncio.gather(centre.client(), centre.client())
        assert first is second, (
            "tasks that begin together share connections, token, and whether the box is shut out"
        )
        supervisor.start("config", centre._keep_config)
        supervisor.start("heartbeat", centre._keep_heartbeat)
        await asyncio.to_thread(publish)
        await until(lambda: keeper.store.newest == 1)
        process.kill()
        await until(lambda: any(one.task == "config" for one in centre.contact.failing))
        await asyncio.to_thread(publish)
        await asyncio.to_thread(process.start)
        await until(lambda: keeper.store.newest == 2)
        assert failed == [], "an outage is no fault of the agent's"
        assert '"event": "sync_failed"' in log.getvalue()
    finally:
        await supervisor.stop()
        await centre.close()
        process.stop()


def test_a_trial_or_a_dead_connection_keeps_a_version_back_for_less_than_thirty_seconds() -> None:
    """The trial of the version before, or two heartbeats after which the poll is asked anew, and a second for the rest."""
    assert max(health.WATCH_S, 2 * HEARTBEAT_INTERVAL_S) + SEEN_LIMIT_S < SEEN_WORST_S
