"""The line that uploads are measured on. A failure means figures of another line than the one that is named."""

from random import Random

import pytest

from tests.bench.link_shape import ETHERNET_BYTES, Shape, Way

PACKET = 1500
RATE = Shape().rate_bit_s / 8


def way(**changes: float) -> Way:
    return Way(Shape(**{"loss": 0.0, **changes}), Random(1))  # type: ignore[arg-type]


def test_a_packet_alone_takes_its_time_on_the_line_and_the_delay() -> None:
    assert way().arrive(10.0, PACKET, False) == pytest.approx(10.025 + (PACKET + ETHERNET_BYTES) / RATE)


def test_packets_at_once_leave_at_the_lines_rate() -> None:
    one = way()
    due = [one.arrive(0.0, PACKET, False) or 0.0 for _ in range(100)]
    assert due[-1] - due[0] == pytest.approx(99 * (PACKET + ETHERNET_BYTES) / RATE)


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted() -> None:
    one = way(queue_bytes=15_000)
    given = [one.arrive(0.0, PACKET, number % 2 == 0) for number in range(40)]
    kept = [due for due in given if due is not None]
    assert 9 <= len(kept) <= 11
    assert one.calls.lost_in_queue + one.rest.lost_in_queue == 40 - len(kept)
    assert one.arrive(5.0, PACKET, False) is not None


def test_loss_is_the_share_that_was_asked_for_and_takes_its_place_on_the_line() -> None:
    one = way(loss=0.01, queue_bytes=10**9)
    lost = [one.arrive(0.0, PACKET, False) for _ in range(20_000)].count(None)
    assert 150 < lost < 250
    assert one.rest.lost_on_line == lost
    last = one.arrive(0.0, PACKET, False)
    assert last is None or last > 20_000 * PACKET / RATE
