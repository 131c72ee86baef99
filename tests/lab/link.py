"""The line between the box and everything outside: start it, cut it, spoil it, restore it.

A user-space symmetric NAT in a process of its own (``link_process.py``). All calls return the moment (``time.monotonic``
seconds, the same clock in every process of the machine) at which the line changed.
"""

import asyncio
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.lab import carrier
from tests.lab.addresses import CENTRE_PORT, SIP_PORT, Addresses
from tests.lab.link_state import Kind, LineState, directions
from tests.lab.processes import Process

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """The ports that cross the line. RTP ranges are small so that every port can have a socket."""

    box_rtp: range = range(31000, 31120)
    cloud_rtp: range = range(32000, 32080)
    sip: tuple[int, ...] = (SIP_PORT,)


def layout(addresses: Addresses, ports: Ports, seed: int) -> dict[str, Any]:
    """What the emulator's process is given: who stands where, which ports, which TCP services."""
    a = addresses
    tcp = []
    for port in ports.sip:
        tcp.append(_service("up", a.cloud_seen_by_box, port, a.box_seen_by_cloud, a.cloud))
        tcp.append(_service("down", a.box_seen_by_cloud, port, a.cloud_seen_by_box, a.box_wan))
    tcp.append(_service("up", a.centre_seen_by_box, CENTRE_PORT, a.box_seen_by_cloud, a.centre))
    return {
        "seed": seed,
        "box": a.box_wan,
        "cloud": a.cloud,
        "box_stand_in": a.box_seen_by_cloud,
        "cloud_stand_in": a.cloud_seen_by_box,
        "box_ports": [*ports.sip, *ports.box_rtp],
        "cloud_ports": [*ports.sip, *ports.cloud_rtp],
        "tcp": tcp,
    }


def _service(direction: str, listen: str, port: int, source: str, target: str) -> dict[str, Any]:
    return {
        "direction": direction,
        "listen": listen,
        "port": port,
        "source": source,
        "target": target,
        "target_port": port,
    }


class Link:
    """The line of one lab."""

    def __init__(self, addresses: Addresses, folder: Path, ports: Ports | None = None, seed: int = 1) -> None:
        """``seed`` decides which packets a lossy line loses."""
        self.addresses = addresses
        self.ports = ports or Ports()
        self.state = LineState()
        self._folder = folder
        self._socket = folder / "link.sock"
        words = json.dumps(layout(addresses, self.ports, seed))
        self.process = Process(
            "link",
            [sys.executable, "-m", "tests.lab.link_process", words, self._socket],
            folder,
            env={"PYTHONPATH": str(ROOT)},
        )
        self._carrier_gone = False
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Start the emulator with a perfect line."""
        await self.process.start()
        await self.process.wait_log("link emulator ready")

    async def stop(self) -> None:
        """End the emulator and give the carrier back."""
        self._give_carrier_back()
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
        await self.process.stop()

    async def cut(self, kind: str = "drop", direction: str = "both") -> float:
        """Cut the line: ``drop``, ``reject`` or ``close`` (see ``Kind``), one way or both."""
        return await self._apply(replace(self.state, kind=Kind(kind), cut=directions(direction)))

    async def half_open(self) -> float:
        """Let TCP connections stand (and new ones be made) while nothing passes; datagrams vanish."""
        return await self.cut("half_open")

    async def loss(self, ratio: float, direction: str = "both") -> float:
        """Lose ``ratio`` (0 to 1) of the packets."""
        return await self._spoil(direction, loss=ratio)

    async def delay(self, delay_ms: float, jitter_ms: float = 0.0, direction: str = "both") -> float:
        """Delay everything, each packet by up to ``jitter_ms`` more."""
        return await self._spoil(direction, delay_ms=delay_ms, jitter_ms=jitter_ms)

    async def reorder(self, ratio: float, direction: str = "both") -> float:
        """Let ``ratio`` (0 to 1) of the datagrams be overtaken by the next."""
        return await self._spoil(direction, reorder=ratio)

    async def throttle(self, bits_per_s: float, direction: str = "both") -> float:
        """Limit the rate; a queue of half a second, then datagrams are dropped."""
        return await self._spoil(direction, bits_per_s=bits_per_s)

    async def carrier_gone(self) -> float:
        """Take the box's own carrier away: its sends fail at once. Raises ``carrier.CarrierFixed`` where that needs
        rights that this process lacks (``carrier.can_take_away`` asks beforehand)."""
        moment = await self.cut("drop")
        self._carrier_gone = True
        for address in (self.addresses.cloud_seen_by_box, self.addresses.centre_seen_by_box):
            carrier.take_away(address, self._folder)
        return moment

    async def restore(self) -> float:
        """A perfect line again."""
        self._give_carrier_back()
        return await self._apply(LineState())

    async def counts(self) -> dict[str, dict[str, int]]:
        """Counters per direction: datagrams, bytes, passed, dropped, strangers, connections, stream_bytes, broken."""
        counts: dict[str, dict[str, int]] = (await self._ask({"counts": True}))["counts"]
        return counts

    async def _spoil(self, direction: str, **faults: float) -> float:
        state = self.state
        for name in directions(direction):
            if name == "up":
                state = replace(state, up=replace(state.up, **faults))
            else:
                state = replace(state, down=replace(state.down, **faults))
        return await self._apply(state)

    async def _apply(self, state: LineState) -> float:
        answer = await self._ask({"state": state.to_json()})
        self.state = state
        return float(answer["applied_at"])

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        async with self._turn:
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(self._socket)
            reader, writer = self._streams
            writer.write(json.dumps(order).encode() + b"\n")
            async with asyncio.timeout(5):
                line = await reader.readline()
        if not line:
            raise RuntimeError(f"the link emulator ended\n{self.process.log_tail()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the link emulator refused {order}: {answer['error']}")
        return answer

    def _give_carrier_back(self) -> None:
        if self._carrier_gone:
            for address in (self.addresses.cloud_seen_by_box, self.addresses.centre_seen_by_box):
                carrier.give_back(address)
            self._carrier_gone = False
