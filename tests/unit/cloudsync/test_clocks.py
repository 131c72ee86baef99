"""When records were made on boxes whose clock was wrong. A failure shifts a right time by years, or leaves a wrong one."""

from datetime import UTC, datetime

import pytest

from cloudsync.clocks import Step, corrected_ms

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = ms("2026-11-21T09:00:00")
"""By the clock once it was set, at the moment the box tells."""

BY_1970 = Step(seq=10, wall_ms=NOW, by_ms=NOW - 600_000, uptime_ms=600_000)
"""Booted in 1970, heard the time after ten minutes."""

BY_2099 = Step(seq=10, wall_ms=NOW, by_ms=NOW - ms("2099-01-01T00:10:00"), uptime_ms=600_000)


@pytest.mark.parametrize(
    ("steps", "seq", "told", "made"),
    [
        pytest.param([], 5, NOW, NOW, id="a right clock"),
        pytest.param([BY_1970], 5, 60_000, NOW - 540_000, id="told a minute after a boot in 1970"),
        pytest.param([BY_1970], 12, 599_000, NOW - 1_000, id="the same, written down after the step was told"),
        pytest.param([BY_1970], 9, NOW - 3_000, NOW - 3_000, id="by the new clock, before the step was told"),
        pytest.param([BY_1970], 11, NOW + HOUR, NOW + HOUR, id="by the new clock"),
        pytest.param([BY_2099], 5, ms("2099-01-01T00:01:00"), NOW - 540_000, id="told in 2099"),
        pytest.param([BY_2099], 12, ms("2099-01-01T00:09:59"), NOW - 1_000, id="2099, written down later"),
        pytest.param([BY_2099], 9, NOW - 3_000, NOW - 3_000, id="right, before the step was told"),
        pytest.param([Step(10, NOW, 2_000, HOUR)], 9, NOW - 10_000, NOW - 8_000, id="a small step ahead"),
        pytest.param([Step(10, NOW, 2_000, HOUR)], 11, NOW + 1_000, NOW + 1_000, id="after a small step ahead"),
        pytest.param([Step(10, NOW, -HOUR, 2 * HOUR)], 9, NOW + HOUR - 60_000, NOW - 60_000, id="an hour back"),
        pytest.param([Step(10, NOW, -HOUR, 2 * HOUR)], 11, NOW + 60_000, NOW + 60_000, id="after an hour back"),
        pytest.param([Step(10, NOW, NOW - 600_000, None)], 5, 60_000, NOW - 540_000, id="uptime not told"),
        pytest.param(
            [Step(20, NOW, HOUR, 2 * HOUR), Step(10, NOW - 2 * HOUR, NOW - 2 * HOUR - 600_000, 600_000)],
            5, 60_000, NOW - HOUR - 540_000, id="set twice, the first time an hour short",
        ),
        pytest.param(
            [Step(20, NOW, HOUR, 2 * HOUR), Step(10, NOW - 2 * HOUR, NOW - 2 * HOUR - 600_000, 600_000)],
            15, NOW - HOUR - 5_000, NOW - 5_000, id="between the two",
        ),
    ],
)  # fmt: skip
def test_a_record_is_moved_by_what_the_clock_was_set_after_it(
    steps: list[Step], seq: int, told: int, made: int
) -> None:
    assert corrected_ms(seq, told, steps) == [made]


BACK = Step(seq=11, wall_ms=NOW, by_ms=-2 * HOUR, uptime_ms=8 * HOUR)
"""Two hours ahead, then set right, on a box that has been up for longer: both clocks have shown this very time."""


def test_records_between_a_step_and_its_news_were_made_by_the_new_clock() -> None:
    step = BACK.placed([(10, NOW - 2_000), (9, NOW - 2_100), (8, NOW + 2 * HOUR - 5_000), (7, NOW - 3_000)])
    assert step.since_seq == 9
    assert corrected_ms(10, NOW - 2_000, [step]) == [NOW - 2_000]
    assert corrected_ms(8, NOW + 2 * HOUR - 5_000, [step]) == [NOW - 5_000]
    assert corrected_ms(7, NOW - 3_000, [step]) == [NOW - 2 * HOUR - 3_000]


def test_a_call_that_seems_to_end_after_its_record_was_told_by_the_old_clock() -> None:
    step = BACK.placed([(10, NOW - 2_000)])
    start, end = NOW + 2 * HOUR - 10_000, NOW + 2 * HOUR - 3_200
    for seq, made in ((10, NOW - 2_000), (12, NOW + 500)):
        assert corrected_ms(seq, made, [step], [start, end]) == [made, start - 2 * HOUR, end - 2 * HOUR]
    late = NOW + 5 * HOUR
    assert corrected_ms(20, late, [step], [late - 60_000]) == [late, late - 60_000], (
        "an ordinary call afterwards"
    )


def test_steps_that_cancel_out_but_for_a_millisecond_change_nothing() -> None:
    there, back = Step(5, NOW, 2 * HOUR, HOUR), Step(9, NOW - 2 * HOUR + 6_000, -2 * HOUR + 1, HOUR)
    told = NOW - 2 * HOUR - 60_000
    assert corrected_ms(3, told, [there, back]) == [told]
