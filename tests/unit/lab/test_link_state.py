"""The line's state travels as JSON and says which direction is blocked."""

import json

import pytest

from tests.lab.impair import Impairment
from tests.lab.link_state import Kind, LineState, directions


def test_state_survives_its_journey_as_json() -> None:
    state = LineState(Kind.REJECT, ("up",), Impairment(loss=0.3), Impairment(delay_ms=20))
    assert LineState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_cut_in_one_direction_leaves_the_other_open() -> None:
    state = LineState(Kind.DROP, ("up",))
    assert (state.blocks("up"), state.blocks("down")) == (True, False)


def test_open_line_blocks_nothing_whatever_is_listed() -> None:
    assert not LineState(Kind.OPEN, ("up", "down")).blocks("up")


def test_unknown_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="both, up or down"):
        directions("sideways")
    with pytest.raises(ValueError, match="up, down"):
        LineState(Kind.DROP, ("left",))
