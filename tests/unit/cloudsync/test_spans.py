"""The account of an upload's pieces. A failure means a gap that counts as audio, or pieces that never become a whole."""

import pytest

from cloudsync.spans import chain, covers, merged, name_of, span_of


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(5, 9), (0, 5)], [(0, 9)]),
        ([(0, 5), (6, 9)], [(0, 5), (6, 9)]),
        ([(0, 9), (2, 4)], [(0, 9)]),
        ([(3, 3)], []),
    ],
)
def test_spans_that_touch_become_one(spans: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert merged(spans) == expected


@pytest.mark.parametrize(
    ("spans", "size", "whole"),
    [
        ([(0, 5), (5, 9)], 9, True),
        ([(0, 6), (5, 9), (0, 2)], 9, True),
        ([(0, 5), (6, 9)], 9, False),  # byte 5 is missing
        ([(1, 9)], 9, False),
        ([(0, 8)], 9, False),
        ([], 9, False),
    ],
)
def test_an_upload_is_whole_only_without_a_gap(spans: list[tuple[int, int]], size: int, whole: bool) -> None:
    assert covers(spans, size) is whole


def test_pieces_that_overlap_are_read_in_order_and_end_at_the_gap() -> None:
    assert chain([(4, 8), (0, 5), (0, 3), (9, 12)]) == [(0, 5), (4, 8)]


def test_what_is_not_a_pieces_name_is_no_piece() -> None:
    assert span_of(name_of(7, 262_144)) == (7, 262_144)
    names = ("joined", ".000000000000000-000000000000005.ab12.tmp", "0-5", "")
    assert [span_of(name) for name in names] == [None] * 4
