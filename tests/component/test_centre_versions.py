"""Versions and keys at a real centre. A failure is a box that no longer believes the centre, or a way back that is none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config_check import ConfigRefused, Trust, examine
from agent.key_chain import document_keys, extended
from cloudsync import wire
from cloudsync.refusals import NotFound
from cloudsync.service import configuration, versions
from cloudsync.service.centre import Centre
from cloudsync.service.enrolment import enrolment_of
from tests.helpers.centre_box import ROOT, Box, CentreProcess, opened, prepare_site

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
SITE, TENANT = DOCUMENT["site"]["id"], DOCUMENT["site"]["tenant"]
WHO = "admin:test"


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    with opened(tmp_path / "data") as store:
        prepare_site(store, SITE, TENANT)
        yield store


def named(name: str, **changes: Any) -> bytes:
    return json.dumps(DOCUMENT | {"site": DOCUMENT["site"] | {"name": name}} | changes).encode()


def without_recipients(name: str) -> bytes:
    return named(name, recording={})


def newest(centre: Centre) -> wire.Envelope:
    envelope = configuration.newest(centre, SITE, 0)
    assert envelope is not None
    return envelope


def test_box_away_during_two_rotations_takes_the_next_document(centre: Centre) -> None:
    enrolled = enrolment_of(centre, SITE, "tokyo-1-a").config_keys
    for _ in range(2):
        versions.rotate_signing_key(centre, WHO)
    configuration.publish(centre, named("After"), WHO)
    envelope = newest(centre)
    with pytest.raises(ConfigRefused, match="does not trust"):
        examine(envelope, Trust(SITE, enrolled), 0)
    learnt = extended(enrolled, enrolment_of(centre, SITE, "tokyo-1-a").key_links)
    assert [key.key_id for key in learnt] == [key.key_id for key in centre.keys.public()]
    assert examine(envelope, Trust(SITE, document_keys(learnt)), 0).name == "After"


def test_document_signed_before_two_rotations_is_handed_out_under_the_newest_key(centre: Centre) -> None:
    configuration.publish(centre, named("Before"), WHO)
    old = newest(centre)
    for _ in range(2):
        versions.rotate_signing_key(centre, WHO)
    again = newest(centre)
    assert (again.document, again.version) == (old.document, old.version)
    assert again.key_id == centre.keys.newest_id != old.key_id
    new_box = document_keys(enrolment_of(centre, SITE, "tokyo-1-b").config_keys)
    assert examine(again, Trust(SITE, new_box), 0).name == "Before"


def test_running_centre_uses_a_key_that_a_command_made(tmp_path: Path) -> None:
    process = CentreProcess(tmp_path / "data")
    try:
        with process.store() as store:
            text = prepare_site(store, SITE, TENANT)
            configuration.publish(store, named("A"), WHO)
        box = Box.enrolled(process.start().url, text, f"{SITE}-a")
        with process.store() as store:
            link = versions.rotate_signing_key(store, WHO)
        told = wire.enrolment_from(box.http.get(wire.PATH_ENROLMENT).json())
        assert told.key_links == (link,)
        assert told.config_keys[-1].key_id == link.key_id
        assert box.http.get(wire.PATH_CONFIG).json()["key_id"] == link.key_id
        assert box.http.post(wire.PATH_HEARTBEAT, json={}).json()["key_id"] == link.key_id
    finally:
        process.stop()


def test_going_back_is_a_new_version_with_the_old_content(centre: Centre) -> None:
    for name in ("One", "Two", "Three"):
        configuration.publish(centre, named(name), WHO)
    assert versions.revert(centre, SITE, 1, WHO).version == 4
    assert json.loads(newest(centre).document)["site"]["name"] == "One"
    assert versions.compare(centre, SITE, 1, 4).found == []
    assert [version for version, _ in versions.history(centre, SITE, 2)] == [4, 3]
    with pytest.raises(NotFound, match="no version 9"):
        versions.revert(centre, SITE, 9, WHO)
    assert newest(centre).version == 4


def test_what_the_last_publish_changed_is_shown_without_being_asked_for_versions(centre: Centre) -> None:
    configuration.publish(centre, named("One"), WHO)
    configuration.publish(centre, named("Two"), WHO)
    compared = versions.compare(centre, SITE, 0, 0)
    assert (compared.before, compared.after) == (1, 2)
    assert [one.path for one in compared.found] == ["site.name"]


def test_rotated_recording_key_reaches_every_site_of_the_tenant_and_stays_when_one_goes_back(
    centre: Centre,
) -> None:
    prepare_site(centre, "own-1", "other")
    configuration.publish(centre, without_recipients("One"), WHO)
    (old,) = json.loads(newest(centre).document)["recording"]["recipients"]
    new, renewed = versions.rotate_recipient(centre, TENANT, "", WHO)
    assert (renewed, newest(centre).version) == ([SITE], 2)
    assert json.loads(newest(centre).document)["recording"]["recipients"] == [new] != [old]
    versions.revert(centre, SITE, 1, WHO)
    assert json.loads(newest(centre).document)["recording"]["recipients"] == [new], "not to a retired key"
    identities = list(centre.layout.tenant_keys_dir(TENANT).glob("*.txt"))
    assert len(identities) == 2, "old recordings open with the old key"
