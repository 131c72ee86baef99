"""What a prompt of one's own may be, and what is said of one that is not. Pure.

A file is told by its first bytes, never by its name: what reads it afterwards is told which format to take, so that no file
can ask for another one, for a play-list or for an address.
"""

from appliance.errors import KyusaiError

FILE_BYTES_MAX = 64 * 1024 * 1024
"""Ten minutes as a studio hands them over: 24 bits, 44.1 kHz, one channel. Compressed it is a tenth."""

SECONDS_MIN, SECONDS_MAX = 0.2, 600.0
"""Shorter is a click; longer nobody listens to."""

TRUNCATED_S = 1.0
"""So much less than the file itself tells of: it was cut off."""

WAV_HEAD_BYTES = 64 * 1024
"""Within so much a WAV file says how it is coded and how long it is."""

WORK_S = 60.0
"""For the whole of a conversion, which takes a second or two."""

MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""Of the process that converts, with the libraries that it maps."""

RATE_HZ_MIN, RATE_HZ_MAX = 8_000, 192_000
CHANNELS_MAX = 8

FORMATS = "WAV, MP3, FLAC, Ogg (Vorbis, Opus), M4A/AAC, AIFF, AU"


def container(head: bytes) -> str:
    """The format's name, for the reader (libavformat's), by a file's first 16 bytes; "" for none that is taken."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    for start, name in ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"), (b".snd", "au")):
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "mp3"
    return ""


def wav_cut_off(head: bytes, size_bytes: int) -> tuple[float, float] | None:
    """Seconds that a WAV file holds and that its header tells of, where they differ; readers take what is there and say
    nothing. head: its first bytes, `WAV_HEAD_BYTES` are enough. Lengths of 0 and of 4 GiB mean that nobody knew."""
    at, bytes_per_s = 12, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 24 <= len(head):
            bytes_per_s = int.from_bytes(head[at + 16 : at + 20], "little")
        if name == b"data":
            there = size_bytes - at - 8
            if not bytes_per_s or length in (0, 0xFFFFFFFF) or there >= length - TRUNCATED_S * bytes_per_s:
                return None
            return there / bytes_per_s, length / bytes_per_s
        at += 8 + length + length % 2
    return None


def not_audio(name: str) -> KyusaiError:
    """Of a file that is none of the formats, or cannot be read as what it says it is."""
    return KyusaiError(
        "prompt.not_audio",
        f"{name} is not audio that can be read; allowed are {FORMATS}",
        "Save the recording as WAV and try again.",
        name=name,
        formats=FORMATS,
    )


def too_large(name: str, size_bytes: int) -> KyusaiError:
    """Of a file above `FILE_BYTES_MAX`."""
    return KyusaiError(
        "prompt.too_large",
        f"{name} has {size_bytes:,} bytes; at most {FILE_BYTES_MAX:,} are allowed",
        "Shorten the recording, or save it as MP3 or FLAC.",
        name=name,
        size=f"{size_bytes:,}",
        most=f"{FILE_BYTES_MAX:,}",
    )


def wrong_length(name: str, seconds: float) -> KyusaiError:
    """Of audio that is too short or too long. seconds: as far as it was read."""
    return KyusaiError(
        "prompt.length",
        f"{name} lasts {seconds:.1f} s; {SECONDS_MIN:g} to {SECONDS_MAX:g} s are allowed",
        "Cut it to what callers are to hear.",
        name=name,
        seconds=f"{seconds:.1f}",
        least=f"{SECONDS_MIN:g}",
        most=f"{SECONDS_MAX:g}",
    )


def truncated(name: str, seconds: float, told_s: float) -> KyusaiError:
    """Of a file that ends before the length that it tells of."""
    return KyusaiError(
        "prompt.truncated",
        f"{name} ends after {seconds:.1f} s, but says that it lasts {told_s:.1f} s: it was cut off",
        "Copy or export it again.",
        name=name,
        seconds=f"{seconds:.1f}",
        told=f"{told_s:.1f}",
    )


def wrong_rate(name: str, rate_hz: int, channels: int) -> KyusaiError:
    """Of audio that no recorder makes."""
    return KyusaiError(
        "prompt.rate",
        f"{name} has {rate_hz:,} samples a second and {channels} channels; {RATE_HZ_MIN:,} to {RATE_HZ_MAX:,} and at most "
        f"{CHANNELS_MAX} are allowed",
        "Save it with 16,000 or 48,000 samples a second.",
        name=name,
        rate=f"{rate_hz:,}",
        channels=channels,
        least=f"{RATE_HZ_MIN:,}",
        most=f"{RATE_HZ_MAX:,}",
        channels_most=CHANNELS_MAX,
    )


def silent(name: str) -> KyusaiError:
    """Of audio in which nothing can be heard."""
    return KyusaiError(
        "prompt.silent",
        f"{name} is silent: nothing in it is as loud as a whisper",
        "Check the microphone, and whether the right track was exported.",
        name=name,
    )


def too_costly(name: str) -> KyusaiError:
    """Of a file that takes more time or memory than any recording does."""
    return KyusaiError(
        "prompt.too_costly",
        f"{name} takes more than {WORK_S:g} s or {MEMORY_BYTES_MAX // 2**20:,} MiB to read: it is damaged, or made to do so",
        "Save the recording as WAV and try again.",
        name=name,
        seconds=f"{WORK_S:g}",
        memory=f"{MEMORY_BYTES_MAX // 2**20:,}",
    )
