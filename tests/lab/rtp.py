"""One RTP stream of the lab's gateway and talkers: sends a tone in G.711 or G.722, listens in G.711. Its own socket, paced by
the event loop.
"""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections import deque

import numpy as np

from tests.lab import g711, g722, tones

RATE_HZ = 8000
PACKET_S = 0.02
PACKET_SAMPLES = 160
KEPT_S = 30.0
"""Of what came in: longer than any prompt that a test listens to."""
PORTS = range(10000, 19998)
SENDABLE = (g711.PCMU, g711.PCMA, g722.G722)


class Stream:
    """Sends ``tone_hz`` to ``peer`` once it is known; ``hear`` tells what comes in."""

    def __init__(self, address: str, tone_hz: float, ports: range = PORTS) -> None:
        """Bind a free even port of the address. Raises ``OSError`` when there is none."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        _bind(self.socket, address, ports)
        self.port = int(self.socket.getsockname()[1])
        self.peer: tuple[str, int] | None = None
        self.law = g711.PCMU
        self.packets_in = 0
        self.speaking = True
        """False: nothing is sent, while the stream's time goes on."""
        self.said: list[list[float]] = []
        """When something was sent: [first, end of last packet] in ``time.monotonic`` seconds."""
        self._wideband = g722.Encoder()
        self._tone_hz = tone_hz
        self._recent: deque[tuple[float, tones.Samples]] = deque(maxlen=int(KEPT_S / PACKET_S))
        self._running: asyncio.Task[None] | None = None

    def start(self, peer: tuple[str, int], payloads: list[int]) -> None:
        """Begin (or go on) to send to ``peer``, in the first of its payload types that is known."""
        self.peer = peer
        self.law = next((number for number in payloads if number in SENDABLE), g711.PCMU)
        if self._running is None:
            asyncio.get_running_loop().add_reader(self.socket, self._receive)
            self._running = asyncio.create_task(self._send())

    def stop(self) -> None:
        """Close the stream."""
        if self._running is not None:
            self._running.cancel()
            asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()

    def hear(self) -> list[tones.Tone]:
        """The tones of the last window."""
        since = time.monotonic() - tones.WINDOW_S
        pieces = [samples for at, samples in self._recent if at >= since]
        return tones.heard(np.concatenate(pieces), RATE_HZ) if pieces else []

    def recorded(self) -> tones.Samples:
        """What came in, of the last `KEPT_S`, at `RATE_HZ`."""
        return np.concatenate([samples for _, samples in self._recent] or [np.zeros(0)])

    async def _send(self) -> None:
        sequence, source, sample = random.randrange(1 << 15), random.randrange(1 << 32), 0
        due = time.monotonic()
        while True:
            assert self.peer is not None
            if self.speaking:
                header = struct.pack("!BBHII", 0x80, self.law, sequence & 0xFFFF, sample, source)
                with contextlib.suppress(OSError):
                    self.socket.sendto(header + self._packet(sample), self.peer)
                self._note(due)
                sequence += 1
            sample, due = sample + PACKET_SAMPLES, due + PACKET_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _packet(self, sample: int) -> bytes:
        if self.law == g722.G722:
            return self._wideband.encode(
                tones.sine(self._tone_hz, 2 * RATE_HZ, 2 * sample, 2 * PACKET_SAMPLES)
            )
        return g711.encode(tones.sine(self._tone_hz, RATE_HZ, sample, PACKET_SAMPLES), self.law)

    def _note(self, due: float) -> None:
        if not self.said or due - self.said[-1][1] > PACKET_S / 2:
            self.said.append([due, due])
        self.said[-1][1] = due + PACKET_S

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                packet = self.socket.recv(2048)
                self.packets_in += 1
                law = packet[1] & 0x7F if len(packet) > 12 else -1
                if law in (g711.PCMU, g711.PCMA):
                    self._recent.append((time.monotonic(), g711.decode(packet[12:], law)))


def _bind(sock: socket.socket, address: str, ports: range) -> None:
    even = [port for port in ports if port % 2 == 0]
    random.shuffle(even)
    for port in even:
        with contextlib.suppress(OSError):
            sock.bind((address, port))
            return
    raise OSError(f"no free even port among {ports.start} to {ports.stop - 1} of {address}")
