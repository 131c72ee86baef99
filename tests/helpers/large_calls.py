"""Calls whose requests do not fit into one packet, one at a time: `python -m tests.helpers.large_calls NAME`.

To be run in a network namespace whose loopback interface takes packets of 1,500 bytes, as an Ethernet does; the kernel
then cuts longer datagrams into fragments, and counts them.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.lab import addresses, sipmsg
from tests.lab.bare_box import BareBox, site_document
from tests.lab.processes import wait_until
from tests.lab.sipcall import Incoming

PACKET_BYTES = 1500
LARGE_BYTES = 6000
"""An offer of video, several codecs and ICE candidates is of this size."""
LARGEST_BYTES = 14_000
"""Near what a TCP phone may send (`tcp_rd_buf_size`)."""


def large_offer(address: str, size: int) -> str:
    """A session description of at least that many bytes, of which every line counts."""
    lines, number = [sipmsg.sdp(address, 4000)], 0
    while sum(map(len, lines)) < size:
        number += 1
        lines.append(
            f"a=candidate:{number} 1 UDP {2130706431 - number} {address} {4000 + number} typ host\r\n"
        )
    return "".join(lines)


def fragments() -> int:
    """Fragments that were made in this namespace."""
    names, values = (
        line.split()
        for line in Path("/proc/net/snmp").read_text("ascii").splitlines()
        if line.startswith("Ip:")
    )
    return int(values[names.index("FragCreates")])


@asynccontextmanager
async def box(**changes: object) -> AsyncIterator[BareBox]:
    """A box of which only Kamailio runs: nothing touches the description."""
    claim = addresses.claim()
    try:
        async with BareBox(claim.addresses, claim.folder, site_document(claim.addresses, **changes)) as made:
            yield made
            assert made.faults() == []
    finally:
        claim.release()


def take_up(incoming: Incoming) -> None:
    """Answer with a description as long as the offer."""
    if incoming.request.method == "INVITE":
        incoming.reply(200, body=large_offer("127.0.0.1", LARGE_BYTES))
    else:
        incoming.reply(200)


async def inside(transport: str, size: int) -> None:
    """A telephone calls another one, which speaks UDP."""
    async with (
        box(call_control="local") as made,
        made.phone("201", 1, transport=transport) as caller,
        made.phone("202", 2, on_request=take_up) as callee,
    ):
        assert (await caller.register()).code == (await callee.register()).code == 200
        before, offer = fragments(), large_offer(caller.address, size)
        call = await caller.invite(f"sip:202@{made.addresses.box_lan}", body=offer)
        assert (await call.wait()).code == 200
        (came,) = [m for _, m in callee.received if m.is_request and m.method == "INVITE"]
        assert came.body == offer, "another description came than was sent"
        assert call.final is not None and len(call.final.body) >= LARGE_BYTES
        assert fragments() - before >= size // PACKET_BYTES, "nothing was cut: nothing was tested"
        assert (await caller.bye(caller.dialog(call))).code == 200


async def line_that_eats_fragments() -> None:
    """Many firewalls do. The cloud answers small requests, is never reached by large ones, and is passed over."""
    async with (
        box() as made,
        made.phone("201", 1) as caller,
        made.phone("202", 2, on_request=take_up) as callee,
        made.cloud(on_request=take_up) as cloud,
    ):
        assert (await caller.register()).code == (await callee.register()).code == 200
        rules = (
            f"add table ip t; add chain ip t c {{ type filter hook output priority -401; }}; "
            f"add rule ip t c ip daddr {made.addresses.cloud_seen_by_box} meta length > {PACKET_BYTES} drop"
        )
        subprocess.run(["nft", rules], check=True, timeout=10)
        small = await caller.invite(f"sip:202@{made.addresses.box_lan}")
        assert (await small.wait()).code == 200
        assert "INVITE" in [m.method for _, m in cloud.received if m.is_request], "beside registrations"
        assert (await caller.bye(caller.dialog(small))).code == 200
        large = await caller.invite(
            f"sip:202@{made.addresses.box_lan}", body=large_offer(caller.address, LARGE_BYTES)
        )
        assert (await large.wait(timeout_s=10)).code == 200
        await wait_until(
            lambda: any(m.method == "INVITE" for _, m in callee.received if m.is_request), "it rang here"
        )
        assert (await caller.bye(caller.dialog(large))).code == 200


CALLS = {
    "udp_to_udp": lambda: inside("udp", LARGE_BYTES),
    "tcp_to_udp": lambda: inside("tcp", LARGEST_BYTES),
    "line_that_eats_fragments": line_that_eats_fragments,
}

if __name__ == "__main__":
    asyncio.run(CALLS[sys.argv[1]]())
