"""G.711 (ITU-T), both laws, on whole packets. Pure (numpy only)."""

import numpy as np
import numpy.typing as npt

from tests.lab.tones import Samples

PCMU, PCMA = 0, 8
"""RTP payload types (RFC 3551)."""


def _ulaw_table() -> npt.NDArray[np.float64]:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude) / 32768.0


def _alaw_table() -> npt.NDArray[np.float64]:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    magnitude = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, magnitude, -magnitude) / 32768.0


_DECODED = {PCMU: _ulaw_table(), PCMA: _alaw_table()}
_ORDER = {law: np.argsort(table, kind="stable") for law, table in _DECODED.items()}
_MIDDLES = {law: (t[_ORDER[law]][1:] + t[_ORDER[law]][:-1]) / 2 for law, t in _DECODED.items()}


def decode(payload: bytes, law: int) -> Samples:
    """Samples from -1 to 1. Raises ``KeyError`` for another payload type than ``PCMU`` and ``PCMA``."""
    return _DECODED[law][np.frombuffer(payload, np.uint8)]


def encode(samples: Samples, law: int) -> bytes:
    """The nearest code for every sample."""
    nearest = np.searchsorted(_MIDDLES[law], samples)
    return _ORDER[law][nearest].astype(np.uint8).tobytes()
