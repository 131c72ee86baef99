"""The requests and answers as literal JSON, against the application. What a box of today sends must work for years."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloudsync import wire
from cloudsync.http.api import create_app
from cloudsync.service.enrolment import make_code
from cloudsync.service.sites import add_site
from tests.helpers.centre_box import opened

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
OFFER = """{"id": "rec-1", "call": "c1#0a1b2c3d", "bytes": 5, "duration_s": 2, "format": "opus",
  "started_utc": "2026-11-21T00:00:00.000Z",
  "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "cipher_sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"""
RECORD = """{"seq": 2, "id": "tokyo-1.0002", "kind": "event", "priority": 0, "boot_id": "", "body": {},
  "created_utc": "2026-11-21T00:00:01.000Z",
  "prev_hash": "3c34605f92abe0fea3295e61f0774f983823e69f3ce8d0ca8fa2d213710f0550",
  "hash": "1ad99a206f6cbf314ad377edd68b65184e2807722b54594097ca2179b28a2b53"}"""


class Api:
    """POST and friends with literal bodies."""

    def __init__(self, client: httpx.AsyncClient, code: str) -> None:
        self.client = client
        self.code = code

    async def post(self, path: str, body: str) -> httpx.Response:
        return await self.client.post(path, content=body, headers={"Content-Type": "application/json"})


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    with opened(tmp_path / "data") as centre:
        add_site(centre, "tokyo-1", "Tokyo", "acme", (), "admin:test")
        code = wire.parse_enrolment(make_code(centre, "tokyo-1", 1, "admin:test")[0]).code
        transport = httpx.ASGITransport(create_app(centre, []), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
            yield Api(client, code)


@pytest.fixture
async def box(api: Api) -> Api:
    answer = await api.post(
        "/v1/enrol",
        f'{{"code": "{api.code}", "box_id": "tokyo-1-a", "public_key": "{PUBLIC_KEY}", "versions": {{"kyusai": "0.1"}}}}',
    )
    assert set(answer.json()) >= {
        "site_id",
        "box_id",
        "config_keys",
        "recording_recipients",
        "server_time_utc",
    }
    assert set(answer.json()["config_keys"][0]) == {"key_id", "public_key"}
    nonce = (await api.post("/v1/token/challenge", '{"box_id": "tokyo-1-a"}')).json()["nonce"]
    signature = wire.to_base64(KEY.sign(b"kyusai-token-v1\0tokyo-1-a\0" + nonce.encode()))
    answer = await api.post(
        "/v1/token", f'{{"box_id": "tokyo-1-a", "nonce": "{nonce}", "signature": "{signature}"}}'
    )
    assert set(answer.json()) == {"token", "expires_in_s"}
    api.client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return api


async def test_records_in_every_coding_with_one_word_for_all(box: Api) -> None:
    batch = f'{{"site_id": "tokyo-1", "box_id": "tokyo-1-a", "records": [{RECORD}]}}'.encode()
    coded = {"zstd": zstandard.compress(batch), "gzip": gzip.compress(batch)}
    words = []
    for coding, body in coded.items():
        headers = {"Content-Encoding": coding, "Prefer": "return=minimal"}
        answer = await box.client.post("/v1/records", content=body, headers=headers)
        assert answer.headers["accept-encoding"] == "zstd, gzip"
        words.append(answer.json())
    ids = "78b2ca9a0fe27201a6fcc66b883b83d1158c7567a75d298c1f73eaa88a9471b5"
    assert words == [{"status": word, "count": 1, "ids_sha256": ids} for word in ("stored", "duplicate")]
    odd = await box.client.post("/v1/records", content=batch, headers={"Content-Encoding": "br"})
    assert (odd.status_code, odd.headers["accept-encoding"]) == (415, "zstd, gzip")


async def test_records_as_literal_json(box: Api) -> None:
    batch = f'{{"site_id": "tokyo-1", "box_id": "tokyo-1-a", "records": [{RECORD}, {{"id": "odd"}}]}}'
    for word in ("stored", "duplicate"):
        answer = await box.post("/v1/records", batch)
        assert answer.json() == {
            "results": [
                {"id": "tokyo-1.0002", "status": word, "reason": ""},
                {"id": "odd", "status": "refused", "reason": "malformed"},
            ]
        }


async def test_recording_as_literal_json(box: Api) -> None:
    answer = await box.post("/v1/recordings", OFFER)
    assert (answer.status_code, answer.json()) == (201, {"offset": 0, "pieces": []})
    for offset, piece in ((0, b"he"), (2, b"llo")):
        answer = await box.client.patch(
            "/v1/recordings/rec-1",
            content=piece,
            headers={"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"},
        )
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(offset + len(piece)))
    head = await box.client.head("/v1/recordings/rec-1")
    assert (head.status_code, head.headers["Upload-Offset"], head.headers["Upload-Complete"]) == (
        204,
        "5",
        "?1",
    )
    state = (await box.client.get("/v1/recordings/rec-1")).json()
    assert (state["state"], state["offset"]) == ("stored", 5)
    assert set(state["receipt"]) == {
        "site_id",
        "id",
        "sha256",
        "cipher_sha256",
        "bytes",
        "stored_utc",
        "key_id",
        "signature",
    }


async def test_heartbeat_status_and_empty_poll_as_literal_json(box: Api) -> None:
    answer = await box.post(
        "/v1/heartbeat", '{"sent_utc": "2026-11-21T00:00:00.000Z", "calls": {"active": 1}}'
    )
    assert answer.json() | {"server_time_utc": "", "key_id": ""} == {
        "server_time_utc": "",
        "key_id": "",
        "lease": None,
        "cloned": False,
        "rotate_key": False,
        "revoked": False,
        "config_version": 0,
    }
    wire.parse_utc(answer.json()["server_time_utc"])
    answer = await box.post(
        "/v1/config/status", '{"version": 1, "state": "refused", "problems": [{"path": "$"}]}'
    )
    assert (answer.status_code, answer.content) == (204, b"")
    answer = await box.client.get("/v1/config?have=0&wait_s=0")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/enrol", '{"code": 5, "box_id": "a", "public_key": "x"}', 422),
        ("/v1/enrol", '{"code": "ABC", "box_id": "../a", "public_key": "x"}', 400),
        ("/v1/enrol", '{"code": "ABC", "box_id": "a", "public_key": "AAAA"}', 400),
        ("/v1/config/status", '{"version": 1, "state": "fine"}', 422),
        ("/v1/config/status", '{"version": "1", "state": "applied"}', 422),
        ("/v1/config/status", '["version", 1]', 422),
        ("/v1/config/status", '{"version": NaN, "state": "applied"}', 400),
        ("/v1/recordings", OFFER.replace('"bytes": 5', '"bytes": 0'), 422),
        ("/v1/recordings", OFFER.replace('"bytes": 5', '"bytes": 1e15'), 422),
        ("/v1/recordings", OFFER.replace("rec-1", "../rec"), 422),
        ("/v1/records", '{"records": []}', 400),
    ],
)
async def test_wrong_request_gets_the_error_shape(box: Api, path: str, body: str, status: int) -> None:
    answer = await box.post(path, body)
    assert answer.status_code == status
    assert set(answer.json()) == {"key", "message", "hint", "problems"}
    assert json.dumps(answer.json()).isascii()


@pytest.mark.parametrize("path", ["/v1/config", "/v1/enrolment", "/v1/recordings/x"])
@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}], ids=str
)
async def test_nothing_without_a_token(api: Api, path: str, header: dict[str, str]) -> None:
    answer = await api.client.get(path, headers=header)
    assert (answer.status_code, answer.json()["key"]) == (401, "token.invalid")


async def test_no_report_on_a_version_without_a_token(api: Api) -> None:
    answer = await api.client.post("/v1/config/status", json={"version": 1, "state": "applied"})
    assert (answer.status_code, answer.json()["key"]) == (401, "token.invalid")


async def test_problem_of_a_report_is_named_by_its_path(box: Api) -> None:
    answer = await box.post("/v1/config/status", '{"version": 1, "state": "fine"}')
    assert [problem["path"] for problem in answer.json()["problems"]] == ["body.state"]
