"""CORE: where in the recording a packet's audio belongs.

Time stamps place packets to the sample; the capture's clock places the first one, and again whenever the two disagree
(hold, another source, a phone that jumps), so that silence in the call is silence of the same length in the recording.
"""

from dataclasses import dataclass

from appliance.media.rtp import RtpPacket

RESYNC_S = 0.3
"""A time stamp this far from the packet's arrival is not jitter any more: 300 ms is past every usual jitter buffer."""


@dataclass(slots=True)
class Timeline:
    """Placement of one direction's packets. start_s: the recording's beginning in capture time."""

    start_s: float
    ssrc: int = -1
    clock_hz: int = 0
    anchor_s: float = 0.0
    anchor_timestamp: int = 0

    def place_s(self, packet: RtpPacket, clock_hz: int) -> float:
        """Seconds from the recording's beginning at which the packet's audio starts; never negative."""
        elapsed = (packet.timestamp - self.anchor_timestamp + 0x80000000) % 0x100000000 - 0x80000000
        at_s = self.anchor_s + elapsed / clock_hz
        known = packet.ssrc == self.ssrc and clock_hz == self.clock_hz
        if not known or abs(at_s - packet.at_s) > RESYNC_S:
            self.ssrc, self.clock_hz = packet.ssrc, clock_hz
            self.anchor_s, self.anchor_timestamp = packet.at_s, packet.timestamp
            at_s = packet.at_s
        return max(0.0, at_s - self.start_s)
