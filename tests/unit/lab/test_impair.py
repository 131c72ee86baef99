"""The faults of a line: which packets leave, and when."""

import random

import pytest

from tests.lab.impair import OVERTAKEN_BY_S, QUEUE_S, RETRANSMISSION_S, Impairment, Lane


def lane(**faults: float) -> Lane:
    return Lane(random.Random(7), Impairment(**faults))


def test_perfect_line_passes_at_once() -> None:
    assert lane().datagram(5.0, 200) == 5.0
    assert lane().chunk(5.0, 200) == 5.0


def test_loss_takes_its_share_of_datagrams() -> None:
    line = lane(loss=0.3)
    passed = sum(line.datagram(float(n), 200) is not None for n in range(2000))
    assert 1320 <= passed <= 1480


def test_delay_with_jitter_keeps_the_order() -> None:
    line = lane(delay_ms=50, jitter_ms=40)
    departures = [line.datagram(n * 0.001, 200) for n in range(200)]
    assert all(d is not None for d in departures)
    assert departures == sorted(d for d in departures if d is not None)
    assert 0.05 <= (departures[0] or 0) <= 0.09


def test_reordered_datagram_leaves_after_the_next_one() -> None:
    line = lane(reorder=1.0)
    first = line.datagram(0.0, 200)
    line.impairment = Impairment()
    assert first == OVERTAKEN_BY_S
    assert line.datagram(0.02, 200) == 0.02


def test_throttled_line_spaces_packets_and_drops_what_would_wait_too_long() -> None:
    line = lane(bits_per_s=8000)
    assert line.datagram(0.0, 100) == pytest.approx(0.1)
    assert line.datagram(0.0, 100) == pytest.approx(0.2)
    departures = [line.datagram(0.0, 100) for _ in range(10)]
    assert None in departures
    assert max(d for d in departures if d is not None) <= QUEUE_S + 0.1 + 1e-9


def test_lossy_stream_is_late_instead_of_broken() -> None:
    line = lane(loss=0.5)
    delays = [line.chunk(0.0, 1000) for _ in range(50)]
    assert {d for d in delays if d is not None} >= {0.0, RETRANSMISSION_S, 3 * RETRANSMISSION_S}


def test_stream_over_a_dead_line_never_leaves() -> None:
    assert lane(loss=1.0).chunk(0.0, 1) is None


@pytest.mark.parametrize(
    "faults", [{"loss": 1.1}, {"loss": -0.1}, {"reorder": 2}, {"delay_ms": -1}, {"bits_per_s": -1}]
)
def test_impossible_fault_is_refused(faults: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Impairment(**faults)
