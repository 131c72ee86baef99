"""Tones are told apart, and silence and noise are not taken for tones."""

import itertools

import numpy as np
import pytest

from tests.lab import tones

RATE_HZ = 8000
WINDOW = int(tones.WINDOW_S * RATE_HZ)


def test_two_neighbouring_tones_are_both_heard() -> None:
    mix = tones.sine(500, RATE_HZ, 0, WINDOW) + tones.sine(530, RATE_HZ, 0, WINDOW)
    assert tones.only(tones.heard(mix, RATE_HZ), [500, 530])


def test_level_of_a_full_tone_is_that_of_its_amplitude() -> None:
    (tone,) = tones.heard(tones.sine(860, RATE_HZ, 0, WINDOW), RATE_HZ)
    assert tone.hz == pytest.approx(860, abs=1)
    assert tone.level_db == pytest.approx(-10.5, abs=1)


def test_noise_of_a_quiet_line_is_silence() -> None:
    noise = np.random.default_rng(1).normal(0, 0.003, WINDOW)
    assert tones.heard(noise, RATE_HZ) == []


def test_too_short_a_piece_is_silence() -> None:
    assert tones.heard(tones.sine(500, RATE_HZ, 0, WINDOW // 4), RATE_HZ) == []


def test_pieces_of_a_tone_join_without_a_click() -> None:
    whole = tones.sine(500, RATE_HZ, 0, 400)
    assert np.allclose(
        np.concatenate([tones.sine(500, RATE_HZ, 0, 150), tones.sine(500, RATE_HZ, 150, 250)]), whole
    )


def test_pcm_survives_stereo() -> None:
    sent = tones.sine(500, RATE_HZ, 0, 100)
    assert np.allclose(tones.from_pcm16(tones.pcm16(sent, 2), 2), sent, atol=1e-4)


def test_assigned_tones_are_told_apart() -> None:
    all_hz = [tones.assigned(index) for index in range(tones.TONES)]
    assert min(b - a for a, b in itertools.pairwise(all_hz)) > 2 * tones.SAME_HZ
    with pytest.raises(ValueError, match="0 to"):
        tones.assigned(tones.TONES)


def test_the_longest_silence_is_found_and_what_is_missing_was_silent() -> None:
    tone, quiet = tones.sine(500, RATE_HZ, 0, 4_000), np.zeros(2_400)
    heard = np.concatenate([tone, quiet, tone, quiet[:800], tone])
    assert tones.longest_silence_s(heard, RATE_HZ, 1.9) == pytest.approx(0.3, abs=0.03)
    assert tones.longest_silence_s(heard, RATE_HZ, 2.9) == pytest.approx(1.3, abs=0.03)
