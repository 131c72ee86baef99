"""Site documents against a real centre. A failure means a site that misses a change, or runs a wrong document."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.errors import KyusaiError
from appliance.site import SiteInvalid
from cloudsync import wire
from cloudsync.refusals import NotFound
from cloudsync.service import configuration
from cloudsync.service.sites import list_sites, revoke_box
from cloudsync.signing import signature_fits
from tests.helpers.centre_box import ROOT, Box, CentreProcess, opened, prepare_site
from tests.helpers.centre_stores import DATABASES

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
SITE = DOCUMENT["site"]["id"]
TENANT = DOCUMENT["site"]["tenant"]
WAKE_LIMIT_S = 15.0
"""A poll wakes within 100 ms on an idle machine. Who is not woken hears of nothing at all, after 20 s."""

HELD = "kyusai_centre_config_polls_held "
HELD_WITHIN_S = 60.0


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path / "data", request.param)
    yield process
    process.stop()


@pytest.fixture
def box(centre: CentreProcess) -> Box:
    with centre.store() as store:
        text = prepare_site(store, SITE, TENANT)
    return Box.enrolled(centre.start().url, text, f"{SITE}-a")


def document(**site: Any) -> bytes:
    changed = json.loads(json.dumps(DOCUMENT))
    changed["site"] |= site
    return json.dumps(changed).encode()


def publish(centre: CentreProcess, **site: Any) -> wire.Envelope:
    with centre.store() as store:
        return configuration.publish(store, document(**site), "admin:test")[0]


def poll(box: Box, have: int, wait_s: float = 0) -> httpx.Response:
    return box.http.get(wire.PATH_CONFIG, params={"have": have, "wait_s": wait_s})


def until_held(box: Box) -> None:
    """Wait until the centre holds a poll."""
    end_s = time.monotonic() + HELD_WITHIN_S
    while not any(line.startswith(f"{HELD}1") for line in box.http.get("/metrics").text.splitlines()):
        assert time.monotonic() < end_s, "no poll is held"
        time.sleep(0.05)


def test_published_document_arrives_signed_and_numbered(centre: CentreProcess, box: Box) -> None:
    assert poll(box, 0).status_code == 204
    publish(centre)
    publish(centre, name="Second")
    envelope = wire.envelope_from(poll(box, 1).json())
    keys = wire.enrolment_from(box.http.get(wire.PATH_ENROLMENT).json()).config_keys
    assert (envelope.version, envelope.key_id) == (2, keys[0].key_id)
    signed = wire.envelope_signing_bytes(envelope.document)
    assert signature_fits(keys[0].public_key, envelope.signature, signed)
    assert json.loads(envelope.document)["version"] == 2
    assert json.loads(envelope.document)["site"]["name"] == "Second"
    assert poll(box, 2).status_code == 204


def test_held_poll_wakes_when_another_process_publishes(centre: CentreProcess, box: Box) -> None:
    woke: list[tuple[float, int]] = []

    def wait() -> None:
        answer = poll(box, 0, 20)
        woke.append((time.monotonic(), answer.status_code))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until_held(box)
    publish(centre)
    published_s = time.monotonic()
    waiting.join(60)
    assert woke[0][1] == 200
    assert woke[0][0] - published_s < WAKE_LIMIT_S


def test_centre_that_stops_answers_held_polls_and_waits_for_none(tmp_path: Path) -> None:
    centre = CentreProcess(tmp_path / "data")
    centre.start()
    with centre.store() as store:
        box = Box.enrolled(centre.url, prepare_site(store), "tokyo-1-a")
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(poll(box, 0, 50).status_code))
    waiting.start()
    until_held(box)
    idle = httpx.Client(verify=False)  # noqa: S501 - its own, on loopback
    idle.get(f"{centre.url}/healthz")  # and then reads nothing more, as a box between two heartbeats
    code = centre._end(signal.SIGTERM)
    waiting.join(60)
    assert (code, answers) == (0, [204])
    idle.close()
    assert "graceful shutdown exceeded" not in centre.log.read_text()


def test_publish_for_one_site_does_not_wake_another(centre: CentreProcess, box: Box) -> None:
    with centre.store() as store:
        other = Box.enrolled(centre.url, prepare_site(store, "quiet-1", TENANT), "quiet-1-a")
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(poll(other, 0, 1.5).status_code))
    waiting.start()
    publish(centre)
    waiting.join(60)
    assert answers == [204]


def test_box_revoked_while_it_polls_gets_nothing(centre: CentreProcess, box: Box) -> None:
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(poll(box, 0, 20).status_code))
    waiting.start()
    until_held(box)
    with centre.store() as store:
        revoke_box(store, box.box_id, "admin:test")
    publish(centre)
    waiting.join(60)
    assert answers == [403]


def test_faulty_document_shows_all_problems_and_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as store:
        prepare_site(store, SITE, TENANT)
        faulty = json.loads(document(domain=""))
        faulty["call_control"] = "moon"
        with pytest.raises(SiteInvalid) as caught:
            configuration.publish(store, json.dumps(faulty), "admin:test")
        assert {problem.path for problem in caught.value.problems} >= {"$.site.domain", "$.call_control"}
        assert configuration.newest(store, SITE, 0) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"{", "json.syntax"),
        (b"\xff", "json.encoding"),
        (b'{"site": {"id": "a", "id": "b"}}', "json.doubled"),
        (b"[" * 100_000, "json.deep"),
    ],
    ids=["syntax", "encoding", "doubled", "deep"],
)
def test_text_that_is_no_document_is_explained(tmp_path: Path, text: bytes, key: str) -> None:
    with opened(tmp_path / "data") as store, pytest.raises(SiteInvalid) as caught:
        configuration.publish(store, text, "admin:test")
    assert key in [problem.key for problem in caught.value.problems]


def test_document_for_an_unknown_site_or_other_tenant_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as store:
        with pytest.raises(NotFound):
            configuration.publish(store, document(), "admin:test")
        prepare_site(store, SITE, TENANT)
        with pytest.raises(KyusaiError) as caught:
            configuration.publish(store, document(tenant="other"), "admin:test")
    assert caught.value.key == "site.other_tenant"


def test_recipients_are_filled_in_only_where_the_document_names_none(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as store:
        prepare_site(store, SITE, TENANT)
        without = json.loads(document())
        without["recording"] = {}
        envelope, _ = configuration.publish(store, json.dumps(without), "admin:test")
        made = json.loads(envelope.document)["recording"]["recipients"]
        own = ["age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"]
        without["recording"] = {"recipients": own}
        envelope, _ = configuration.publish(store, json.dumps(without), "admin:test")
    assert len(made) == 1
    assert made != own
    assert json.loads(envelope.document)["recording"]["recipients"] == own


def test_version_stays_above_what_a_box_has_after_an_old_backup(centre: CentreProcess, box: Box) -> None:
    answer = box.http.post(
        wire.PATH_CONFIG_STATUS,
        json={"version": 41, "state": "rolled_back", "problems": [{"path": "$", "key": "x"}]},
    )
    assert answer.status_code == 204
    assert publish(centre).version == 42
    with centre.store() as store:
        view = next(site for site in list_sites(store) if site.id == SITE)
    assert [(b.config_version, b.config_state) for b in view.boxes] == [(41, "rolled_back")]
