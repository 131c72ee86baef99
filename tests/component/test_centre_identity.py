"""Whose box it is, over months and copies. A failure locks a good box out for ever, or leaves a stolen one in."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.cloud_client import REVOKED_PAUSE_S, CloudClient
from agent.cloud_errors import CloudRefused
from agent.cloud_transport import Answer, Transport, pinned
from agent.enrol import EnrolmentError, enrol
from agent.identity import load_or_make
from agent.key_rotation import next_key, rotate
from cloudsync import wire
from cloudsync.refusals import Refused
from cloudsync.service import access, box_keys, telemetry
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.enrolment import enrol as take_code
from cloudsync.service.enrolment import make_code
from cloudsync.service.sites import list_sites, revoke_box
from cloudsync.store import boxes
from cloudsync.tls import ServerTls
from tests.helpers.centre_box import CentreProcess, opened, prepare_site

BOX = BoxIdentity("tokyo-1", "tokyo-1-a")
KEY = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
JSON = {"content-type": "application/json"}


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    with opened(tmp_path / "data") as store:
        code = wire.parse_enrolment(prepare_site(store)).code
        public = wire.to_base64(KEY.public_key().public_bytes_raw())
        take_code(store, code, BOX.box_id, public, {}, "192.0.2.1")
        yield store


def later(centre: Centre, moved: timedelta) -> Centre:
    moment = centre.clock() + moved
    return replace(centre, clock=lambda: moment)


def beat(centre: Centre, lease: str, source: str, minutes: int) -> telemetry.HeartbeatAnswer:
    told = {"lease": lease, "boot_id": f"boot-{source}"}
    return telemetry.heartbeat(later(centre, timedelta(minutes=minutes)), BOX, told, source)


def token_for(now: Centre) -> str:
    nonce = access.make_challenge(now, BOX.box_id)
    signature = wire.to_base64(KEY.sign(wire.token_signing_bytes(BOX.box_id, nonce)))
    return access.issue_token(now, access.Proof(BOX.box_id, nonce, signature, "192.0.2.1"))


def test_box_away_for_half_a_year_gets_in_by_its_key_alone(centre: Centre) -> None:
    now = later(centre, timedelta(days=180))
    assert access.identify(now, token_for(now)) == BOX


def test_copy_of_a_disk_is_told_with_both_addresses_and_neither_is_refused(centre: Centre) -> None:
    first = beat(centre, "", "192.0.2.1", 0).lease
    assert first is not None
    original = beat(centre, first, "192.0.2.1", 2).lease
    assert original not in (None, first)
    copied = beat(centre, first, "198.51.100.9", 3)
    assert not copied.cloned, "it may be a box whose answer was lost"
    told = beat(centre, str(original), "192.0.2.1", 4)
    assert told.cloned and told.lease
    (site,) = list_sites(centre)
    assert site.boxes[0].cloned_utc is not None
    assert {place.split()[0] for place in site.boxes[0].seen_at} == {"192.0.2.1", "198.51.100.9"}
    code = wire.parse_enrolment(make_code(centre, "tokyo-1", 1, "admin:test")[0]).code
    new = wire.to_base64(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    take_code(centre, code, BOX.box_id, new, {}, "192.0.2.1")
    assert list_sites(centre)[0].boxes[0].cloned_utc is None, "a new key ends it"


def test_box_that_shows_no_lease_is_an_older_one(centre: Centre) -> None:
    assert telemetry.heartbeat(centre, BOX, {}, "192.0.2.1").lease is None


class Line:
    """Counts what is sent and answers as the centre would."""

    url = "https://192.0.2.1"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.revoked = True

    async def request(self, _method: str, path: str, **_: object) -> Answer:
        self.sent.append(path)
        if path == wire.PATH_TOKEN_CHALLENGE:
            return Answer(200, JSON, b'{"nonce": "n"}')
        if path == wire.PATH_TOKEN:
            return Answer(200, JSON, b'{"token": "t", "expires_in_s": 3600}')
        if self.revoked:
            raise CloudRefused(403, wire.ErrorKey.BOX_REVOKED, "box 'tokyo-1-a' was revoked")
        return Answer(200, JSON, json.dumps({"server_time_utc": "x"}).encode())


async def test_box_that_was_shut_out_sends_nothing_but_a_question_each_minute() -> None:
    line, now = Line(), [0.0]
    client = CloudClient(line, "tokyo-1-a", KEY.sign, monotonic_s=lambda: now[0])  # type: ignore[arg-type]
    for _ in range(20):
        with pytest.raises(CloudRefused, match="was revoked"):
            await client.heartbeat({})
    assert client.revoked
    assert line.sent.count(wire.PATH_HEARTBEAT) == 1
    with pytest.raises(CloudRefused):
        await client.send_records("tokyo-1", [])
    assert wire.PATH_RECORDS not in line.sent
    line.revoked, now[0] = False, REVOKED_PAUSE_S + 1
    await client.heartbeat({})
    assert not client.revoked, "it was let in again"


def test_box_whose_clock_is_years_ahead_believes_the_centres_certificate(tmp_path: Path) -> None:
    tls = ServerTls(tmp_path)
    tls.ensure(["127.0.0.1"], datetime.now(UTC) - timedelta(days=4000))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.server_pem)
    handshake(server, pinned(tls.ca_certificate()))
    strict = pinned(tls.ca_certificate())
    strict.verify_flags = ssl.VerifyFlags.VERIFY_DEFAULT
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(server, strict)
    other = ServerTls(tmp_path / "other")
    (tmp_path / "other").mkdir()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, pinned(other.ca_certificate()))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """A handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = [0, 1, 0, 1]
    for number in waiting:
        try:
            ends[number].do_handshake()
        except ssl.SSLWantReadError:
            continue


async def test_new_key_replaces_the_copied_one_and_comes_back_when_the_centre_says_no(tmp_path: Path) -> None:
    process = CentreProcess(tmp_path / "data")
    key, enrolment = tmp_path / "identity" / "key.pem", tmp_path / "identity" / "enrolment.json"
    try:
        with process.store() as store:
            first = prepare_site(store)
            second = make_code(store, "tokyo-1", 1, "admin:test")[0]
        url = process.start().url
        await enrol(first, url, "tokyo-1-a", {}, key=key, enrolment=enrolment)
        old = load_or_make(key)
        with pytest.raises(EnrolmentError):
            wrong = second.replace(second.split("-")[1], "0" * 16)
            await enrol(wrong, url, "tokyo-1-a", {}, key=key, enrolment=enrolment, new_key=True)
        assert load_or_make(key).public_key == old.public_key
        enrolled = await enrol(second, url, "tokyo-1-a", {}, key=key, enrolment=enrolment, new_key=True)
        assert load_or_make(key).public_key != old.public_key
        transport = Transport(url, pinned(enrolled.ca_pem))
        with pytest.raises(CloudRefused):
            await CloudClient(transport, "tokyo-1-a", old.sign).heartbeat({})
        await CloudClient(transport, "tokyo-1-a", load_or_make(key).sign).heartbeat({})
        with process.store() as store:
            revoke_box(store, "tokyo-1-a", "admin:test")
        client = CloudClient(transport, "tokyo-1-a", load_or_make(key).sign)
        with pytest.raises(CloudRefused):
            await client.heartbeat({})
        assert client.revoked
        await transport.close()
    finally:
        process.stop()


async def test_box_changes_its_key_and_is_never_locked_out_wherever_it_is_killed(tmp_path: Path) -> None:
    process = CentreProcess(tmp_path / "data")
    key, enrolment = tmp_path / "identity" / "key.pem", tmp_path / "identity" / "enrolment.json"
    try:
        with process.store() as store:
            text = prepare_site(store)
        url = process.start().url
        enrolled = await enrol(text, url, "tokyo-1-a", {}, key=key, enrolment=enrolment)
        old = load_or_make(key)
        transport = Transport(url, pinned(enrolled.ca_pem))

        def client() -> CloudClient:
            return CloudClient(transport, "tokyo-1-a", lambda message: load_or_make(key).sign(message))

        with process.store() as store:
            box_keys.ask_for_new(store, "tokyo-1-a", "admin:test")
        assert (await client().heartbeat({}))["rotate_key"]
        desk = client()
        offered = desk.offer_key

        async def killed(public_key: str, signature: str) -> None:
            await offered(public_key, signature)
            raise KeyboardInterrupt

        desk.offer_key = killed  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            await rotate(desk, "tokyo-1-a", key)
        assert load_or_make(key).public_key == old.public_key
        assert (await client().heartbeat({}))["rotate_key"], (
            "the old key still opens, and is still to be changed"
        )
        again = client()
        new = await rotate(again, "tokyo-1-a", key)
        assert (load_or_make(key).public_key, new.public_key != old.public_key) == (new.public_key, True)
        assert not next_key(key).exists()
        assert not (await again.heartbeat({}))["rotate_key"]
        with pytest.raises(CloudRefused):
            await CloudClient(transport, "tokyo-1-a", old.sign).heartbeat({})
        await transport.close()
    finally:
        process.stop()


def test_a_key_that_does_not_sign_for_itself_is_not_taken(centre: Centre) -> None:
    stranger = Ed25519PrivateKey.generate()
    public = wire.to_base64(stranger.public_key().public_bytes_raw())
    forged = wire.to_base64(KEY.sign(wire.box_key_signing_bytes(BOX.box_id, public)))
    with pytest.raises(Refused, match="does not sign for itself"):
        box_keys.offer(centre, BOX, public, forged)


def test_a_key_is_asked_for_after_a_year(centre: Centre) -> None:
    assert not telemetry.heartbeat(later(centre, timedelta(days=364)), BOX, {}, "192.0.2.1").rotate_key
    assert telemetry.heartbeat(later(centre, timedelta(days=366)), BOX, {}, "192.0.2.1").rotate_key


def test_heartbeats_taken_together_are_each_answered_for_their_own_box(centre: Centre) -> None:
    token = token_for(centre)
    beats = [
        (token, telemetry.Beat('{"n": 1}', {"n": 1, "lease": ""}, "192.0.2.1")),
        ("no token", telemetry.Beat("{}", {}, "192.0.2.2")),
        (token, telemetry.Beat('{"n": 2}', {"n": 2, "lease": "a\x00b"}, "192.0.2.1")),
    ]
    first, stranger, second = telemetry.heartbeats(centre, beats)
    assert isinstance(first, telemetry.HeartbeatAnswer)
    assert isinstance(second, telemetry.HeartbeatAnswer)
    assert isinstance(stranger, Refused)
    assert stranger.key == wire.ErrorKey.TOKEN_INVALID
    assert (first.cloned, second.cloned) == (False, True), "what is no lease is nobody's"
    with centre.database.read() as connection:
        box = boxes.find(connection, BOX.box_id)
    assert box is not None
    assert (box.telemetry, box.lease_before) == ('{"n": 2}', "?")


def test_challenges_taken_together_open_once_each_and_only_for_their_own_box(centre: Centre) -> None:
    mine, strangers, odd = access.make_challenges(centre, [BOX.box_id, "nobody-1", "a\x00b"])

    def proof(box_id: str, nonce: str) -> access.Proof:
        signature = wire.to_base64(KEY.sign(wire.token_signing_bytes(box_id, nonce)))
        return access.Proof(box_id, nonce, signature, "192.0.2.1")

    asked = [(BOX.box_id, strangers), (BOX.box_id, mine), (BOX.box_id, mine), ("a\x00b", odd)]
    given = access.issue_tokens(centre, [proof(*one) for one in asked])
    assert [isinstance(one, str) for one in given] == [False, True, False, False]
    assert access.identify(centre, str(given[1])) == BOX
