"""When an event happened of which only the wall clock is known."""

import pytest

from appliance.kamailio.journal import Span, read_item

STEADY = Span(1_000, 500_000, 1_050, 500_050)
SET_BACK = Span(1_000, 500_000, 1_050, 440_050)
SET_AHEAD = Span(1_000, 500_000, 1_050, 560_050)


@pytest.mark.parametrize(
    ("span", "wall_ms", "mono_ms"),
    [
        (STEADY, 500_030, 1_030),
        (SET_BACK, 500_030, 1_030),
        (SET_BACK, 440_040, 1_040),
        (SET_AHEAD, 500_030, 1_030),
        (SET_AHEAD, 560_040, 1_040),
        (STEADY, 499_990, 1_000),
        (STEADY, 500_070, 1_050),
    ],
    ids=[
        "steady",
        "before it was set back",
        "after it was set back",
        "before it was set ahead",
        "after it was set ahead",
        "never before the last look",
        "never after this one",
    ],
)
def test_event_happened_between_two_looks_whatever_the_wall_clock_did(
    span: Span, wall_ms: int, mono_ms: int
) -> None:
    assert span.mono_ms(wall_ms) == mono_ms


def test_item_of_routes_cfg_gets_the_monotonic_time_that_it_lacks() -> None:
    item = 'end - 500.030999 {"cause":"normal_clearing","code":200,"by":"caller"}'
    row = ("c#1", "end", 1_030, 500_030, "boot", '{"cause":"normal_clearing","code":200,"by":"caller"}')
    assert read_item("c#1", item, "boot", STEADY) == row


def test_item_of_a_worker_keeps_its_own_times() -> None:
    assert read_item("-", "registration 7 8 {}", "boot", STEADY) == ("", "registration", 7, 8, "boot", "{}")


@pytest.mark.parametrize("item", ["end", "end - now {}", "end x 8 {}", ""])
def test_item_that_nobody_wrote_is_refused(item: str) -> None:
    with pytest.raises(ValueError):
        read_item("c", item, "boot", STEADY)
