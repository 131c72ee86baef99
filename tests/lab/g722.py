"""G.722 (ITU-T) for talkers, by FFmpeg through PyAV, loaded when it is first used."""

from typing import Any

from tests.lab.tones import Samples

G722 = 9
"""RTP payload type (RFC 3551); its clock runs at 8,000 Hz, its audio at 16,000."""


class Encoder:
    """One direction."""

    def __init__(self) -> None:
        self._context: Any = None

    def encode(self, samples: Samples) -> bytes:
        """16 kHz samples from -1 to 1 as one packet; the encoder goes on where the packet before ended."""
        import av  # half a second that only a talker in this codec pays

        if self._context is None:
            self._context = av.CodecContext.create("g722", "w")
            self._context.sample_rate, self._context.layout, self._context.format = 16000, "mono", "s16"
        pcm = (samples * 32767).astype("<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = 16000
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
