"""A tenant's recording from the administrator's file to the box: stored, named in the signed document, fetched, kept, removed.

A real centre with its commands, the box's own client and keeper.
"""

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent import health
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudRefused, CloudUnreachable
from agent.cloud_transport import Transport, pinned
from agent.config import ConfigKeeper
from agent.config_check import Trust
from agent.config_store import ConfigStore
from agent.enrol import enrol
from agent.health import Vitals
from agent.identity import Enrolled, load_or_make
from agent.key_chain import document_keys
from agent.logs import set_up
from agent.prompt_store import PromptStore
from appliance.layout import Layout
from appliance.site import Site, SiteInvalid
from appliance.site_media import PROMPTS_MAX
from cloudsync.service import configuration
from cloudsync.wire import PROMPT_PIECE_BYTES, ConfigState
from tests.helpers.centre_box import ROOT, CentreProcess, opened, prepare_site
from tests.helpers.recordings import speech, write

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
SITE, TENANT = DOCUMENT["site"]["id"], DOCUMENT["site"]["tenant"]


class Cut(CloudClient):
    """The box's client on a line that breaks after each piece of a prompt, as often as `breaks` says."""

    breaks = 0
    begins: tuple[int, ...] = ()

    async def prompt(self, sha256: str, begin: int) -> tuple[bytes, int]:
        self.begins = (*self.begins, begin)
        if begin and self.breaks:
            self.breaks -= 1
            raise CloudUnreachable("cloud.unreachable", "cut")
        return await super().prompt(sha256, begin)


class Box:
    """One box's configuration. applied: versions in the order in which they came into use."""

    def __init__(self, folder: Path, told: Enrolled, url: str, box_id: str, key: Path) -> None:
        self.layout = Layout(folder / "state", folder / "run")
        self.layout.config_dir.mkdir(parents=True, exist_ok=True)
        self.transport = Transport(url, pinned(told.ca_pem))
        self.client = Cut(self.transport, box_id, load_or_make(key).sign)
        self.prompts = PromptStore(self.layout, set_up(io.StringIO()))
        self.trust = Trust(told.enrolment.site_id, document_keys(told.enrolment.config_keys))
        self.applied: list[int] = []
        self.keeper = ConfigKeeper(
            ConfigStore(self.layout, tidy=self.prompts.sweep),
            look=self._look,
            activate=self._activate,
            clock=time.monotonic,
            log=set_up(io.StringIO()),
            fetch=self._fetch,
            calls=self._calls,
        )
        self.calls = frozenset[str]()

    async def _look(self, _: int) -> Vitals:
        return Vitals(kamailio=True)

    async def _activate(self, site: Site) -> None:
        self.applied.append(site.version)

    async def _calls(self) -> frozenset[str]:
        return self.calls

    async def _fetch(self, site: Site) -> None:
        await self.prompts.fetch(site.media, self.client)

    async def take(self) -> bool:
        """The newest document, as the agent's task takes it."""
        envelope = await self.client.config(self.keeper.store.newest, 0)
        assert envelope is not None
        return await self.keeper.take(envelope, self.trust)

    def files(self) -> dict[str, bytes]:
        folder = self.layout.prompts_dir / "own"
        return {path.name: path.read_bytes() for path in folder.glob("*")}


class Ground:
    """A centre with one site, its box, and the administrator's terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = CentreProcess(folder / "data")
        with self.process.store() as store:
            self.text = prepare_site(store, SITE, TENANT)
            configuration.publish(store, json.dumps(DOCUMENT), "admin:test")
        self.url = self.process.start().url

    async def box(self, name: str, text: str = "") -> Box:
        folder = self.folder / name
        key, enrolment = folder / "key.pem", folder / "enrolment.json"
        folder.mkdir()
        told = await enrol(text or self.text, self.url, name, {}, key=key, enrolment=enrolment)
        box = Box(folder, told, self.url, name, key)
        await box.keeper.resume()
        return box

    def command(self, *words: str, good: bool = True) -> Any:
        done = subprocess.run(
            [
                sys.executable,
                "kyusai_cli.py",
                "centre",
                "prompt",
                *words,
                "--data",
                str(self.folder / "data"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is good, done.stderr
        return json.loads(done.stdout) if good else done.stderr


@pytest_asyncio.fixture(loop_scope="function")
async def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    monkeypatch.setattr(health, "WATCH_S", 0.0)
    ground = Ground(tmp_path)
    try:
        yield ground
    finally:
        ground.process.stop()


def sha256_of(added: dict[str, Any]) -> str:
    return str(added["prompt"]["ja_audio"])


async def test_a_recording_reaches_the_box_and_goes_on_after_every_cut(ground: Ground) -> None:
    file = write(ground.folder / "a.wav", speech(35.0))
    added = ground.command("add", SITE, "greeting", str(file), "--json")
    sha256 = sha256_of(added)
    assert added["published"] == {SITE: 2}
    box = await ground.box("tokyo-1-a")
    box.client.breaks = 3
    for _ in range(3):
        with pytest.raises(CloudUnreachable):
            await box.take()
        assert box.applied == [], "a document whose prompt is not there yet is not used"
    assert await box.take()
    assert box.applied == [2]
    data = box.files()
    assert list(data) == [f"{sha256}.wav"]
    assert hashlib.sha256(data[f"{sha256}.wav"]).hexdigest() == sha256
    pieces = -(-len(data[f"{sha256}.wav"]) // PROMPT_PIECE_BYTES)
    assert len(set(box.client.begins)) == pieces, "no byte came twice"
    await box.transport.close()


async def test_what_is_stored_for_a_tenant_is_listed_and_survives_a_backup(ground: Ground) -> None:
    file = write(ground.folder / "a.wav", speech(1.0))
    added = ground.command("add", "--tenant", TENANT, "closed", str(file), "--language", "ja", "--json")
    (row,) = ground.command("list", "--json")
    assert row == {"site": SITE, "prompt": "closed", "language": "ja", "sha256": sha256_of(added)} | {
        "bytes": row["bytes"]
    }
    from cloudsync.service.backup import backup, restore

    with ground.process.store() as store:
        backup(store, ground.folder / "backup")
    restore(ground.folder / "backup", ground.folder / "again", "admin:test")
    with opened(ground.folder / "again") as store:
        assert store.blobs.whole_bytes(f"_{TENANT}", sha256_of(added), sha256_of(added)) == row["bytes"]


async def test_a_recording_that_was_altered_is_refused_and_the_version_before_stays(ground: Ground) -> None:
    box = await ground.box("tokyo-1-a")
    assert await box.take()
    file = write(ground.folder / "a.wav", speech(1.0))
    sha256 = sha256_of(ground.command("add", SITE, "greeting", str(file), "--json"))
    (stored,) = (ground.folder / "data" / "recordings" / f"_{TENANT}").glob("*")
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x01")
    assert not await box.take()
    assert box.applied == [1]
    assert box.keeper.store.state.refused_version == 2
    assert box.keeper.counts[ConfigState.REFUSED] == 1
    assert sha256[:16] in str(box.keeper.store.state.problems[0])
    assert box.files() == {}
    await box.transport.close()


async def test_a_box_gets_what_its_own_documents_name_and_nothing_else(ground: Ground) -> None:
    file = write(ground.folder / "a.wav", speech(1.0))
    sha256 = sha256_of(ground.command("add", SITE, "greeting", str(file), "--json"))
    with ground.process.store() as store:
        texts = {
            "osaka-9": prepare_site(store, "osaka-9", "other"),
            "nara-9": prepare_site(store, "nara-9", TENANT),
        }
    for site_id, text in texts.items():
        stranger = await ground.box(f"{site_id}-a", text)
        for wanted in (sha256, "0" * 64):
            with pytest.raises(CloudRefused) as caught:
                await stranger.client.prompt(wanted, 0)
            assert (caught.value.status, caught.value.key) == (404, "prompt.unknown")
        await stranger.transport.close()


async def test_a_recording_goes_when_no_version_on_the_box_names_it(ground: Ground) -> None:
    first = sha256_of(
        ground.command("add", SITE, "greeting", str(write(ground.folder / "a.wav", speech(1.0))), "--json")
    )
    box = await ground.box("tokyo-1-a")
    assert await box.take()
    second = write(ground.folder / "b.wav", speech(1.5))
    ground.command("add", SITE, "greeting", str(second), "--json")
    assert await box.take()
    assert f"{first}.wav" in box.files(), "version 2 is still there to go back to"
    for _ in range(6):
        with ground.process.store() as store:
            configuration.publish(store, json.dumps(DOCUMENT), "admin:test")
        assert await box.take()
    assert box.files() == {}
    await box.transport.close()


async def test_a_recording_stays_while_a_call_is_up_that_may_play_it(ground: Ground) -> None:
    file = write(ground.folder / "a.wav", speech(1.0))
    sha256 = sha256_of(ground.command("add", SITE, "greeting", str(file), "--json"))
    box = await ground.box("tokyo-1-a")
    assert await box.take()

    async def published(count: int) -> None:
        for _ in range(count):
            with ground.process.store() as store:
                configuration.publish(store, json.dumps(DOCUMENT), "admin:test")
            assert await box.take()

    box.calls = frozenset({"began with it", "another"})
    await published(1)
    box.calls = frozenset({"began with it", "came later"})
    await published(6)
    assert list(box.files()) == [f"{sha256}.wav"]
    box.calls = frozenset({"came later"})
    await published(1)
    assert box.files() == {}
    await box.transport.close()


def test_a_document_that_names_what_nobody_stored_is_not_published(ground: Ground) -> None:
    odd = {**DOCUMENT, "prompts": [{"id": "greeting", "en_audio": "ab" * 32}]}
    with ground.process.store() as store, pytest.raises(SiteInvalid) as caught:
        configuration.publish(store, json.dumps(odd), "admin:test")
    assert [(one.path, one.key) for one in caught.value.problems] == [
        ("$.prompts[0].en_audio", "media.prompt_not_stored")
    ]


def test_what_is_wrong_is_told_at_the_terminal_and_nothing_is_published(ground: Ground) -> None:
    (ground.folder / "a.wav").write_bytes(b"no audio at all")
    said = ground.command("add", SITE, "greeting", str(ground.folder / "a.wav"), good=False)
    assert "is not audio" in said
    assert "WAV, MP3" in said
    assert "no site nowhere" in ground.command(
        "add", "nowhere", "greeting", str(write(ground.folder / "b.wav", speech())), good=False
    )
    assert "words were given" in ground.command("add", "greeting", "file", good=False)
    good = str(ground.folder / "b.wav")
    for odd in ("Gute Nacht", "../greeting", "x" * 100, ""):
        assert "is no id of a prompt" in ground.command("add", SITE, odd, good, good=False)
        assert "is no id of a prompt" in ground.command("add", SITE, odd, good, "--no-publish", good=False)
    with ground.process.store() as store:
        full = {**DOCUMENT, "prompts": [{"id": f"p{index}", "en": "Hello."} for index in range(PROMPTS_MAX)]}
        configuration.publish(store, json.dumps(full), "admin:test")
    assert "$.prompts" in ground.command("add", SITE, "greeting", good, good=False)
    assert ground.command("list", "--json") == []
    assert not list((ground.folder / "data" / "recordings").glob(f"_{TENANT}/*")), "nothing is stored either"
