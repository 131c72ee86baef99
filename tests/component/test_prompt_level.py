"""Every prompt that a box makes is as loud as the next one, and begins and ends without a wait: made, read and measured."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from appliance.freeswitch import loudness, prompt_texts, speech
from appliance.freeswitch.prompt_texts import LANGUAGES, Spoken

pytest.importorskip("pyopenjtalk", reason="the package pyopenjtalk-plus is not installed")

LEVEL_WINDOW_DB = 3.0
"""Around the wanted level; one of a second's speech with a loud vowel is held back by its peak."""

EDGE_MAX_S = 0.25
QUIET = 10 ** (-45 / 20)
"""Nothing louder is silence."""

EVERY = {
    language: [one for one in prompt_texts.catalogue(()) if one.language == language]
    for language in LANGUAGES
}
SAMPLE = 6
"""Of the sentences every sixth is measured: all of them take minutes on a busy machine. Of the pieces every second one."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kyusai-level-") as name:
        yield Path(name)


def measured(language: str) -> list[Spoken]:
    return [*EVERY[language][::SAMPLE], *prompt_texts.pieces(language)[::2]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_are_equally_loud_not_clipped_and_without_long_silence(language: str, folder: Path) -> None:
    prompts = measured(language)
    assert speech.ensure(prompts, folder).failed == ()
    faults = []
    for one in prompts:
        samples, rate_hz = soundfile.read(folder / one.file)
        loud = np.nonzero(np.abs(samples) > QUIET)[0]
        level = loudness.loudness_dbfs(samples)
        edges_s = (loud[0] / rate_hz, (len(samples) - loud[-1]) / rate_hz)
        if abs(level - loudness.LOUDNESS_DBFS) > LEVEL_WINDOW_DB:
            faults.append((one.prompt, f"{level:.1f} dBFS"))
        if np.abs(samples).max() > 10 ** (loudness.PEAK_DBFS / 20) + 1e-3:
            faults.append((one.prompt, f"peak {np.abs(samples).max():.2f}"))
        if max(edges_s) > EDGE_MAX_S:
            faults.append((one.prompt, f"silence of {max(edges_s):.2f} s"))
        assert rate_hz == loudness.RATE_HZ
    assert faults == []


def test_a_level_that_is_off_would_be_noticed() -> None:
    tone = np.sin(np.arange(16_000) / 5)
    assert loudness.loudness_dbfs(0.1 * tone) == pytest.approx(-23.0, abs=0.1)
    assert loudness.loudness_dbfs(loudness.levelled(0.001 * tone + 0.01, 16_000)) == pytest.approx(
        loudness.LOUDNESS_DBFS, abs=0.1
    )
