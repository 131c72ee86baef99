"""A line between two network namespaces: a TUN device in each, this process in between. TCP on both sides is the kernel's.

`python -m tests.bench.link_tun PID PID` joins the namespaces of two processes; a line of text on standard input ends the
count so far, which it prints as JSON, and begins a new one; the end of standard input ends it. Root only. The namespaces
have no names and go with their processes; nothing outside them is touched.
"""

import ctypes
import fcntl
import json
import os
import select
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from random import Random

from tests.bench.link_shape import Shape, Way

DEVICE = "kyusai0"
PACKET_BYTES = 2048
BURST = 64
"""Packets read from one side before the other side is looked at."""
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_CLONE_NEWNET = 0x40000000
_UDP = 17


def open_tun(pid: int) -> int:
    """A TUN device in the namespace of a process; stays ours when this process goes elsewhere."""
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(namespace, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the network namespace of {pid}")
    finally:
        os.close(namespace)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN_NO_PI))
    return device


def punctual() -> None:
    """This process runs when it wants to, however busy the machine is. It wants little."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))


class Line:
    """Two devices and what is on its way between them."""

    def __init__(self, ends: tuple[int, int], shape: Shape, seed: int) -> None:
        self._ends = ends
        self._shape = shape
        self._chance = Random(seed)
        self._under_way: tuple[deque[tuple[float, bytes]], ...] = (deque(), deque())
        self._begin()

    def _begin(self) -> None:
        self._ways = tuple(Way(self._shape, self._chance) for _ in self._ends)

    def counts(self) -> list[dict[str, object]]:
        """What became of packets since the last call; a queue that is not empty counts as empty from now on."""
        told = [
            {"calls": asdict(way.calls), "rest": asdict(way.rest), "queue_most_bytes": way.queue_most_bytes}
            for way in self._ways
        ]
        self._begin()
        return told

    def run(self, orders: int) -> None:
        """Until the end of `orders`."""
        while True:
            now_s = time.monotonic()
            due_s = min((way[0][0] for way in self._under_way if way), default=now_s + 1.0)
            ready, _, _ = select.select([*self._ends, orders], [], [], max(due_s - now_s, 0.0))
            for side in (0, 1):
                if self._ends[side] in ready:
                    self._take(side)
            self._hand_over()
            if orders in ready:
                if not os.read(orders, 4096):
                    return
                print(json.dumps(self.counts()), flush=True)

    def _take(self, side: int) -> None:
        way, under_way = self._ways[side], self._under_way[side]
        for _ in range(BURST):
            try:
                packet = os.read(self._ends[side], PACKET_BYTES)
            except BlockingIOError:
                return
            call = packet[0] >> 4 == 4 and packet[9] == _UDP
            due_s = way.arrive(time.monotonic(), len(packet), call)
            if due_s is not None:
                under_way.append((due_s, packet))

    def _hand_over(self) -> None:
        now_s = time.monotonic()
        for side, under_way in enumerate(self._under_way):
            while under_way and under_way[0][0] <= now_s:
                with suppress(OSError):  # the other side is not up yet
                    os.write(self._ends[1 - side], under_way.popleft()[1])


def main(arguments: list[str]) -> None:
    """The process. arguments: two process ids, then the shape as JSON and the seed of the loss."""
    ends = (open_tun(int(arguments[0])), open_tun(int(arguments[1])))
    punctual()
    print("ready", flush=True)
    Line(ends, Shape(**json.loads(arguments[2])), int(arguments[3])).run(sys.stdin.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
