"""The link emulator between real sockets: what each kind of cut looks like to the two ends."""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.lab import carrier
from tests.lab.addresses import SIP_PORT, Addresses, claim
from tests.lab.link import Link

SHORT_S = 0.3


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    held = claim()
    line = Link(held.addresses, held.folder)
    await line.start()
    yield line
    await line.stop()
    held.release()


def udp(address: str, port: int = SIP_PORT) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((address, port))
    return sock


async def received(sock: socket.socket, timeout_s: float = SHORT_S) -> tuple[bytes, tuple[str, int]] | None:
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(sock, 2048), timeout_s)
    except TimeoutError:
        return None


@contextlib.contextmanager
def ends(a: Addresses) -> Iterator[tuple[socket.socket, socket.socket]]:
    box, cloud = udp(a.box_wan), udp(a.cloud)
    try:
        yield box, cloud
    finally:
        box.close()
        cloud.close()


async def test_datagrams_cross_with_both_ends_seeing_the_stand_in(link: Link) -> None:
    a = link.addresses
    with ends(a) as (box, cloud):
        box.sendto(b"up", (a.cloud_seen_by_box, SIP_PORT))
        assert await received(cloud) == (b"up", (a.box_seen_by_cloud, SIP_PORT))
        cloud.sendto(b"down", (a.box_seen_by_cloud, SIP_PORT))
        assert await received(box) == (b"down", (a.cloud_seen_by_box, SIP_PORT))


async def test_line_adds_less_than_a_few_milliseconds(link: Link) -> None:
    a = link.addresses
    with ends(a) as (box, cloud):
        took = []
        for _ in range(50):
            began = time.monotonic()
            box.sendto(b"x", (a.cloud_seen_by_box, SIP_PORT))
            assert await received(cloud)
            took.append(time.monotonic() - began)
        assert sorted(took)[5] < 0.003


async def test_stranger_does_not_get_through(link: Link) -> None:
    a = link.addresses
    stranger = udp(a.phone(1))
    with ends(a) as (_, cloud):
        stranger.sendto(b"x", (a.cloud_seen_by_box, SIP_PORT))
        assert await received(cloud, 0.1) is None
    stranger.close()
    assert (await link.counts())["up"]["strangers"] == 1


@pytest.mark.parametrize(("direction", "up", "down"), [("both", 0, 0), ("up", 0, 1), ("down", 1, 0)])
async def test_drop_blocks_its_directions_only_until_restored(
    link: Link, direction: str, up: int, down: int
) -> None:
    a = link.addresses
    with ends(a) as (box, cloud):
        await link.cut("drop", direction)
        box.sendto(b"up", (a.cloud_seen_by_box, SIP_PORT))
        cloud.sendto(b"down", (a.box_seen_by_cloud, SIP_PORT))
        assert (await received(cloud, 0.1) is not None, await received(box, 0.1) is not None) == (
            bool(up),
            bool(down),
        )
        await link.restore()
        box.sendto(b"again", (a.cloud_seen_by_box, SIP_PORT))
        assert (await received(cloud) or (b"",))[0] == b"again"


@pytest.mark.parametrize("direction", ["both", "up"])
async def test_reject_answers_datagrams_with_port_unreachable(link: Link, direction: str) -> None:
    a = link.addresses
    box = udp(a.box_wan)
    box.connect((a.cloud_seen_by_box, SIP_PORT))
    await link.cut("reject", direction)
    box.send(b"x")
    await asyncio.sleep(0.05)
    assert box.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    await link.restore()
    box.send(b"x")
    await asyncio.sleep(0.05)
    assert box.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    box.close()


async def test_reject_upwards_still_passes_the_cloud_s_datagrams(link: Link) -> None:
    a = link.addresses
    with ends(a) as (box, cloud):
        await link.cut("reject", "up")
        cloud.sendto(b"down", (a.box_seen_by_cloud, SIP_PORT))
        assert await received(box) == (b"down", (a.cloud_seen_by_box, SIP_PORT))


async def test_loss_and_delay_are_felt(link: Link) -> None:
    a = link.addresses
    with ends(a) as (box, cloud):
        await link.delay(100)
        began = time.monotonic()
        box.sendto(b"late", (a.cloud_seen_by_box, SIP_PORT))
        assert await received(cloud, 20)
        assert 0.095 <= time.monotonic() - began < 3
        await link.restore()
        await link.loss(0.5)
        for _ in range(200):
            box.sendto(b"x", (a.cloud_seen_by_box, SIP_PORT))
        await asyncio.sleep(0.1)
    counts = (await link.counts())["up"]
    assert 60 <= counts["dropped"] <= 140


async def echo(a: Addresses) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.close()

    return await asyncio.start_server(serve, a.cloud, SIP_PORT)


async def call_cloud(a: Addresses) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.wait_for(
        asyncio.open_connection(a.cloud_seen_by_box, SIP_PORT, local_addr=(a.box_wan, 0)), SHORT_S
    )


async def answer(
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], timeout_s: float = SHORT_S
) -> bytes | str:
    """What the peer says to ``hello``: its bytes, ``reset``, or ``silence``."""
    reader, writer = streams
    try:
        writer.write(b"hello")
        return await asyncio.wait_for(reader.read(100), timeout_s)
    except ConnectionError:
        return "reset"
    except TimeoutError:
        return "silence"


@pytest.mark.parametrize(
    ("kind", "standing", "new"),
    [
        ("drop", "silence", "silence"),
        ("reject", "reset", "refused"),
        ("close", b"", "refused"),
        ("half_open", "silence", "connected"),
    ],
)
async def test_connections_meet_each_kind_of_cut_as_a_real_line_would_show_it(
    link: Link, kind: str, standing: bytes | str, new: str
) -> None:
    a = link.addresses
    async with await echo(a):
        before = await call_cloud(a)
        assert await answer(before) == b"hello"
        await link.cut(kind)
        if kind == "close":
            assert await asyncio.wait_for(before[0].read(100), SHORT_S) == standing
        else:
            assert await answer(before) == standing
        try:
            during = await call_cloud(a)
            outcome = "connected"
            assert await answer(during) == "silence"
            during[1].close()
        except TimeoutError:
            outcome = "silence"
        except ConnectionRefusedError:
            outcome = "refused"
        assert outcome == new
        await link.restore()
        after = await call_cloud(a)
        assert await answer(after) == b"hello"
        for _, writer in (before, after):
            writer.close()


async def test_stalled_connection_goes_on_after_a_black_hole(link: Link) -> None:
    a = link.addresses
    async with await echo(a):
        streams = await call_cloud(a)
        await link.cut("drop")
        assert await answer(streams) == "silence"
        await link.restore()
        assert await asyncio.wait_for(streams[0].read(100), SHORT_S) == b"hello"
        streams[1].close()


async def test_lost_carrier_makes_sends_fail_at_once(link: Link) -> None:
    if not carrier.can_take_away():
        pytest.skip("may not change routes here: run as root or under python -m tests.lab.carrier")
    a = link.addresses
    with ends(a) as (box, cloud):
        await link.carrier_gone()
        with pytest.raises(OSError, match="No route to host"):
            box.sendto(b"x", (a.cloud_seen_by_box, SIP_PORT))
        await link.restore()
        box.sendto(b"x", (a.cloud_seen_by_box, SIP_PORT))
        assert await received(cloud)
