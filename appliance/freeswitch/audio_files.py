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

SILENCE_S = 0.02

CHORDS_HZ = (
    (261.6, 329.6, 392.0, 523.3),
    (220.0, 261.6, 329.6, 440.0),
    (174.6, 220.0, 261.6, 349.2),
    (196.0, 246.9, 293.7, 392.0),
)
"""C, A minor, F, G: broken upwards and downwards, as everybody has heard it."""

HOLD_TRACKS = ("hold.wav", "hold-again.wav")
HOLD_ROUNDS = 1_000
"""Nine hours."""

NOTE_S = 0.5
NOTE_AMPLITUDE = 3_500
DECAY_S = 0.45


def write_tone(path: Path) -> None:
    """Write the sign that something which should be heard is missing. Blocks on disk. Raises OSError."""
    samples: list[int] = []
    for seconds, sounding in PIECES_S:
        count = int(seconds * RATE_HZ)
        fade = int(FADE_S * RATE_HZ)
        for index in range(count):
            level = min(1.0, index / fade, (count - index) / fade) * AMPLITUDE if sounding else 0.0
            samples.append(int(level * math.sin(2 * math.pi * TONE_HZ * index / RATE_HZ)))
    _write(path, samples)


def write_silence(path: Path) -> None:
    """Write what is played where nothing is to be heard. Blocks on disk. Raises OSError."""
    _write(path, [0] * int(SILENCE_S * RATE_HZ))


def write_hold_music(path: Path) -> None:
    """Write music on hold: plucked chords, made here, so that nobody's rights are in it. Blocks on disk. Raises OSError."""
    notes = [hz for chord in CHORDS_HZ for hz in (*chord, *chord[-2:0:-1], chord[0], chord[2])]
    samples: list[int] = []
    count = int(NOTE_S * RATE_HZ)
    for hz in notes:
        for index in range(count):
            at_s = index / RATE_HZ
            level = NOTE_AMPLITUDE * min(1.0, at_s / FADE_S) * math.exp(-at_s / DECAY_S)
            level *= min(1.0, (count - index) / (FADE_S * RATE_HZ))
            angle = 2 * math.pi * hz * at_s
            samples.append(int(level * (math.sin(angle) + 0.3 * math.sin(2 * angle))))
    _write(path, samples)


def list_hold_music(folder: Path) -> None:
    """Write `folder`'s music, and the list by which it goes on for hours. Whatever is there as it should be is left alone.

    FreeSWITCH is silent for a second before it reads a folder of music from its beginning (`read_stream_thread`,
    mod_local_stream.c, 1.11.2), and plays no file twice in a row; a list (".loc") is read to its end without a pause.
    Blocks on disk. Raises OSError.
    """
    tracks = [folder / name for name in HOLD_TRACKS]
    for track in tracks:
        if not track.exists():
            write_hold_music(track)
    text = "".join(f"{track.resolve()}\n" for track in tracks) * HOLD_ROUNDS
    path = folder / "hold.loc"
    if not path.exists() or path.read_text("utf-8") != text:
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        fresh.write_text(text, "utf-8")
        fresh.replace(path)


def _write(path: Path, samples: list[int]) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
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
