"""A site's figures over time: points in the order they were made, and only true holes told."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudsync.series import Hole, holes, open_metrics, points
from cloudsync.wire import format_utc

BEGAN_S = 1_790_000_000


def row(minute: float, boot: str = "boot-a", wall_shift_s: float = 0.0, **changes: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(BEGAN_S + 60 * minute + wall_shift_s, UTC)
    body = {
        "series": "box",
        "every_s": 60.0,
        "mono_ms": 60_000 * minute,
        "figures": {"active_calls": minute},
        "links": {},
    }
    return {
        "kind": "stat",
        "box_id": "a",
        "boot_id": boot,
        "created_utc": format_utc(at),
        "body": body | changes,
    }


def test_points_are_in_the_order_they_were_made_however_they_came() -> None:
    found = points([row(3), row(1), row(2)])
    assert [point.figures["active_calls"] for point in found] == [1, 2, 3]
    assert holes(found) == []


@pytest.mark.parametrize(
    "strange", [{"series": "other"}, {"figures": 5}, {"mono_ms": None}, {"links": {"x": 1}}, {"every_s": "?"}]
)
def test_other_and_spoilt_records_are_passed_over(strange: dict[str, Any]) -> None:
    assert len(points([row(1), row(2, **strange)])) == 1


def test_pause_within_one_boot_is_a_hole_and_a_reboot_is_none() -> None:
    (hole,) = holes(points([row(1), row(2), row(5), row(0, boot="boot-b", wall_shift_s=9_000)]))
    assert (hole.seconds, hole.box_id) == (180.0, "a")
    assert isinstance(hole, Hole)


def test_thinned_series_has_no_holes() -> None:
    assert holes(points([row(0), row(15, every_s=900.0), row(30, every_s=900.0)])) == []


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_jump_of_the_boxs_wall_clock_makes_no_hole_and_hides_none(jump_s: float) -> None:
    assert holes(points([row(1), row(2, wall_shift_s=jump_s), row(3, wall_shift_s=jump_s)])) == []
    assert len(holes(points([row(1), row(9, wall_shift_s=jump_s)]))) == 1


def test_open_metrics_gives_every_point_with_its_own_time() -> None:
    assert list(open_metrics("tokyo-1", points([row(1), row(2)]))) == [
        "# TYPE kyusai_active_calls gauge",
        f'kyusai_active_calls{{site="tokyo-1",box="a"}} 1 {BEGAN_S + 60}.000',
        f'kyusai_active_calls{{site="tokyo-1",box="a"}} 2 {BEGAN_S + 120}.000',
        "# EOF",
    ]
