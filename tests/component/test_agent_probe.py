"""The prober against real sockets on loopback: what it says of a far side that answers, stays silent, refuses or lags."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent import probe as prober
from agent.evidence import Sighting
from agent.options import options_request, read_answer, split_stream
from agent.probe import Probe
from appliance.addresses import SipAddress, sip_address

HOST = "127.0.0.1"
Reply = Callable[[bytes, int], list[bytes]]


def answer(request: bytes, code: int = 200, extra: str = "") -> bytes:
    """The answer that RFC 3261 section 8.2.6 asks for: Via, From, To, Call-ID and CSeq copied."""
    kept = [
        line
        for line in request.decode().split("\r\n")
        if line.lower().startswith(("via:", "from:", "to:", "call-id:", "cseq:"))
    ]
    return "\r\n".join(
        [f"SIP/2.0 {code} Whatever", *kept, *([extra] if extra else []), "Content-Length: 0", "", ""]
    ).encode()


class FarSide(asyncio.DatagramProtocol):
    """A SIP server of one rule: `reply(request, count)` gives the datagrams to send back."""

    def __init__(self, reply: Reply, delay_s: float = 0.0) -> None:
        self.reply, self.delay_s, self.requests = reply, delay_s, list[bytes]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.requests.append(data)
        for datagram in self.reply(data, len(self.requests)):
            asyncio.get_running_loop().call_later(self.delay_s, self.transport.sendto, datagram, addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def far_side(reply: Reply, delay_s: float = 0.0) -> AsyncIterator[tuple[FarSide, SipAddress]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: FarSide(reply, delay_s), local_addr=(HOST, 0)
    )
    try:
        yield protocol, sip_address(f"sip:{HOST}:{transport.get_extra_info('sockname')[1]}")
    finally:
        transport.close()
        await asyncio.sleep(0)


class Seen:
    """Collects sightings; `wait` returns when so many are there."""

    def __init__(self) -> None:
        self.all: list[tuple[Sighting, float | None]] = []
        self.late: list[float] = []
        self._news = asyncio.Event()

    def report(self, sighting: Sighting, rtt_ms: float | None) -> None:
        self.all.append((sighting, rtt_ms))
        self._news.set()

    def note_late(self, rtt_ms: float) -> None:
        self.late.append(rtt_ms)
        self._news.set()

    async def wait(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not done():
                self._news.clear()
                await self._news.wait()

    @property
    def kinds(self) -> list[Sighting]:
        return [sighting for sighting, _ in self.all]


@asynccontextmanager
async def probing(
    to: SipAddress, local: str = HOST, interval_s: float = 0.02
) -> AsyncIterator[tuple[Probe, Seen]]:
    seen = Seen()
    probe = Probe(to, local, seen.report, seen.note_late)
    task = asyncio.create_task(probe.run(lambda: interval_s))
    try:
        yield probe, seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)  # closed transports let go of their sockets in the loop's next turn


async def test_an_answering_upstream_is_seen_with_its_round_trip() -> None:
    async with far_side(lambda request, _: [answer(request)]) as (there, to), probing(to) as (probe, seen):
        await seen.wait(lambda: len(seen.all) >= 5)
    assert set(seen.kinds) == {Sighting.PROBE_ANSWERED}
    assert all(rtt_ms is not None and 0 < rtt_ms < 500 for _, rtt_ms in seen.all)
    assert probe.answered >= 5
    numbers = [int(re.search(rb"number=(\d+)", request)[1]) for request in there.requests]  # type: ignore[index]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("code", "sighting"),
    [
        (200, Sighting.PROBE_ANSWERED),
        (404, Sighting.PROBE_ANSWERED),
        (501, Sighting.PROBE_ANSWERED),
        (503, Sighting.PROBE_OVERLOADED),
        (408, Sighting.PROBE_OVERLOADED),
    ],
)
async def test_an_answer_is_judged_by_its_code(code: int, sighting: Sighting) -> None:
    async with far_side(lambda request, _: [answer(request, code)]) as (_, to), probing(to) as (_, seen):
        await seen.wait(lambda: bool(seen.all))
    assert seen.kinds[0] is sighting


async def test_a_silent_upstream_is_lost_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "DEADLINE_S", 0.1)
    async with far_side(lambda *_: []) as (_, to), probing(to) as (probe, seen):
        await seen.wait(lambda: len(seen.all) >= 3)
    assert set(seen.kinds) == {Sighting.PROBE_LOST}
    assert probe.answered == 0


async def test_a_late_answer_stays_lost_and_still_tells_its_round_trip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prober, "DEADLINE_S", 0.05)
    async with (
        far_side(lambda request, _: [answer(request)], delay_s=0.15) as (_, to),
        probing(to) as (_, seen),
    ):
        await seen.wait(lambda: len(seen.late) >= 2)
    assert set(seen.kinds) == {Sighting.PROBE_LOST}
    assert min(seen.late) >= 150


async def test_a_closed_port_is_known_at_once() -> None:
    async with far_side(lambda *_: []) as (_, to):
        pass
    async with probing(to) as (_, seen):
        await seen.wait(lambda: len(seen.all) >= 3)
    assert set(seen.kinds) == {Sighting.PROBE_UNSENT}


async def test_rubbish_and_foreign_answers_count_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "DEADLINE_S", 0.1)

    def rubbish(request: bytes, _: int) -> list[bytes]:
        foreign = re.sub(rb"branch=[^;]+", b"branch=z9hG4bKother", answer(request))
        return [
            b"",
            b"\x00\xff",
            foreign,
            answer(request, 100),
            answer(request).replace(b"OPTIONS", b"INVITE"),
            request,
        ]

    async with far_side(rubbish) as (_, to), probing(to) as (_, seen):
        await seen.wait(lambda: len(seen.all) >= 3)
    assert set(seen.kinds) == {Sighting.PROBE_LOST}


async def test_a_doubled_answer_counts_once() -> None:
    async with (
        far_side(lambda request, _: [answer(request)] * 3) as (there, to),
        probing(to) as (probe, seen),
    ):
        await seen.wait(lambda: len(seen.all) >= 5)
        assert probe.answered <= len(there.requests)


async def test_a_far_side_that_counts_tells_which_direction_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "DEADLINE_S", 0.05)

    def answers_half(request: bytes, count: int) -> list[bytes]:
        return [answer(request, extra=f"X-Kyusai-Heard: {count}")] if count % 2 else []

    async with far_side(answers_half) as (_, to), probing(to) as (probe, seen):
        await seen.wait(lambda: len(seen.all) >= 8)
        assert probe.lost_there_ratio is not None
        assert probe.lost_there_ratio < 0.3, "all arrive there: the answers are what is lost"


async def test_while_the_local_address_is_gone_the_line_is_as_well_though_another_address_could_be_used() -> (
    None
):
    async with (
        far_side(lambda request, _: [answer(request)]) as (_, to),
        probing(to, local="192.0.2.77") as (_, seen),
    ):
        await seen.wait(lambda: bool(seen.all))
    assert set(seen.kinds) == {Sighting.PROBE_UNSENT}


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_far_side(serve: Serve) -> AsyncIterator[SipAddress]:
    """A TCP server whose connections end with it."""
    ended: list[asyncio.Future[None]] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ended.append(done)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.transport.abort()
        done.set_result(None)

    server = await asyncio.start_server(serve_one, HOST, 0)
    try:
        yield sip_address(f"sip:{HOST}:{server.sockets[0].getsockname()[1]};transport=tcp")
    finally:
        server.close()
        await asyncio.gather(*ended)


async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up."""


async def test_tcp_answers_are_framed_by_their_length_and_one_connection_serves_all() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while request := await reader.readuntil(b"\r\n\r\n"):
            reply = b"\r\n\r\n" + answer(request, extra="X: 1").replace(
                b"Length: 0\r\n\r\n", b"Length: 4\r\n\r\nbody"
            )
            writer.write(reply[:40])
            await writer.drain()
            writer.write(reply[40:])

    async with tcp_far_side(serve) as to, probing(to) as (_, seen):
        await seen.wait(lambda: len(seen.all) >= 5)
    assert set(seen.kinds) == {Sighting.PROBE_ANSWERED}
    assert connections == 1


async def test_a_connection_that_is_closed_is_opened_anew() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        await writer.drain()
        writer.close()

    async with tcp_far_side(serve) as to, probing(to) as (_, seen):
        await seen.wait(lambda: seen.kinds.count(Sighting.PROBE_ANSWERED) >= 3)


async def test_a_half_open_connection_loses_probes_and_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "DEADLINE_S", 0.05)
    monkeypatch.setattr(prober, "REOPEN_S", 0.2)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        silent = connections == 1
        while request := await reader.readuntil(b"\r\n\r\n"):
            if not silent:
                writer.write(answer(request))

    async with tcp_far_side(serve) as to, probing(to) as (_, seen):
        await seen.wait(lambda: Sighting.PROBE_ANSWERED in seen.kinds)
    assert seen.kinds[0] is Sighting.PROBE_LOST
    assert connections == 2


async def test_a_refused_connection_is_known_at_once() -> None:
    async with tcp_far_side(nobody) as to:
        pass
    async with probing(to) as (_, seen):
        await seen.wait(lambda: len(seen.all) >= 2)
    assert set(seen.kinds) == {Sighting.PROBE_UNSENT}


def test_a_probe_carries_all_that_rfc_3261_asks_of_a_request() -> None:
    to = sip_address("sip:[2001:db8::7]:5070;transport=tcp")
    text = options_request(
        to, "2001:db8::1", 40000, branch="z9hG4bKx", run="ab", number=3, answered=2
    ).decode()
    assert text.startswith("OPTIONS sip:[2001:db8::7]:5070;transport=tcp SIP/2.0\r\n")
    assert "Via: SIP/2.0/TCP [2001:db8::1]:40000;branch=z9hG4bKx;rport\r\n" in text
    assert "X-Kyusai-Probe: run=ab;number=3;answered=2\r\n" in text
    assert {line.split(":")[0] for line in text.split("\r\n")[1:] if line} >= {
        "Max-Forwards",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Content-Length",
    }


def test_an_answer_with_compact_and_folded_case_headers_is_read() -> None:
    raw = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 1.2.3.4;rport=1;BRANCH=z9hG4bKq;received=1.2.3.4\r\ncseq: 1 OPTIONS\r\n\r\n"
    found = read_answer(raw)
    assert found is not None and found.branch == "z9hG4bKq"


def test_a_stream_that_never_ends_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="65535"):
        split_stream(b"x" * 70000)
