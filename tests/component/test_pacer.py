"""How recordings are held back, on real sockets and a real clock. A failure means calls beside an upload suffer."""

import asyncio
import socket
import time
from datetime import UTC, datetime

import pytest

from agent.bulk_line import LE_DSCP, BulkLine, congestion_control, options
from agent.pacer import Pacer
from agent.slices import Sliced
from appliance import site
from appliance.site_model import Site
from tests.helpers.site_documents import document

NOON = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
"""In Tokyo."""


def limited(*limits: tuple[str, str, int]) -> Site:
    rows = [{"from": begin, "to": end, "kbit_s": kbit_s} for begin, end, kbit_s in limits]
    return site.parse(document(sync={"recordings": {"limits": rows}}))


async def sent_in(pacer: Pacer, seconds: float) -> int:
    """Bytes that three connections together may send in a time."""
    total = 0

    async def connection() -> None:
        nonlocal total
        while True:
            async for part in Sliced(bytes(256 * 1024), pacer):
                total += len(part)
                await asyncio.sleep(0)

    running = [asyncio.create_task(work) for work in (pacer.run(), *(connection() for _ in range(3)))]
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return total


async def test_limit_of_the_hour_at_the_site_holds_for_all_connections_together() -> None:
    one = limited(("12:00", "13:00", 8000), ("13:00", "12:00", 1))
    began_s = time.monotonic()
    total = await sent_in(Pacer(lambda: one, lambda: 0, BulkLine(), wall=lambda: NOON), 1.0)
    seconds = time.monotonic() - began_s
    assert 0.3 * 1_000_000 < total < 1.15 * 1_000_000 * seconds


async def test_limit_of_nothing_lets_no_piece_begin() -> None:
    one = limited(("00:00", "24:00", 0))
    pacer = Pacer(lambda: one, lambda: 0, BulkLine(), wall=lambda: NOON)
    pacer.step(asyncio.get_running_loop().time())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), pacer.piece():
            raise AssertionError("a piece began")


async def test_link_monitor_that_sees_a_queue_stops_the_upload_while_calls_are_up() -> None:
    round_trip_ms = 50.0
    pacer = Pacer(lambda: None, lambda: 1, BulkLine(), lambda: (round_trip_ms, 0.0))
    pacer.step(0.0)
    assert pacer.rate_bytes_s
    round_trip_ms = 400.0
    pacer.step(0.1)
    assert (pacer.rate_bytes_s, pacer.queue_ms) == (0.0, 350.0)
    round_trip_ms = 51.0
    pacer.step(0.2)
    assert pacer.rate_bytes_s


def test_sockets_for_recordings_are_marked_and_survive_loss() -> None:
    with socket.socket() as one:
        for option in options("https://192.0.2.1:8443"):
            one.setsockopt(*option)  # type: ignore[arg-type]
        assert one.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == LE_DSCP
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 2
        used = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
        assert congestion_control() in ("", used)
    with socket.socket(socket.AF_INET6) as one:
        for option in options("https://[2001:db8::1]:8443"):
            one.setsockopt(*option)  # type: ignore[arg-type]
        assert one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) >> 2 == LE_DSCP


async def test_line_tells_round_trip_and_acknowledged_bytes_of_open_connections() -> None:
    line = BulkLine()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    _reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

    class Stream:
        def get_extra_info(self, name: str) -> object:
            return writer.get_extra_info(name)

    await line.trace("connection.connect_tcp.complete", {"return_value": Stream()})
    writer.write(bytes(100_000))
    await writer.drain()
    async with asyncio.timeout(10):
        while line.look()[1] < 100_000:
            await asyncio.sleep(0.01)
    round_trip_ms, acknowledged = line.look()
    assert round_trip_ms is None  # nothing is under way any more, so nothing of ours waits
    writer.close()
    await writer.wait_closed()
    assert line.look() == (None, acknowledged)
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)  # the far side's socket closes in the loop's next round
