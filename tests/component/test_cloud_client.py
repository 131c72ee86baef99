"""What the box makes of answers that no centre gives: typed errors, in time, and never a success."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.cloud_client import CloudClient
from agent.cloud_errors import (
    CloudBusy,
    CloudConfused,
    CloudError,
    CloudRefused,
    CloudUnreachable,
    CloudUntrusted,
)
from agent.cloud_transport import ANSWER_BYTES_MAX, RETRY_AFTER_MAX_S, Transport, pinned
from cloudsync.coding import plain
from cloudsync.tls import ServerTls
from cloudsync.wire import BATCH_BYTES_MAX, chain_record, ids_sha256

RECORD = chain_record(
    "0" * 64,
    seq=1,
    record_id="r1",
    kind="cdr",
    priority=1,
    created_utc="2026-11-21T09:30:00.000Z",
    boot_id="b",
    body={},
)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Odd:
    """A TLS server that hands out tokens and otherwise does what the test says."""

    def __init__(self, tls: ServerTls) -> None:
        self.tls = tls
        self.answer: bytes = b""
        self.talk: Talk | None = None
        self.tokens = 0
        self.paths: list[str] = []
        self.batches: list[tuple[str, bytes]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls.server_pem)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                path = head.split(b" ")[1].decode()
                self.paths.append(path)
                if path == "/v1/records":
                    coding = head.lower().partition(b"content-encoding: ")[2].split(b"\r\n")[0]
                    self.batches.append((coding.decode(), plain(body, coding.decode(), BATCH_BYTES_MAX)))
                if path == "/v1/token/challenge":
                    writer.write(ok({"nonce": "n"}))
                elif path == "/v1/token":
                    self.tokens += 1
                    writer.write(ok({"token": f"t{self.tokens}", "expires_in_s": 3600}))
                elif self.talk is not None:
                    await self.talk(reader, writer)
                else:
                    writer.write(self.answer)
                    await writer.drain()
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def http(status: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def ok(value: object) -> bytes:
    return http("200 OK", json.dumps(value).encode())


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ServerTls:
    made = ServerTls(tmp_path_factory.mktemp("tls"))
    made.ensure(["127.0.0.1"], datetime.now(UTC))
    return made


@pytest.fixture
async def odd(tls: ServerTls) -> AsyncIterator[Odd]:
    server = Odd(tls)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(odd: Odd) -> AsyncIterator[CloudClient]:
    made = CloudClient(Transport(odd.url, pinned(odd.tls.ca_certificate())), "box-1", lambda _: b"s")
    yield made
    await made.close()


GOOD = {"results": [{"id": "r1", "status": "stored", "reason": ""}]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            http("200 OK", b"<html>Welcome</html>", kind="text/html"), CloudConfused, id="login page"
        ),
        pytest.param(
            http("200 OK", json.dumps(GOOD).encode(), kind="text/html"),
            CloudConfused,
            id="right text, wrong kind",
        ),
        pytest.param(ok(GOOD)[:-5], CloudConfused, id="truncated body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", CloudUnreachable, id="truncated head"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CloudConfused, id="not HTTP"),
        pytest.param(b"", CloudUnreachable, id="closed without a word"),
        pytest.param(ok({"results": []}), CloudConfused, id="no result"),
        pytest.param(
            ok({"results": [{"id": "r2", "status": "stored"}]}),
            CloudConfused,
            id="a result for another record",
        ),
        pytest.param(ok({"results": [{"id": "r1", "status": "ok"}]}), CloudConfused, id="unknown word"),
        pytest.param(ok([]), CloudConfused, id="a list"),
        pytest.param(http("200 OK", b'{"results": [NaN]}'), CloudConfused, id="not JSON"),
        pytest.param(http("302 Found", b"", "Location: https://192.0.2.1/"), CloudConfused, id="redirect"),
        pytest.param(
            http("404 Not Found", b"nope", kind="text/plain"), CloudConfused, id="another server's 404"
        ),
        pytest.param(http("200 OK", b" " * (ANSWER_BYTES_MAX + 1)), CloudConfused, id="far too long"),
        pytest.param(http("500 Oops", b"", kind="text/plain"), CloudBusy, id="500"),
        pytest.param(http("502 Bad Gateway", b"<html>"), CloudBusy, id="502 of a proxy"),
        pytest.param(http("429 Slow", b"{}"), CloudBusy, id="429"),
        pytest.param(
            http("403 No", b'{"key": "box.revoked", "message": "revoked"}'),
            CloudRefused,
            id="the centre's own no",
        ),
    ],
)
async def test_nonsense_answer_is_a_typed_error(
    odd: Odd, client: CloudClient, answer: bytes, expected: type[CloudError]
) -> None:
    odd.answer = answer
    with pytest.raises(CloudError) as caught:
        await client.send_records("tokyo-1", [RECORD])
    assert type(caught.value) is expected
    assert caught.value.hint or expected is CloudRefused


async def test_good_answer_is_accepted(odd: Odd, client: CloudClient) -> None:
    odd.answer = ok(GOOD)
    (result,) = await client.send_records("tokyo-1", [RECORD])
    assert (result.id, result.status) == ("r1", "stored")


def saying(answer: bytes) -> Talk:
    """Gives this answer and keeps the connection."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return talk


async def test_batches_are_coded_as_the_centre_last_allowed(odd: Odd, client: CloudClient) -> None:
    """A new centre with this box, then an older one in its place, then the new one again."""
    good = json.dumps(GOOD).encode()
    newer, older = http("200 OK", good, "Accept-Encoding: zstd, gzip"), http("200 OK", good)
    for answer in (older, newer, newer, older, older):
        odd.talk = saying(answer)
        await client.send_records("tokyo-1", [RECORD])
    assert [coding for coding, _ in odd.batches] == ["gzip", "gzip", "zstd", "zstd", "gzip"]
    assert len({body for _, body in odd.batches}) == 1


async def test_centre_that_no_longer_takes_the_coding_gets_the_one_that_all_take(
    odd: Odd, client: CloudClient
) -> None:
    odd.talk = saying(http("200 OK", json.dumps(GOOD).encode(), "Accept-Encoding: zstd, gzip"))
    await client.send_records("tokyo-1", [RECORD])
    odd.talk = saying(http("415 No", b'{"key": "body.encoding", "message": "zstd"}'))
    with pytest.raises(CloudRefused):
        await client.send_records("tokyo-1", [RECORD])
    assert [coding for coding, _ in odd.batches] == ["gzip", "zstd", "gzip"]


async def test_one_word_of_the_centre_counts_for_the_whole_batch_that_it_names(
    odd: Odd, client: CloudClient
) -> None:
    odd.talk = saying(ok({"status": "stored", "count": 1, "ids_sha256": ids_sha256(["r1"])}))
    (result,) = await client.send_records("tokyo-1", [RECORD])
    assert (result.id, result.status) == ("r1", "stored")
    odd.talk = saying(ok({"status": "stored", "count": 1, "ids_sha256": ids_sha256(["r2"])}))
    with pytest.raises(CloudConfused):
        await client.send_records("tokyo-1", [RECORD])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("999999", RETRY_AFTER_MAX_S), ("-5", 0.0), ("soon", 0.0), ("9" * 40, 0.0)],
)
async def test_retry_after_is_heeded_within_reason(
    odd: Odd, client: CloudClient, header: str, seconds: float
) -> None:
    odd.answer = http("503 Later", b"{}", f"Retry-After: {header}")
    with pytest.raises(CloudBusy) as caught:
        await client.send_records("tokyo-1", [RECORD])
    assert caught.value.retry_after_s == seconds


async def test_server_that_never_answers_is_given_up_in_time(odd: Odd) -> None:
    async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    odd.talk = hang
    transport = Transport(odd.url, pinned(odd.tls.ca_certificate()))
    with pytest.raises(CloudUnreachable, match=r"0\.3 s"):
        await transport.request("GET", "/healthz", deadline_s=0.3)
    await transport.close()


async def test_server_that_drips_bytes_is_given_up_in_time(odd: Odd) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    odd.talk = drip
    transport = Transport(odd.url, pinned(odd.tls.ca_certificate()))
    with pytest.raises(CloudUnreachable):
        await transport.request("GET", "/healthz", deadline_s=0.4)
    await transport.close()


async def test_expired_token_is_renewed_once_and_the_call_repeated(odd: Odd, client: CloudClient) -> None:
    calls = 0

    async def forget_the_first(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        refusal = b'{"key": "token.invalid", "message": "expired"}'
        writer.write(http("401 No", refusal) if calls == 1 else ok(GOOD))

    odd.talk = forget_the_first
    await client.send_records("tokyo-1", [RECORD])
    assert (odd.tokens, calls) == (2, 2)


async def test_token_is_asked_for_once_by_many_calls_at_the_same_time(odd: Odd, client: CloudClient) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(GOOD))

    odd.talk = answer
    await asyncio.gather(*(client.send_records("tokyo-1", [RECORD]) for _ in range(6)))
    assert odd.tokens == 1


async def test_certificate_of_another_ca_is_refused_before_anything_is_said(odd: Odd, tmp_path: Path) -> None:
    other = ServerTls(tmp_path)
    transport = Transport(odd.url, pinned(other.ca_certificate()))
    with pytest.raises(CloudUntrusted):
        await transport.request("GET", "/v1/ca")
    await transport.close()
    assert odd.paths == []


async def test_nobody_there_is_unreachable() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    transport = Transport(f"https://127.0.0.1:{port}", ssl.create_default_context())
    with pytest.raises(CloudUnreachable):
        await transport.request("GET", "/healthz")
    await transport.close()


@pytest.mark.parametrize(
    "offset", ["", "abc", "-1", "99999999"], ids=["missing", "no number", "negative", "beyond what was sent"]
)
async def test_piece_is_not_counted_on_an_impossible_offset(
    odd: Odd, client: CloudClient, offset: str
) -> None:
    odd.answer = http("204 No Content", b"", f"Upload-Offset: {offset}")
    with pytest.raises(CloudConfused):
        await client.piece("rec-1", 0, b"12345")
