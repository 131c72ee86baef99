"""Enrolment and access against a real centre over TLS. A failure means that a stranger gets in, or a box does not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloudsync import wire
from cloudsync.service.enrolment import make_code
from cloudsync.service.sites import list_sites, revoke_box
from cloudsync.store import access, audit
from tests.helpers.centre_box import Box, CentreProcess, chain, fetch_ca, prepare_site
from tests.helpers.centre_stores import DATABASES


@pytest.fixture(scope="module", params=DATABASES)
def centre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path_factory.mktemp("centre") / "data", request.param)
    with process.store() as opened:
        for site in ("tokyo-1", "osaka-1"):
            prepare_site(opened, site)
    yield process.start()
    process.stop()


def code_for(centre: CentreProcess, site: str, hours: float = 1.0) -> str:
    with centre.store() as opened:
        return make_code(opened, site, hours, "admin:test")[0]


def test_new_box_enrols_with_its_code_and_gets_what_it_needs(centre: CentreProcess) -> None:
    box = Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-a")
    answer = wire.enrolment_from(box.http.get(wire.PATH_ENROLMENT).json())
    assert (answer.site_id, answer.box_id, answer.next_seq) == ("tokyo-1", "tokyo-1-a", 1)
    assert [wire.key_id(wire.from_base64(k.public_key)) for k in answer.config_keys] == [
        k.key_id for k in answer.config_keys
    ]
    assert all(r.startswith("age1") for r in answer.recording_recipients)


def test_used_code_is_refused_counted_and_logged(centre: CentreProcess) -> None:
    text = code_for(centre, "tokyo-1")
    box = Box.enrolled(centre.url, text, "tokyo-1-b")
    thief = Box(centre.url, "tokyo-1-x", fetch_ca(centre.url))
    for again in (thief, box):
        answer = again.enrol(wire.parse_enrolment(text).code)
        assert (answer.status_code, answer.json()["key"]) == (403, wire.ErrorKey.CODE_USED)
    metrics = box.http.get("/metrics").text
    assert 'kyusai_centre_refusals_total{key="enrol.code_used"} 2.0' in metrics
    assert '"key": "enrol.code_used"' in centre.log.read_text()


def test_unknown_and_expired_codes_are_refused(centre: CentreProcess) -> None:
    pem = fetch_ca(centre.url)
    box = Box(centre.url, "tokyo-1-y", pem)
    unknown = box.enrol("0" * 16)
    assert (unknown.status_code, unknown.json()["key"]) == (403, wire.ErrorKey.CODE_UNKNOWN)
    text = code_for(centre, "tokyo-1", hours=1e-9)
    expired = box.enrol(wire.parse_enrolment(text).code)
    assert (expired.status_code, expired.json()["key"]) == (403, wire.ErrorKey.CODE_EXPIRED)


def test_box_id_of_another_site_is_not_taken_over(centre: CentreProcess) -> None:
    Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-c")
    thief = Box(centre.url, "tokyo-1-c", fetch_ca(centre.url))
    text = code_for(centre, "osaka-1")
    assert thief.enrol(wire.parse_enrolment(text).code).json()["key"] == "enrol.box_elsewhere"
    Box.enrolled(centre.url, text, "osaka-1-a")  # the code was not used up


def test_replaced_box_continues_the_sites_sequence_and_locks_the_old_one_out(centre: CentreProcess) -> None:
    old = Box.enrolled(centre.url, code_for(centre, "osaka-1"), "osaka-1-r")
    records = chain(3)
    old.send(records)
    new = Box.enrolled(centre.url, code_for(centre, "osaka-1"), "osaka-1-r")
    answer = wire.enrolment_from(new.http.get(wire.PATH_ENROLMENT).json())
    assert (answer.next_seq, answer.last_hash) == (4, records[-1].hash)
    assert new.send(chain(1, begin=4, prev_hash=answer.last_hash)) == [wire.RecordResult("r-4", "stored")]
    assert old.http.get(wire.PATH_ENROLMENT).status_code == 401
    assert old.ask_token().status_code == 401


def test_token_needs_the_right_key_a_fresh_nonce_and_the_own_box(centre: CentreProcess) -> None:
    box = Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-d")
    other = Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-e")
    assert box.ask_token(Ed25519PrivateKey.generate()).json()["key"] == wire.ErrorKey.TOKEN_REFUSED
    nonce = box.http.post(wire.PATH_TOKEN_CHALLENGE, json={"box_id": box.box_id}).json()["nonce"]
    assert other.ask_token(nonce=nonce).status_code == 401
    assert box.ask_token(nonce=nonce).status_code == 200
    assert box.ask_token(nonce=nonce).status_code == 401
    assert box.http.post(wire.PATH_TOKEN_CHALLENGE, json={"box_id": "nobody"}).status_code == 200


def test_expired_token_is_refused_and_the_key_opens_the_door_again(centre: CentreProcess) -> None:
    box = Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-f")
    with centre.store() as opened, opened.database.write() as connection:
        later = wire.format_utc(opened.clock() + timedelta(days=180))
        access.drop_expired(connection, later)
    answer = box.http.get(wire.PATH_ENROLMENT)
    assert (answer.status_code, answer.json()["key"]) == (401, wire.ErrorKey.TOKEN_INVALID)
    box.get_token()
    assert box.http.get(wire.PATH_ENROLMENT).status_code == 200


def test_revoked_box_is_out_with_its_next_request(centre: CentreProcess) -> None:
    box = Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-g")
    assert box.http.post(wire.PATH_HEARTBEAT, json={"sent_utc": "x"}).json()["revoked"] is False
    with centre.store() as opened:
        revoke_box(opened, "tokyo-1-g", "admin:test")
    for answer in (box.http.post(wire.PATH_HEARTBEAT, json={}), box.ask_token()):
        assert (answer.status_code, answer.json()["key"]) == (403, wire.ErrorKey.BOX_REVOKED)
    with centre.store() as opened:
        states = {box.id: box.state for site in list_sites(opened) for box in site.boxes}
        with opened.database.read() as connection:
            actions = {(row["action"], row["subject"]) for row in audit.newest(connection, 100)}
    assert states["tokyo-1-g"] == "revoked"
    assert {("box.enrol", "tokyo-1-g"), ("box.revoke", "tokyo-1-g")} <= actions
    Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-g")  # a new code brings it back


def test_another_sites_credential_cannot_speak_for_a_site(centre: CentreProcess) -> None:
    box = Box.enrolled(centre.url, code_for(centre, "tokyo-1"), "tokyo-1-h")
    answer = box.post_batch(wire.encode_batch("osaka-1", box.box_id, chain(1)))
    assert (answer.status_code, answer.json()["key"]) == (403, wire.ErrorKey.OTHER_SITE)


def test_guessing_codes_ends_in_waiting(tmp_path: Path) -> None:
    centre = CentreProcess(tmp_path / "data")
    with centre.store() as opened:
        text = prepare_site(opened)
    centre.start()
    try:
        box = Box(centre.url, "tokyo-1-a", fetch_ca(centre.url))
        statuses = [box.enrol(f"{number:016d}").status_code for number in range(12)]
        assert statuses == [403] * 10 + [429] * 2
        assert int(box.enrol(wire.parse_enrolment(text).code).headers["Retry-After"]) > 500
    finally:
        centre.stop()


def test_secrets_are_not_in_the_store_or_the_log(centre: CentreProcess) -> None:
    text = code_for(centre, "tokyo-1")
    box = Box.enrolled(centre.url, text, "tokyo-1-s")
    token = box.http.headers["Authorization"].removeprefix("Bearer ")
    for path in (centre.log, *centre.data_dir.glob("centre.sqlite*")):
        content = path.read_bytes()
        assert wire.parse_enrolment(text).code.encode() not in content
        assert token.encode() not in content


def test_private_files_are_private(centre: CentreProcess) -> None:
    for path in centre.data_dir.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.suffix in ("", ".sqlite-wal", ".sqlite-shm"), path
    assert centre.data_dir.stat().st_mode & 0o077 == 0
