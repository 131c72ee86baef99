"""One capture into stereo samples on disk: the caller left, the callee right. Memory stays flat however long the call."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appliance.media.capture import CaptureDamaged, Datagram, datagrams
from appliance.media.decode import Decoder, Samples, known, wideband
from appliance.media.metadata import CaptureMap, Codec, Side
from appliance.media.rtp import RtpPacket, in_order, parse
from appliance.media.timeline import Timeline

NARROWBAND_HZ = 8000
WIDEBAND_HZ = 16000
LONGEST_S = 24 * 3600
"""A day: a time stamp beyond it is damage, not a call, and must not make the file grow."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Raw samples of both sides. rate_hz: 8000, or 16000 when any side spoke wideband; start_s: Unix time of the first
    packet; frames: samples per side; left, right: raw little-endian 16-bit files."""

    rate_hz: int
    start_s: float
    frames: int
    left: Path
    right: Path

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.frames / self.rate_hz


class NothingToHear(Exception):
    """The capture holds no audio: a call that was never answered, or that sent none."""


def mix(capture: Path, ports: CaptureMap, work_dir: Path) -> Mixed:
    """Decodes `capture` into two raw files in `work_dir`. Raises NothingToHear; a damaged tail is left out."""
    start_s, rate_hz = _survey(capture, ports)
    files = {side: work_dir / f"{side}.raw" for side in Side}
    frames = 0
    for side, path in files.items():
        with path.open("w+b") as out:
            frames = max(frames, _write_side(capture, ports, side, start_s, rate_hz, out.fileno()))
    for path in files.values():
        os.truncate(path, frames * 2)
    return Mixed(rate_hz, start_s, frames, files[Side.CALLER], files[Side.CALLEE])


def _heard(capture: Path, ports: CaptureMap, side: Side | None) -> Iterator[tuple[RtpPacket, Codec]]:
    with capture.open("rb") as stream:
        packets = datagrams(stream)
        while True:
            try:
                datagram: Datagram = next(packets)
            except (StopIteration, CaptureDamaged):
                return
            owner = ports.sides.get(datagram.target)
            if owner is None or (side is not None and owner is not side):
                continue
            packet = parse(datagram.at_s, datagram.payload)
            codec = packet and ports.codecs[datagram.target].get(packet.payload_type)
            if packet and codec and known(codec):
                yield packet, codec


def _survey(capture: Path, ports: CaptureMap) -> tuple[float, int]:
    start_s, rate_hz = None, NARROWBAND_HZ
    for packet, codec in _heard(capture, ports, None):
        start_s = packet.at_s if start_s is None else min(start_s, packet.at_s)
        if wideband(codec):
            rate_hz = WIDEBAND_HZ
    if start_s is None:
        raise NothingToHear(capture.name)
    return start_s, rate_hz


def _write_side(capture: Path, ports: CaptureMap, side: Side, start_s: float, rate_hz: int, out: int) -> int:
    codecs: dict[int, Codec] = {}

    def heard() -> Iterator[RtpPacket]:
        for packet, codec in _heard(capture, ports, side):
            codecs[packet.payload_type] = codec
            yield packet

    timeline = Timeline(start_s)
    decoder, decoding, end = None, None, 0
    for packet in in_order(heard()):
        codec = codecs[packet.payload_type]
        if decoder is None or codec != decoding:
            decoder, decoding = Decoder(codec, rate_hz), codec
        at_s = timeline.place_s(packet, codec.clock_hz)
        if at_s > LONGEST_S:
            continue
        samples: Samples = decoder.decode(packet.payload)
        position = round(at_s * rate_hz)
        os.pwrite(out, samples.astype("<i2").tobytes(), position * 2)
        end = max(end, position + len(samples))
    return end


def stereo_blocks(mixed: Mixed, block_frames: int) -> Iterator[Samples]:
    """The recording as arrays of shape (frames, 2), int16, at most `block_frames` long."""
    with mixed.left.open("rb") as left, mixed.right.open("rb") as right:
        while chunk := left.read(block_frames * 2):
            pair = (np.frombuffer(chunk, "<i2"), np.frombuffer(right.read(len(chunk)), "<i2"))
            yield np.stack(pair, axis=1)
