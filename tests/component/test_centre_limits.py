"""Hostile and broken clients against a real centre. A failure means that one of them can stop or fill it."""

import asyncio
import contextlib
import errno
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy.exc import OperationalError

from cloudsync import wire
from cloudsync.http import protocol
from cloudsync.http.api import create_app
from cloudsync.http.limits import BodyLimits, BodyRefused
from tests.helpers.centre_box import ADDRESS, Box, CentreProcess, free_port, opened, prepare_site


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path_factory.mktemp("centre") / "data")
    yield process.start()
    process.stop()


@pytest.fixture(scope="module")
def box(centre: CentreProcess) -> Box:
    with centre.store() as store:
        return Box.enrolled(centre.url, prepare_site(store))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 50_000,
        b"<html>",
    ],
    ids=["empty", "null", "list", "nan", "infinity", "surrogate", "not utf-8", "nested", "html"],
)
@pytest.mark.parametrize("path", [wire.PATH_HEARTBEAT, wire.PATH_CONFIG_STATUS])
def test_bad_json_is_refused_with_a_key(box: Box, path: str, body: bytes) -> None:
    answer = box.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["key"] == wire.ErrorKey.MALFORMED


def test_large_body_is_refused_by_its_declared_length(box: Box) -> None:
    answer = box.http.post(wire.PATH_HEARTBEAT, json={"x": "y" * wire.JSON_BYTES_MAX})
    assert (answer.status_code, answer.json()["key"]) == (413, wire.ErrorKey.TOO_LARGE)


def test_large_body_without_a_length_is_cut_off(box: Box) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    answer = box.http.post(
        wire.PATH_HEARTBEAT, content=pieces(), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["key"]) == (413, wire.ErrorKey.TOO_LARGE)


def test_unknown_paths_and_methods_add_no_metric_series(box: Box) -> None:
    for path in ("/a", "/b", "/v1/recordings/nothing"):
        assert box.http.get(path).status_code == 404
    assert box.http.request("PURGE", "/v1/records").status_code == 405
    routes = {line for line in box.http.get("/metrics").text.splitlines() if "http_requests_total{" in line}
    assert not any('"/a"' in line or "PURGE" in line or "nothing" in line for line in routes)
    assert any('route="/v1/recordings/{recording_id}",status="404"' in line for line in routes)


def test_heartbeat_shows_the_box_online(centre: CentreProcess, box: Box) -> None:
    answer = box.http.post(wire.PATH_HEARTBEAT, json={"sent_utc": "2026-11-21T00:00:00Z", "calls": 3})
    assert set(answer.json()) == {
        *("server_time_utc", "revoked", "config_version", "key_id", "cloned", "lease", "rotate_key"),
    }
    assert 'kyusai_centre_box_online{box="tokyo-1-a",site="tokyo-1"} 1.0' in box.http.get("/metrics").text


def test_openapi_describes_every_route_of_the_wire(box: Box) -> None:
    described = box.http.get("/openapi.json").json()["paths"]
    for path in (
        wire.PATH_ENROL,
        wire.PATH_TOKEN_CHALLENGE,
        wire.PATH_TOKEN,
        wire.PATH_CONFIG,
        wire.PATH_CONFIG_STATUS,
        wire.PATH_RECORDS,
        wire.PATH_RECORDINGS,
        wire.PATH_HEARTBEAT,
        f"{wire.PATH_PROMPTS}/{{sha256}}",
    ):
        assert path in described
    assert "requestBody" in described[wire.PATH_RECORDS]["post"]


def test_many_idle_connections_do_not_stop_the_others(centre: CentreProcess, box: Box) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.ExitStack() as idle:
        for number in range(60):
            raw = idle.enter_context(socket.create_connection((ADDRESS, centre.port), 5))
            if number % 2:
                wrapped = idle.enter_context(context.wrap_socket(raw))
                wrapped.sendall(b"POST /v1/heartbeat HTTP/1.1\r\nHost")
        assert box.http.post(wire.PATH_HEARTBEAT, json={}).status_code == 200


async def test_body_that_stops_coming_is_given_up() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    messages = [{"type": "http.request", "body": b"{", "more_body": True}]
    scope = {"type": "http", "method": "POST", "path": wire.PATH_HEARTBEAT, "headers": []}
    with pytest.raises(BodyRefused) as caught:
        await BodyLimits(app, idle_s=0.05)(scope, receive, None)  # type: ignore[arg-type]
    assert caught.value.refused.key == wire.ErrorKey.TOO_SLOW


async def test_metrics_are_not_for_everybody(tmp_path: Path) -> None:
    answers = []
    with opened(tmp_path / "data") as store:
        app = create_app(store, [ip_network("192.0.2.0/24")])
        for address in ("192.0.2.9", "198.51.100.1", "127.0.0.1"):
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
                answers.append((await client.get("/metrics")).status_code)
    assert answers == [200, 403, 403]


def test_log_is_one_json_object_per_line(centre: CentreProcess) -> None:
    for line in centre.log.read_text("utf-8").splitlines():
        assert {"event", "level", "timestamp"} <= set(json.loads(line))


@contextlib.asynccontextmanager
async def impatient_server() -> AsyncIterator[int]:
    """The centre's protocol around an application that says 204; its port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    port = free_port()
    config = uvicorn.Config(
        app, ADDRESS, port, http=protocol.ImpatientProtocol, log_config=None, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await serving


@pytest.mark.parametrize("asked_before", [False, True], ids=["at first", "after a request"])
async def test_head_that_stops_coming_is_closed(monkeypatch: pytest.MonkeyPatch, asked_before: bool) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    async with impatient_server() as port:
        slow_reader, slow_writer = await asyncio.open_connection(ADDRESS, port)
        well_reader, well_writer = await asyncio.open_connection(ADDRESS, port)
        if asked_before:
            slow_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await slow_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        slow_writer.write(b"GET / HT")
        well_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await well_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        assert await asyncio.wait_for(slow_reader.read(), 5) == b""
        well_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await well_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        for writer in (slow_writer, well_writer):
            writer.close()


async def test_head_without_end_is_refused() -> None:
    async with impatient_server() as port:
        reader, writer = await asyncio.open_connection(ADDRESS, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(64):
            writer.write(b"X-Long: " + b"y" * 1024 + b"\r\n")
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)).startswith(b"HTTP/1.1 400")
        writer.close()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 507),
        (OSError(errno.EIO, "Input/output error"), 503),
        (OperationalError("", {}, Exception("database or disk is full")), 503),
    ],
    ids=["disk full", "disk broken", "store full"],
)
async def test_full_or_broken_disk_takes_nothing_and_says_try_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fails(*_: object) -> None:
        raise error

    with opened(tmp_path / "data") as store:
        transport = httpx.ASGITransport(create_app(store, []), client=("127.0.0.1", 1))
        monkeypatch.setattr("cloudsync.service.configuration.last_serial", fails)
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
            answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["key"]) == (status, wire.ErrorKey.UNAVAILABLE)
    assert int(answer.headers["Retry-After"]) > 0


def test_stopped_centre_ends_cleanly_although_a_poll_is_held(tmp_path: Path) -> None:
    centre = CentreProcess(tmp_path / "data")
    with centre.store() as store:
        text = prepare_site(store)
    box = Box.enrolled(centre.start().url, text)
    with contextlib.suppress(httpx.ReadTimeout):
        box.http.get(wire.PATH_CONFIG, params={"wait_s": 30}, timeout=0.3)
    assert centre.stop() == 0
    assert "centre.stop" in centre.log.read_text("utf-8")
