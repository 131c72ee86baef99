"""By which bytes a recording is told, and whether a WAV file ends before it says so."""

import struct

import pytest

from cloudsync import prompt_rules as rules

HEADS = [
    (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
    (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
    (b"RIFF\x24\0\0\0AVI LIST", ""),
    (b"FORM\0\0\0\x24AIFFCOMM", "aiff"),
    (b"fLaC\0\0\0\x22", "flac"),
    (b"OggS\0\x02", "ogg"),
    (b"ID3\x04\0\0", "mp3"),
    (b"\xff\xfb\x90\x64", "mp3"),
    (b"\xff\xf1\x50\x80", "aac"),
    (b"\0\0\0\x20ftypM4A ", "mov"),
    (b".snd\0\0\0\x18", "au"),
    (b"#EXTM3U\n", ""),
    (b"ffconcat version 1.0", ""),
    (b"<?xml version=", ""),
    (b"\x1a\x45\xdf\xa3", ""),
    (b"\xff", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("head", "name"), HEADS, ids=[ascii(head[:8]) for head, _ in HEADS])
def test_a_format_is_told_by_the_first_bytes(head: bytes, name: str) -> None:
    assert rules.container(head) == name


def wav(told_bytes: int, before: bytes = b"") -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    return b"RIFF\0\0\0\0WAVE" + form + before + b"data" + struct.pack("<I", told_bytes)


LIST = b"LIST" + struct.pack("<I", 5) + b"abcde\0"


@pytest.mark.parametrize(
    ("head", "there_bytes", "found"),
    [
        (wav(320_000), 320_000, None),
        (wav(320_000), 300_000, None),
        (wav(320_000), 32_000, (1.0, 10.0)),
        (wav(320_000, LIST), 64_000, (2.0, 10.0)),
        (wav(0xFFFFFFFF), 100, None),
        (wav(0), 100, None),
        (b"RIFF\0\0\0\0WAVE", 0, None),
        (b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\x7f", 10, None),
    ],
)
def test_a_wav_that_was_cut_off_is_told_by_its_own_length(
    head: bytes, there_bytes: int, found: tuple[float, float] | None
) -> None:
    assert rules.wav_cut_off(head, len(head) + there_bytes) == found


@pytest.mark.parametrize("junk", [b"\xff" * 64, b"fmt " * 16, bytes(range(64))])
def test_a_head_of_rubbish_ends_the_search(junk: bytes) -> None:
    assert rules.wav_cut_off(b"RIFF\0\0\0\0WAVE" + junk, 1_000) is None
