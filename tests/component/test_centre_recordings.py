"""Recordings against a real centre. A failure means audio that is lost, cut short, mixed up, or deleted too early."""

import hashlib
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from cloudsync import wire
from cloudsync.signing import signature_fits
from cloudsync.store import recordings as store
from tests.helpers.centre_box import ADDRESS, Box, CentreProcess, prepare_site, random_bytes
from tests.helpers.centre_stores import STORES


@pytest.fixture(scope="module", params=STORES)
def centre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path_factory.mktemp("centre") / "data", request.param)
    yield process.start()
    process.stop()


@pytest.fixture(scope="module")
def box(centre: CentreProcess) -> Box:
    with centre.store() as opened:
        text = prepare_site(opened)
    return Box.enrolled(centre.url, text)


def stored_bytes(centre: CentreProcess, recording_id: str) -> bytes:
    with centre.store() as opened:
        with opened.database.read() as connection:
            known = store.find(connection, "tokyo-1", recording_id)
        assert known is not None
        with opened.blobs.open_whole("tokyo-1", recording_id, known.cipher_sha256) as file:
            return file.read()


def test_pieces_become_the_whole_with_a_signed_receipt(centre: CentreProcess, box: Box) -> None:
    cipher = random_bytes(1_000_001, 1)
    assert box.offer("rec-1", cipher).status_code == 201
    for start in range(0, len(cipher), 300_000):
        answer = box.patch("rec-1", start, cipher[start : start + 300_000])
        assert answer.status_code == 204, answer.text
        assert int(answer.headers["Upload-Offset"]) == min(start + 300_000, len(cipher))
    said = box.recording("rec-1")
    assert (said["state"], said["offset"]) == ("stored", len(cipher))
    receipt = wire.receipt_from(said["receipt"])
    assert receipt.cipher_sha256 == hashlib.sha256(cipher).hexdigest()
    assert receipt.sha256 == hashlib.sha256(b"plain rec-1").hexdigest()
    keys = {k.key_id: k for k in wire.enrolment_from(box.http.get(wire.PATH_ENROLMENT).json()).config_keys}
    signed = wire.receipt_signing_bytes(said["receipt"])
    assert signature_fits(keys[receipt.key_id].public_key, receipt.signature, signed)
    assert stored_bytes(centre, "rec-1") == cipher


def test_wrong_offset_gets_the_right_one(box: Box) -> None:
    cipher = random_bytes(1000, 2)
    box.offer("rec-2", cipher)
    box.patch("rec-2", 0, cipher[:400])
    for wrong in (0, 300, 500):
        answer = box.patch("rec-2", wrong, b"x")
        assert (answer.status_code, answer.json()["key"]) == (409, wire.ErrorKey.OFFSET_WRONG)
        assert answer.headers["Upload-Offset"] == "400"
    assert box.offset("rec-2") == 400
    told = box.offer("rec-2", cipher).json()
    assert told["offset"] == 400
    assert told["pieces"] in ([], [[0, 400]]), "a bucket holds a piece, a folder the beginning of a file"
    assert box.offer("rec-2", cipher).status_code == 200
    assert box.patch("rec-2", 400, cipher[400:]).status_code == 204
    answer = box.patch("rec-2", 1000, b"more")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "1000")


def test_no_receipt_before_all_is_there(box: Box) -> None:
    cipher = random_bytes(1000, 3)
    box.offer("rec-3", cipher)
    box.patch("rec-3", 0, cipher[:999])
    assert box.recording("rec-3") == {"id": "rec-3", "state": "receiving", "offset": 999, "receipt": None}


def test_wrong_bytes_are_refused_and_can_be_sent_again(centre: CentreProcess, box: Box) -> None:
    cipher = random_bytes(1000, 4)
    box.offer("rec-4", cipher)
    answer = box.patch("rec-4", 0, b"x" * 1000)
    assert (answer.status_code, answer.json()["key"]) == (422, wire.ErrorKey.RECORDING_CORRUPT)
    assert box.offset("rec-4") == 0
    assert box.patch("rec-4", 0, cipher).status_code == 204
    assert stored_bytes(centre, "rec-4") == cipher


def test_more_bytes_than_offered_are_refused(box: Box) -> None:
    box.offer("rec-5", b"12345")
    answer = box.patch("rec-5", 0, b"123456")
    assert (answer.status_code, answer.json()["key"]) == (400, "recording.too_long")


def test_audio_encrypted_anew_starts_over_and_stored_audio_stays(centre: CentreProcess, box: Box) -> None:
    first, second = random_bytes(1000, 6), random_bytes(1100, 7)
    box.offer("rec-6", first)
    box.patch("rec-6", 0, first[:500])
    answer = box.offer("rec-6", second)
    assert (answer.status_code, answer.json()) == (201, {"offset": 0, "pieces": []})
    box.patch("rec-6", 0, second)
    assert box.offer("rec-6", first).json() == {"offset": 1100, "pieces": []}
    answer = box.offer("rec-6", first, sha256="0" * 64)
    assert (answer.status_code, answer.json()["key"]) == (409, wire.ErrorKey.RECORDING_CONFLICT)
    assert stored_bytes(centre, "rec-6") == second


def test_pieces_in_any_order_become_the_whole_with_a_receipt(centre: CentreProcess, box: Box) -> None:
    cipher = random_bytes(100_001, 31)
    box.offer("rec-p1", cipher)
    for begin in (60_000, 0, 40_000):
        assert box.put("rec-p1", begin, cipher[begin : begin + 20_000], cipher).status_code == 204
    answer = box.offer("rec-p1", cipher)
    assert (answer.status_code, answer.json()["pieces"]) == (200, [[0, 20_000], [40_000, 80_000]])
    assert box.recording("rec-p1")["state"] == "receiving"
    assert box.put("rec-p1", 20_000, cipher[20_000:40_000], cipher).headers["Upload-Complete"] == "?0"
    assert box.put("rec-p1", 80_000, cipher[80_000:], cipher).status_code == 204
    said = box.recording("rec-p1")
    assert said["state"] == "stored"
    assert wire.receipt_from(said["receipt"]).cipher_sha256 == hashlib.sha256(cipher).hexdigest()
    assert stored_bytes(centre, "rec-p1") == cipher
    late = box.put("rec-p1", 0, cipher[:20_000], cipher)
    assert (late.status_code, late.headers["Upload-Complete"]) == (204, "?1")


def test_piece_that_does_not_fit_is_refused_and_counts_nothing(box: Box) -> None:
    cipher = random_bytes(50_000, 32)
    other = random_bytes(50_000, 33)
    assert box.put("rec-p2", 0, cipher[:20_000], cipher).status_code == 404
    box.offer("rec-p2", cipher)
    refused = {
        "damaged": box.put("rec-p2", 0, cipher[:20_000], cipher, Content_Digest=wire.piece_digest(b"x")),
        "another encryption": box.put("rec-p2", 0, other[:20_000], other),
        "too long": box.put("rec-p2", 40_000, bytes(10_001), cipher),
        "a crumb": box.put("rec-p2", 0, cipher[:100], cipher),
        "nothing": box.put("rec-p2", 0, b"", cipher),
        "too large": box.put("rec-p2", 0, bytes(wire.PIECE_BYTES_MAX + 1), cipher),
    }
    assert {what: (answer.status_code, answer.json()["key"]) for what, answer in refused.items()} == {
        "damaged": (409, wire.ErrorKey.PIECE_DAMAGED),
        "another encryption": (412, wire.ErrorKey.OTHER_UPLOAD),
        "too long": (400, "recording.too_long"),
        "a crumb": (400, "recording.piece_short"),
        "nothing": (400, "recording.piece_short"),
        "too large": (413, wire.ErrorKey.TOO_LARGE),
    }
    assert box.offer("rec-p2", cipher).json() == {"offset": 0, "pieces": []}


def test_pieces_with_another_hash_than_was_offered_are_thrown_away_as_a_whole(box: Box) -> None:
    cipher = random_bytes(50_000, 34)
    box.offer("rec-p3", cipher)
    box.put("rec-p3", 0, cipher[:25_000], cipher)
    box.put("rec-p3", 25_000, bytes(25_000), cipher)
    answer = box.http.get(f"{wire.PATH_RECORDINGS}/rec-p3")
    assert (answer.status_code, answer.json()["key"]) == (422, wire.ErrorKey.RECORDING_CORRUPT)
    assert box.offer("rec-p3", cipher).json() == {"offset": 0, "pieces": []}


def test_other_site_sees_nothing(centre: CentreProcess, box: Box) -> None:
    with centre.store() as opened:
        other = Box.enrolled(centre.url, prepare_site(opened, "osaka-1"), "osaka-1-a")
    box.offer("rec-7", b"12345")
    assert other.http.get(f"{wire.PATH_RECORDINGS}/rec-7").json()["key"] == wire.ErrorKey.RECORDING_UNKNOWN
    assert other.patch("rec-7", 0, b"12345").status_code == 404
    assert other.offer("rec-7", b"67890").status_code == 201


@pytest.mark.parametrize("recording_id", ["../x", ".hidden", "a/b", "", "x" * 200, "a\0b"], ids=repr)
def test_id_that_is_no_file_name_is_refused(box: Box, recording_id: str) -> None:
    assert box.offer(recording_id, b"12345").status_code == 422


def test_broken_connection_keeps_what_arrived(centre: CentreProcess, box: Box) -> None:
    cipher = random_bytes(3_000_000, 8)
    box.offer("rec-8", cipher)
    head = (
        f"PATCH {wire.PATH_RECORDINGS}/rec-8 HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(cipher)}\r\n"
        f"Authorization: {box.http.headers['Authorization']}\r\n\r\n"
    )
    raw = socket.create_connection((ADDRESS, centre.port), 10)
    with box._context.wrap_socket(raw, server_hostname=ADDRESS) as connection:
        connection.sendall(head.encode() + cipher[:2_000_000])
        time.sleep(0.5)  # so that it is this connection that comes first
        if centre.database == "sqlite":  # of an object store any connection may write the next piece
            busy = _busy(box)
            assert busy.status_code == 423, busy.text
    offset = _settled_offset(box)
    assert 0 < offset <= 2_000_000
    assert box.patch("rec-8", offset, cipher[offset:]).status_code == 204
    assert stored_bytes(centre, "rec-8") == cipher


def _busy(box: Box):  # type: ignore[no-untyped-def]
    """Ask until the first connection holds the upload."""
    for _ in range(200):
        answer = box.patch("rec-8", 0, b"")
        if answer.status_code == 423:
            return answer
        time.sleep(0.02)
    raise AssertionError("two connections wrote to one upload")


def _settled_offset(box: Box) -> int:
    """The offset once the centre has noticed the broken connection."""
    for _ in range(200):
        offset = box.offset("rec-8")
        if offset and box.patch("rec-8", offset, b"").status_code == 204:
            return box.offset("rec-8")
    raise AssertionError("the upload stays locked")


def test_plain_text_http_gets_nothing(centre: CentreProcess) -> None:
    with socket.create_connection((ADDRESS, centre.port), 5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.settimeout(5)
        assert b"200" not in connection.recv(100)


def test_old_tls_is_refused(centre: CentreProcess) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options &= ~ssl.OP_NO_TLSv1_1
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError), socket.create_connection((ADDRESS, centre.port), 5) as raw:
        context.wrap_socket(raw)
