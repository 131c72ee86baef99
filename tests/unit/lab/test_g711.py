"""G.711 codes are the standard's, and coding loses no more than it must."""

import numpy as np
import pytest

from tests.lab import g711, tones


@pytest.mark.parametrize("law", [g711.PCMU, g711.PCMA])
def test_every_code_survives_decoding_and_coding(law: int) -> None:
    codes = bytes(range(256))
    again = g711.decode(g711.encode(g711.decode(codes, law), law), law)
    assert np.array_equal(again, g711.decode(codes, law))


@pytest.mark.parametrize(
    ("law", "code", "value"),
    [
        (g711.PCMU, 0xFF, 0),
        (g711.PCMU, 0x80, 32124),
        (g711.PCMU, 0x00, -32124),
        (g711.PCMA, 0xD5, 8),
        (g711.PCMA, 0xAA, 32256),
    ],
)
def test_codes_mean_what_the_standard_says(law: int, code: int, value: int) -> None:
    assert g711.decode(bytes([code]), law)[0] * 32768 == value


@pytest.mark.parametrize("law", [g711.PCMU, g711.PCMA])
def test_tone_is_heard_after_coding(law: int) -> None:
    coded = g711.decode(g711.encode(tones.sine(620, 8000, 0, 1600), law), law)
    assert tones.only(tones.heard(coded, 8000), [620])
