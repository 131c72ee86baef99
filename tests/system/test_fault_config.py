"""A site document that is faulty, forged or replayed reaches a whole box: refused, told with every fault, and calls go on."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from cloudsync.layout import CentreLayout
from cloudsync.service.centre import open_centre
from cloudsync.signing import SigningKeys
from cloudsync.store import configs
from cloudsync.wire import Envelope, to_base64
from tests.helpers.fault_lab import LOCAL, heard_both_ways, metric
from tests.lab.box import kyusai
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import SITE, site_document

ENGLISH = {**os.environ, "KYUSAI_LANG": "en", "COLUMNS": "300"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with Lab(Parts(phones=2, centre=True, agent=True, **LOCAL)) as lab:
        yield lab


def signed(lab: Lab, version: int, **changes: Any) -> Envelope:
    """A document signed by the centre's own key, whatever is in it."""
    keys = SigningKeys.load_or_create(CentreLayout(lab.centre.data).config_keys_dir)
    document = site_document(lab.addresses, lab.passwords, version=version, **changes)
    return keys.sign_document(json.dumps(document), version)


def slip_in(lab: Lab, envelope: Envelope) -> None:
    """Put an envelope past the centre's own checks into its store, as somebody who holds its disk could."""
    centre = open_centre(lab.centre.data)
    try:
        with centre.database.write() as connection:
            configs.add(connection, SITE, envelope, centre.now_utc())
    finally:
        centre.close()


async def refused(lab: Lab, version: int, before: float) -> dict[str, Any]:
    """The centre's word on its box, once the box has refused that version and said so everywhere."""

    async def told() -> bool:
        (site,) = json.loads(await kyusai("sites", "--json", "--data", lab.centre.data))
        (box,) = site["boxes"]
        told.box = box  # type: ignore[attr-defined]
        return (box["config_version"], box["config_state"]) == (version, "refused")

    await wait_until(told, f"the centre knows that version {version} was refused")
    assert await metric(lab, "kyusai_config_refused_total") == before + 1
    box: dict[str, Any] = told.box  # type: ignore[attr-defined]
    return box


async def calls_go_on(lab: Lab) -> None:
    call = await lab.phones["201"].call("202")
    await heard_both_ways(lab, call, "202")
    await call.hangup()


async def test_faulty_document_is_refused_with_all_its_faults_and_the_running_version_stays(lab: Lab) -> None:
    running = lab.box.layout.current.resolve()
    envelope = signed(lab, lab.version + 1)
    document = json.loads(envelope.document)
    document["extensions"][1]["number"] = document["extensions"][0]["number"]
    document["gateways"][0]["uri"] = "sip:gateway.example:5060"
    document["emergency"]["gateways"] = ["nowhere"]
    keys = SigningKeys.load_or_create(CentreLayout(lab.centre.data).config_keys_dir)
    slip_in(lab, keys.sign_document(json.dumps(document), envelope.version))
    box = await refused(lab, envelope.version, 0)
    problems = (await lab.box.status())["config"]["problems"]
    assert problems == box["config_problems"]
    paths = {problem.partition(":")[0] for problem in problems}
    assert paths >= {"$.extensions[1].number", "$.gateways[0].uri", "$.emergency.gateways[0]"}
    table = await kyusai("sites", "--data", lab.centre.data, env=ENGLISH)
    assert all(path in table for path in paths)
    shown = " ".join((await kyusai("status", "--box", lab.box.toml, env=ENGLISH)).split())
    assert all(path in shown for path in paths)
    assert lab.box.layout.current.resolve() == running
    assert await metric(lab, "kyusai_config_version") == lab.version
    assert '"config_refused"' in lab.box.agent.log.read_text()
    await calls_go_on(lab)


def forged(envelope: Envelope) -> Envelope:
    return replace(envelope, signature=to_base64(b"\0" * 64))


def replayed(envelope: Envelope) -> Envelope:
    """Today's genuine document under a higher number."""
    return replace(envelope, version=envelope.version + 10)


async def test_documents_that_cannot_be_believed_are_refused_and_the_next_true_one_is_used(lab: Lab) -> None:
    running = (await lab.box.status())["config"]["version"]
    last = running
    for spoil in (forged, replayed):
        await lab.box.kill("agent")  # after such a document it asks the centre once a minute only
        await lab.box.start("agent")
        envelope = spoil(signed(lab, last + 5))
        last = envelope.version
        slip_in(lab, envelope)
        await refused(lab, last, 0)
        status = (await lab.box.status())["config"]
        assert (status["version"], status["refused_version"]) == (running, last)
        await calls_go_on(lab)
    await lab.box.kill("agent")
    await lab.publish()
    await lab.box.start("agent")

    async def used() -> bool:
        config = (await lab.box.status())["config"]
        return config["version"] > last and not config["problems"]

    await wait_until(used, "the true document is in use, and nothing is wrong any more")
    await calls_go_on(lab)
