"""A call is ended for want of audio only when rtpengine itself gave it up."""

import pytest

from appliance.kamailio.media_loss import Look, lost


@pytest.mark.parametrize(
    ("anchored", "before", "now", "gone"),
    [
        ({"a", "b"}, Look(10, frozenset("ab")), Look(12, frozenset("b")), {"a"}),
        ({"a"}, Look(10, frozenset("ab")), Look(12, frozenset("a")), set()),  # b has ended by a BYE
        ({"a"}, Look(10, frozenset("a")), Look(1, frozenset()), set()),  # rtpengine was restarted
        ({"a"}, None, Look(12, frozenset()), set()),  # the look before failed
        ({"a"}, Look(10, frozenset()), Look(12, frozenset()), set()),  # it never had the call
    ],
    ids=["timed out", "ended", "restarted", "silent before", "never there"],
)
def test_call_is_lost_only_if_rtpengine_gave_it_up(
    anchored: set[str], before: Look | None, now: Look, gone: set[str]
) -> None:
    assert lost(anchored, before, now) == gone
