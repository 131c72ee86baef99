"""Turns the audio on standard input into a prompt on standard output: a process of its own, with little that it may use.

    python -P -m cloudsync.prompt_worker FORMAT <file >prompt.wav

It opens nothing: input and output are given to it, the format is named, and before the first byte is read its memory, its
time and what it may write to files are bounded. What is wrong is one JSON line on standard error: {"fault": ..., values}.
"""

import io
import json
import os
import resource
import sys
import wave
from itertools import chain
from typing import BinaryIO

import av
import numpy as np

from appliance.freeswitch.loudness import RATE_HZ, Samples, levelled
from cloudsync import prompt_rules as rules

DECODERS = frozenset(
    """
    aac alac flac libopus mp3 mp3float opus pcm_alaw pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw pcm_s16be pcm_s16le
    pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 vorbis
    """.split()  # noqa: SIM905 - a table
)
"""What recordings are coded with. All others stay unread: most of what was ever wrong in such libraries was in those."""


class Faulty(Exception):
    """What is wrong with the input: a rule's name and its values."""

    def __init__(self, fault: str, **values: float) -> None:
        super().__init__(fault)
        self.told = {"fault": fault, **values}


def main() -> int:
    """Exit code 0 with a WAV file on standard output, 3 with a fault on standard error."""
    _bound()
    try:
        samples = decoded(sys.stdin.buffer, sys.argv[1])
        try:
            prompt = levelled(samples, RATE_HZ)
        except ValueError:
            raise Faulty("silent") from None
        sys.stdout.buffer.write(wav(prompt))
        sys.stdout.buffer.flush()
    except Faulty as faulty:
        told = faulty.told
    except MemoryError:
        told = {"fault": "too_costly"}
    except (av.error.FFmpegError, ValueError, EOFError, OSError, OverflowError, IndexError):
        told = {"fault": "not_audio"}
    else:
        return 0
    print(json.dumps(told), file=sys.stderr)
    return 3


def decoded(source: BinaryIO, container: str) -> Samples:
    """All of the first audio stream, one channel at `RATE_HZ`. Raises `Faulty`, and what libav raises."""
    pieces: list[Samples] = []
    count = 0
    # The reader looks for lyrics, cover pictures and play-lists of its own; it gets bytes and one format.
    with av.open(source, "r", format=container) as opened:
        if not opened.streams.audio:
            raise Faulty("not_audio")
        stream = opened.streams.audio[0]
        context = stream.codec_context
        if context.name not in DECODERS:
            raise Faulty("not_audio")
        if not (rules.RATE_HZ_MIN <= context.sample_rate <= rules.RATE_HZ_MAX) or not (
            0 < context.channels <= rules.CHANNELS_MAX
        ):
            raise Faulty("wrong_rate", rate_hz=context.sample_rate, channels=context.channels)
        told_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        if told_s > rules.SECONDS_MAX:
            raise Faulty("wrong_length", seconds=told_s)
        mono = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        try:
            for frame in chain(opened.decode(stream), (None,)):  # None: what the resampler still holds
                for part in mono.resample(frame):
                    pieces.append(part.to_ndarray()[0].astype(np.float32))
                    count += len(pieces[-1])
                if count > rules.SECONDS_MAX * RATE_HZ:
                    raise Faulty("wrong_length", seconds=count / RATE_HZ)
        except av.error.FFmpegError:
            if not count or told_s - count / RATE_HZ <= rules.TRUNCATED_S:
                raise
    seconds = count / RATE_HZ
    if told_s - seconds > rules.TRUNCATED_S:
        raise Faulty("truncated", seconds=seconds, told_s=told_s)
    if seconds < rules.SECONDS_MIN:
        raise Faulty("wrong_length", seconds=seconds)
    whole = np.concatenate(pieces).astype(np.float64)
    if not np.isfinite(whole).all():
        raise Faulty("not_audio")
    return whole


def wav(samples: Samples) -> bytes:
    """16 bits, one channel, `RATE_HZ`, a header of 44 bytes and nothing else: the same audio is always the same bytes."""
    numbers = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2")
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        sound.writeframes(numbers.tobytes())
    return written.getvalue()


def _bound() -> None:
    limits = (
        (resource.RLIMIT_AS, rules.MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, int(rules.WORK_S)),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for what, most in limits:
        resource.setrlimit(what, (most, most))
    av.logging.set_level(av.logging.PANIC)
    os.nice(10)


if __name__ == "__main__":
    raise SystemExit(main())
