"""ADAPTER of PyAV (FFmpeg): one RTP payload after the other into linear samples at the recording's rate."""

import av
import numpy as np
from numpy.typing import NDArray

from appliance.media.metadata import Codec

Samples = NDArray[np.int16]

_DECODERS = {
    "pcmu": ("pcm_mulaw", 8000),
    "pcma": ("pcm_alaw", 8000),
    "g722": ("g722", 16000),
    "opus": ("libopus", 48000),
}
"""RTP name → FFmpeg's decoder and the rate it gives. Anything else on the line (DTMF, comfort noise) is not audio."""


class Decoder:
    """Decodes one direction while codec stays the same."""

    def __init__(self, codec: Codec, rate_hz: int) -> None:
        name, own_rate_hz = _DECODERS[codec.name]
        context = av.CodecContext.create(name, "r")
        if not isinstance(context, av.AudioCodecContext):
            raise TypeError(f"{name} is no audio codec of this FFmpeg")
        self._context = context
        self._context.sample_rate = own_rate_hz
        self._context.layout = "mono"
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)

    def decode(self, payload: bytes) -> Samples:
        """Mono samples of one payload; an empty array for one that does not decode."""
        try:
            frames = self._context.decode(av.Packet(payload))
            parts = []
            for frame in frames:
                frame.pts = None
                parts += [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        except av.FFmpegError:
            parts = []
        return np.concatenate(parts).astype(np.int16) if parts else np.zeros(0, np.int16)


def known(codec: Codec) -> bool:
    """True for a codec that carries audio this module can decode."""
    return codec.name in _DECODERS


def wideband(codec: Codec) -> bool:
    """True when the codec carries more than the telephone's 3.4 kHz."""
    return codec.name in ("g722", "opus")
