"""Small sounds that a box makes itself, written as WAV with the standard library alone. Adapter: disk only."""

import math
import os
import struct
import wave
from pathlib import Path

RATE_HZ = 8_000
TONE_HZ = 420
PIECES_S = ((0.3, True), (0.15, False), (0.3, True), (0.3, False))
"""Two short tones: nobody takes them for ringing, busy or a line that was cut."""

AMPLITUDE = 6_000
FADE_S = 0.01
"""A tone that begins or ends at once clicks."""


def write_tone(path: Path) -> None:
    """Write the sign that something which should be heard is missing. Blocks on disk. Raises OSError."""
    samples: list[int] = []
    for seconds, sounding in PIECES_S:
        count = int(seconds * RATE_HZ)
        fade = int(FADE_S * RATE_HZ)
        for index in range(count):
            level = min(1.0, index / fade, (count - index) / fade) * AMPLITUDE if sounding else 0.0
            samples.append(int(level * math.sin(2 * math.pi * TONE_HZ * index / RATE_HZ)))
    fresh = path.with_name(path.name + ".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with fresh.open("wb") as file:
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE_HZ)
            sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
