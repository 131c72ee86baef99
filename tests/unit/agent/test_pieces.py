"""Which pieces are sent. A failure means audio that is never sent, or sent again and again."""

import random
from itertools import pairwise

import pytest

from agent.pieces import held_bytes, missing

K = 1024


@pytest.mark.parametrize(
    ("held", "size", "expected"),
    [
        ([], 1, [(0, 1)]),
        ([], 8 * K, [(0, 8 * K)]),
        ([], 20 * K, [(0, 8 * K), (8 * K, 16 * K), (16 * K, 20 * K)]),
        ([(0, 20 * K)], 20 * K, []),
        ([(8 * K, 16 * K)], 20 * K, [(0, 8 * K), (16 * K, 20 * K)]),
        ([(0, 8 * K), (4 * K, 16 * K)], 17 * K, [(16 * K, 17 * K)]),
        ([(10 * K, 20 * K)], 20 * K, [(0, 10 * K)]),  # a rest of 2 KiB goes with the piece before it
        ([(14 * K, 20 * K)], 20 * K, [(0, 8 * K), (8 * K, 14 * K)]),
        ([(0, 99 * K)], 20 * K, []),
    ],
)
def test_what_the_centre_lacks_is_cut_into_pieces(
    held: list[tuple[int, int]], size: int, expected: list[tuple[int, int]]
) -> None:
    assert missing(held, size, 8 * K) == expected


def test_any_account_is_completed_without_sending_a_byte_twice() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        size = chance.randint(1, 100 * K)
        whole = missing([], size, chance.choice((4 * K, 8 * K, 13 * K)))
        held = [span for span in whole if chance.random() < 0.5]
        rest = missing(held, size, 8 * K)
        covered = sorted([*held, *rest])
        assert covered[0][0] == 0
        assert covered[-1][1] == size
        assert all(one[1] == other[0] for one, other in pairwise(covered))
        assert held_bytes(held, size) == sum(end - begin for begin, end in held)
