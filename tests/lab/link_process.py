"""The link emulator's process: reads its layout from the command line, its orders from a unix socket, one JSON per line.

Orders: ``{"state": LineState}`` answers ``{"applied_at": monotonic seconds}``; ``{"counts": true}`` answers the counters.
"""

import asyncio
import contextlib
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.lab.impair import Lane
from tests.lab.link_state import DIRECTIONS, LineState
from tests.lab.link_tcp import Listener, TcpRelay
from tests.lab.link_udp import Side, UdpRelay


class Emulator:
    """Everything that passes between the box and the outside."""

    def __init__(self, layout: dict[str, Any]) -> None:
        """``layout`` is what ``link.layout`` returns."""
        chance = random.Random(layout["seed"])
        self._lanes = {d: Lane(random.Random(chance.random())) for d in DIRECTIONS}
        self.counts: dict[str, Counter[str]] = {d: Counter() for d in DIRECTIONS}
        self._gates = {d: asyncio.Event() for d in DIRECTIONS}
        self._udp = UdpRelay(
            Side("up", layout["box"], layout["cloud_stand_in"], tuple(layout["cloud_ports"])),
            Side("down", layout["cloud"], layout["box_stand_in"], tuple(layout["box_ports"])),
            self._lanes,
            self.counts,
        )
        self._tcp = [
            TcpRelay(
                Listener(
                    t["direction"], (t["listen"], t["port"]), t["source"], (t["target"], t["target_port"])
                ),
                self._lanes,
                self._gates,
                self.counts,
            )
            for t in layout["tcp"]
        ]

    def open(self) -> None:
        """Bind everything. Raises ``OSError`` when an address is taken."""
        self._udp.open()
        for relay in self._tcp:
            relay.open()
        for gate in self._gates.values():
            gate.set()

    async def apply(self, state: LineState) -> float:
        """Change the line; returns when (the loop's monotonic clock, seconds)."""
        applied_at = asyncio.get_running_loop().time()
        for direction in DIRECTIONS:
            self._lanes[direction].impairment = state.impairment(direction)
            if state.blocks(direction):
                self._gates[direction].clear()
            else:
                self._gates[direction].set()
        self._udp.apply(state)
        for relay in self._tcp:
            await relay.apply(state)
        return applied_at

    def close(self) -> None:
        """Let go of every socket."""
        self._udp.close()
        for relay in self._tcp:
            relay.close()


async def _serve(layout: dict[str, Any], control: Path) -> None:
    emulator = Emulator(layout)
    emulator.open()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    async def orders(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                answer: dict[str, Any]
                try:
                    order = json.loads(line)
                    if "state" in order:
                        answer = {"applied_at": await emulator.apply(LineState.from_json(order["state"]))}
                    else:
                        answer = {"counts": {d: dict(c) for d, c in emulator.counts.items()}}
                except Exception as error:  # the one who gave the order is told
                    answer = {"error": f"{type(error).__name__}: {error}"}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(orders, control)
    print("link emulator ready", flush=True)
    async with server:
        await ended.wait()
    emulator.close()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1]), Path(sys.argv[2])))
