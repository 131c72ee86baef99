"""How fast recordings go. A failure means calls that stutter while recordings are sent, or recordings that never arrive."""

import random

import pytest

from agent.pace import (
    BEGIN_BYTES_S,
    LEAST_BYTES_S,
    LOSS_PAUSE_S,
    STEP_S,
    STOP_MS,
    TARGET_MS,
    Bucket,
    Seen,
    Yielding,
    limit_bytes_s,
    pieces_at_once,
)
from appliance.site_model import UploadLimit

OFFICE = UploadLimit(8 * 60, 18 * 60, 2000)
NIGHT = UploadLimit(22 * 60, 6 * 60, 8000)
ALWAYS = UploadLimit(0, 24 * 60, 4000)
BASE_MS = 50.0
LINE_BYTES_S = 2_500_000.0


@pytest.mark.parametrize(
    ("limits", "clock", "kbit_s"),
    [
        ((), "12:00", None),
        ((OFFICE,), "07:59", None),
        ((OFFICE,), "08:00", 2000),
        ((OFFICE,), "17:59", 2000),
        ((OFFICE,), "18:00", None),
        ((NIGHT,), "21:59", None),
        ((NIGHT,), "23:00", 8000),
        ((NIGHT,), "05:59", 8000),
        ((NIGHT,), "06:00", None),
        ((ALWAYS,), "00:00", 4000),
        ((ALWAYS,), "23:59", 4000),
        ((ALWAYS, OFFICE, NIGHT), "09:00", 2000),
        ((ALWAYS, OFFICE, NIGHT), "23:00", 4000),
        ((UploadLimit(600, 660, 0), ALWAYS), "10:30", 0),
    ],
)
def test_lowest_limit_of_the_hour_holds(
    limits: tuple[UploadLimit, ...], clock: str, kbit_s: int | None
) -> None:
    hours, minutes = clock.split(":")
    found = limit_bytes_s(limits, int(hours) * 60 + int(minutes))
    assert found == (None if kbit_s is None else kbit_s * 125.0)


def seen(queue_ms: float, *, calls: int = 1, loss: float = 0.0, carried: float = LINE_BYTES_S) -> Seen:
    return Seen(calls, {"own": BASE_MS + queue_ms}, loss, carried)


def begun(carried: float = LINE_BYTES_S) -> tuple[Yielding, float]:
    """A controller that knows the line's base and has seen it full, and the next moment."""
    one = Yielding()
    one.step(0.0, seen(0, calls=0, carried=carried), None)
    one.step(STEP_S, seen(TARGET_MS, carried=carried), None)
    return one, 2 * STEP_S


def test_without_calls_only_the_hours_limit_holds() -> None:
    one, now_s = begun()
    assert one.step(now_s, seen(STOP_MS * 2, calls=0), None) is None
    assert one.step(now_s, seen(STOP_MS * 2, calls=0), 1000.0) == 1000.0


@pytest.mark.parametrize(
    ("queue_ms", "share"),
    [(0, 1.25), (TARGET_MS / 2, 1.125), (TARGET_MS, 1.0), (TARGET_MS * 1.5, 0.85), (TARGET_MS * 4, 0.7)],
)
def test_beside_a_call_a_longer_queue_makes_it_slower(queue_ms: float, share: float) -> None:
    one, now_s = begun()
    assert one.step(now_s, seen(queue_ms), None) == pytest.approx(LINE_BYTES_S * share)


def test_beside_a_call_a_very_long_queue_stops_everything_until_it_is_shorter() -> None:
    one, now_s = begun()
    assert one.step(now_s, seen(STOP_MS), None) == 0.0
    assert one.step(now_s + STEP_S, seen(TARGET_MS), None) == pytest.approx(LINE_BYTES_S)


def test_not_sending_for_a_moment_does_not_slow_it_down_for_good() -> None:
    one, now_s = begun()
    assert one.step(now_s, seen(TARGET_MS, carried=0.0), None) == pytest.approx(LINE_BYTES_S)


def test_a_line_that_became_slower_is_known_after_three_seconds() -> None:
    one, now_s = begun()
    rate: float | None = None
    for step in range(40):
        rate = one.step(now_s + step * STEP_S, seen(TARGET_MS, carried=100_000.0), None)
    assert rate == pytest.approx(100_000.0)


def test_loss_that_grows_halves_and_the_lines_own_loss_does_not() -> None:
    one, now_s = begun()
    steady = [one.step(now_s + i * STEP_S, seen(TARGET_MS, loss=0.01), None) for i in range(20)]
    assert steady == [pytest.approx(LINE_BYTES_S)] * 20
    rates = []
    for second in range(4):
        at_s = now_s + 10 + second * LOSS_PAUSE_S
        rates.append(one.step(at_s, seen(TARGET_MS, loss=0.2, carried=LINE_BYTES_S), None))
    assert rates == [pytest.approx(LINE_BYTES_S / 2**n) for n in (1, 2, 3, 4)]
    for second in range(8):
        healed = one.step(now_s + 20 + second * LOSS_PAUSE_S, seen(TARGET_MS), None)
    assert healed == pytest.approx(LINE_BYTES_S)


def test_it_never_falls_below_the_least_unless_it_stops() -> None:
    one, now_s = begun(carried=0.0)
    for step in range(100):
        rate = one.step(now_s + step * STEP_S, seen(TARGET_MS * 2, loss=step / 100, carried=0.0), None)
        assert rate is not None
        assert rate >= LEAST_BYTES_S


def test_a_call_that_comes_up_on_an_idle_line_begins_slowly_and_fills_it_within_two_seconds() -> None:
    assert simulated(2.0, calls=1)[-1] > 0.8 * LINE_BYTES_S
    one = Yielding()
    assert one.step(0.0, seen(0, carried=0.0), None) == BEGIN_BYTES_S


def test_on_a_simulated_line_the_queue_stays_short_and_the_line_full() -> None:
    rates, queues = [], []
    simulated(30.0, calls=1, rates=rates, queues=queues)
    late = slice(50, None)
    assert sum(rates[late]) / len(rates[late]) > 0.93 * LINE_BYTES_S
    assert max(queues[late]) < STOP_MS
    assert sum(queues[late]) / len(queues[late]) < 2 * TARGET_MS


def simulated(
    seconds: float, *, calls: int, rates: list[float] | None = None, queues: list[float] | None = None
) -> list[float]:
    """A line with a queue that is seen 75 ms late; what it carried in each step (bytes per second)."""
    one, chance = Yielding(), random.Random(7)
    backlog, told, carried = 0.0, [0.0, 0.0], rates if rates is not None else []
    rate: float | None = BEGIN_BYTES_S
    for step in range(int(seconds / STEP_S)):
        backlog += (rate or 0.0) * STEP_S * (0.99 if rate else 0.0)
        out = min(backlog, LINE_BYTES_S * STEP_S)
        backlog = min(backlog - out, 256_000)
        carried.append(out / STEP_S)
        told.append(backlog / LINE_BYTES_S * 1000 + chance.uniform(0, 3))
        if queues is not None:
            queues.append(told[-1])
        lately = sum(carried[-3:]) / min(len(carried), 3)
        rate = one.step(step * STEP_S, Seen(calls, {"own": BASE_MS + told[-2]}, 0.01, lately), None)
    return carried


def test_bucket_gives_the_mean_rate_to_the_byte_and_no_burst() -> None:
    bucket, now_s, sent = Bucket(), 0.0, 0
    bucket.set_rate(0.0, 100_000.0)
    times = []
    while now_s < 10.0:
        wait_s = bucket.take(now_s, 16_384)
        if wait_s:
            now_s += wait_s
        else:
            sent += 16_384
            times.append(now_s)
    assert sent == pytest.approx(1_000_000, rel=0.03)
    assert max(times.count(moment) for moment in times) == 1


def test_bucket_without_a_limit_never_waits_and_with_none_left_waits_a_step() -> None:
    bucket = Bucket()
    bucket.set_rate(0.0, None)
    assert [bucket.take(0.0, 10**9) for _ in range(3)] == [0.0] * 3
    bucket.set_rate(1.0, 0.0)
    bucket.take(1.0, 1)
    assert bucket.take(2.0, 1) == STEP_S


@pytest.mark.parametrize(
    ("rate", "pieces"), [(None, 8), (0.0, 0), (1.0, 1), (32_000.0, 1), (100_000.0, 3), (1e9, 8)]
)
def test_slow_lines_have_fewer_pieces_under_way(rate: float | None, pieces: int) -> None:
    assert pieces_at_once(rate, 8) == pieces
