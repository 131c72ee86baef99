"""What becomes of the files that people hand in as prompts: one level, one format, or a word on what is wrong with them."""

import io
import os
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from appliance.errors import KyusaiError
from appliance.freeswitch import loudness
from appliance.text import explain
from cloudsync import prompt_audio, prompt_rules
from cloudsync.prompt_audio import PromptAudio
from tests.helpers.recordings import speech, write, write_aac

LEVEL_WINDOW_DB = 0.7
"""What lossy coding and the limit of peaks leave of the wanted level."""


def samples(audio: PromptAudio) -> loudness.Samples:
    with wave.open(io.BytesIO(audio.wav)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16_000)
    return np.asarray(soundfile.read(io.BytesIO(audio.wav))[0], dtype=np.float64)


MADE: dict[str, Callable[[Path], Path]] = {
    "wav of 24 bits": lambda folder: write(folder / "a.wav", speech(), subtype="PCM_24"),
    "wav of a telephone": lambda folder: write(folder / "a.wav", speech(rate_hz=8_000), 8_000, "ULAW"),
    "wav in stereo": lambda folder: write(folder / "a.wav", np.stack([speech(), speech()], 1), 44_100),
    "flac": lambda folder: write(folder / "a.flac", speech()),
    "mp3": lambda folder: write(folder / "a.mp3", speech()),
    "vorbis": lambda folder: write(folder / "a.ogg", speech(), subtype="VORBIS"),
    "opus": lambda folder: write(folder / "a.ogg", speech(), subtype="OPUS"),
    "aiff": lambda folder: write(folder / "a.aiff", speech()),
    "au": lambda folder: write(folder / "a.au", speech()),
    "m4a": lambda folder: write_aac(folder / "a.m4a", speech(), "ipod"),
    "aac": lambda folder: write_aac(folder / "a.aac", speech(), "adts"),
    "very low": lambda folder: write(folder / "a.wav", speech(level=0.02)),
    "very loud": lambda folder: write(folder / "a.wav", speech(level=0.99)),
    "with a wrong ending": lambda folder: write(folder / "a.flac", speech()).rename(folder / "a.mp3"),
    "with a hostile name": lambda folder: write(folder / "a.wav", speech()).rename(
        folder / "$(touch x);`id`\n|concat:-i ..%2f'\".wav"
    ),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_a_recording_of_any_kind_becomes_a_prompt_of_the_same_level(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    audio = prompt_audio.convert(make(tmp_path))
    heard = samples(audio)
    assert loudness.loudness_dbfs(heard) == pytest.approx(loudness.LOUDNESS_DBFS, abs=LEVEL_WINDOW_DB)
    assert np.abs(heard).max() <= 10 ** (loudness.PEAK_DBFS / 20) + 1e-3
    assert 2.5 < audio.seconds < 3.6
    assert [path.name for path in tmp_path.iterdir() if path.name == "x"] == []


def test_the_same_recording_is_the_same_prompt(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speech())
    assert prompt_audio.convert(path).sha256 == prompt_audio.convert(path).sha256


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def lying_flac(path: Path) -> Path:
    """A quarter of a megabyte that unfolds to an hour and more, and says that it lasts for a second."""
    soundfile.write(path, np.zeros(16_000 * 4_000, dtype=np.int16), 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: 36 bits of total samples
    data[22:26] = (16_000).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text": (lambda folder: _bytes(folder, b"Guten Tag, welcome\n" * 50), "prompt.not_audio"),
    "nothing": (lambda folder: _bytes(folder, b""), "prompt.not_audio"),
    "a play-list": (lambda folder: _bytes(folder, b"#EXTM3U\nfile:///etc/passwd\n"), "prompt.not_audio"),
    "a head and rubbish": (lambda folder: _bytes(folder, b"fLaC" + os.urandom(5_000)), "prompt.not_audio"),
    "rubbish as mp3": (lambda folder: _bytes(folder, b"ID3" + os.urandom(50_000)), "prompt.not_audio"),
    "a pipe": (lambda folder: pipe(folder / "a.wav"), "prompt.not_audio"),
    "an hour": (
        lambda folder: write(folder / "a.flac", np.zeros(16_000 * 3_600) + 0.1, 16_000),
        "prompt.length",
    ),
    "an hour that says it is a second": (lambda folder: lying_flac(folder / "a.flac"), "prompt.length"),
    "a click": (lambda folder: write(folder / "a.wav", speech(0.1)), "prompt.length"),
    "silence": (lambda folder: write(folder / "a.wav", 1e-5 * np.ones(48_000)), "prompt.silent"),
    "half a wav": (lambda folder: cut(write(folder / "a.wav", speech()), 0.4), "prompt.truncated"),
    "half a flac": (lambda folder: cut(write(folder / "a.flac", speech()), 0.4), "prompt.truncated"),
    "half an m4a": (
        lambda folder: cut(write_aac(folder / "a.m4a", speech(), "ipod"), 0.4),
        "prompt.not_audio",
    ),
    "4,000 samples a second": (
        lambda folder: write(folder / "a.wav", speech(rate_hz=4_000), 4_000),
        "prompt.rate",
    ),
    "too many channels": (
        lambda folder: write(folder / "a.wav", np.repeat(speech()[:, None], 12, 1)),
        "prompt.rate",
    ),
}


def _bytes(folder: Path, data: bytes) -> Path:
    path = folder / "a.wav"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("make", "key"), BAD.values(), ids=BAD.keys())
def test_what_is_no_prompt_is_refused_with_what_is_wrong(
    make: Callable[[Path], Path], key: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    began_s = time.monotonic()
    with pytest.raises(KyusaiError) as caught:
        prompt_audio.convert(path)
    assert caught.value.key == key
    assert time.monotonic() - began_s < 30
    english, japanese = explain(caught.value, "en"), explain(caught.value, "ja")
    assert english == (caught.value.message, caught.value.hint)
    assert english[0] != japanese[0]
    assert "{" not in japanese[0]


def test_a_file_above_the_limit_is_not_read_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(prompt_rules.FILE_BYTES_MAX + 1)
    with pytest.raises(KyusaiError) as caught:
        prompt_audio.convert(path)
    assert caught.value.key == "prompt.too_large"


def test_a_reader_that_takes_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_rules, "WORK_S", -4.9)
    path = write(tmp_path / "a.wav", speech(60))
    with pytest.raises(KyusaiError) as caught:
        prompt_audio.convert(path)
    assert caught.value.key == "prompt.too_costly"


def test_ten_minutes_are_converted_within_the_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", speech(595.0, rate_hz=44_100), 44_100)
    assert prompt_audio.convert(path).seconds == pytest.approx(595, abs=1)


def test_conversions_side_by_side_do_not_meet(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}.wav", speech(1 + number / 4)) for number in range(3)]
    found: dict[Path, float] = {}
    threads = [
        threading.Thread(target=lambda path=path: found.update({path: prompt_audio.convert(path).seconds}))
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [round(found[path], 2) for path in paths] == sorted(round(one, 2) for one in found.values())
