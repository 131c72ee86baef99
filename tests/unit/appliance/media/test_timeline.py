"""Audio lands where it was heard: otherwise the two sides of a recording drift apart."""

import pytest

from appliance.media.rtp import RtpPacket
from appliance.media.timeline import Timeline


def at(seconds: float, timestamp: int, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(seconds, ssrc, 0, 0, timestamp % 0x100000000, b"")


def test_jitter_does_not_move_audio_and_the_wrap_is_no_jump() -> None:
    timeline = Timeline(100.0)
    start = 0xFFFFFFFF - 159
    places = [
        timeline.place_s(at(100.0 + 0.02 * n + late, start + 160 * n), 8000)
        for n, late in enumerate((0, 0.05, -0.01))
    ]
    assert places == pytest.approx([0.0, 0.02, 0.04])


def test_pause_with_frozen_time_stamps_is_placed_by_arrival() -> None:
    timeline = Timeline(100.0)
    timeline.place_s(at(100.0, 0), 8000)
    assert timeline.place_s(at(105.0, 160), 8000) == pytest.approx(5.0)


def test_new_source_or_clock_is_placed_by_arrival() -> None:
    timeline = Timeline(100.0)
    timeline.place_s(at(100.0, 0), 8000)
    assert timeline.place_s(at(101.0, 77777, ssrc=2), 8000) == pytest.approx(1.0)
    assert timeline.place_s(at(102.0, 99, ssrc=2), 48000) == pytest.approx(2.0)
