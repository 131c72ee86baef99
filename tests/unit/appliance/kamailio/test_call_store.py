"""What the stages of a call tell each other beside its transaction, in whatever order Kamailio runs them."""

from typing import Any

import pytest

from appliance.kamailio.ksr_call import KsrCall
from tests.helpers.ksr_double import KsrDouble


def stage_of_another_worker(double: KsrDouble) -> KsrCall:
    """Of the same transaction: it has read nothing yet."""
    return KsrCall(double)


def test_stage_reads_what_an_earlier_one_put_in_another_worker() -> None:
    double = KsrDouble()
    call = KsrCall(double)
    outer = call.enter()
    call.put("step", "1")
    call.put("plan", "a long plan")
    call.leave(outer)

    other = stage_of_another_worker(double)

    assert (other.get("step"), other.get("plan"), other.get("rang")) == ("1", "a long plan", "")


def test_all_that_was_put_is_there_before_anything_is_sent() -> None:
    seen: list[str] = []
    double = KsrDouble()
    double.answers["tm.t_relay"] = lambda *_: seen.append(stage_of_another_worker(double).get("step")) or 1
    call = KsrCall(double)
    call.enter()
    call.put("step", "2")

    assert call.relay()
    assert seen == ["2"]


def test_what_the_branch_stage_put_is_seen_after_the_relay_it_ran_in() -> None:
    double = KsrDouble()
    call = KsrCall(double)

    def branch(*_: Any) -> int:
        outer = call.enter()
        assert call.get("step") == "0"
        call.put("media_dead", "1")
        call.leave(outer)
        return -1

    double.answers["tm.t_relay"] = branch
    call.enter()
    call.put("step", "0")
    call.relay()

    assert (call.get("media_dead"), call.get("step")) == ("1", "0")


def test_stage_within_another_leaves_what_that_one_has_not_written_yet() -> None:
    call = KsrCall(KsrDouble())
    call.enter()
    call.put("step", "0")

    call.leave(call.enter())

    assert call.get("step") == "0"


def test_next_message_sees_nothing_of_one_that_was_given_up_midway() -> None:
    double = KsrDouble({"$ci": "first"})
    call = KsrCall(double)
    call.enter()
    assert call.pv("$ci") == "first"
    call.put("step", "1")

    double.pvs["$ci"] = "second"
    call.enter()

    assert (call.pv("$ci"), call.get("step")) == ("second", "")


@pytest.mark.parametrize("name", ["step", "offer"])
def test_value_that_is_emptied_is_gone_for_later_stages(name: str) -> None:
    double = KsrDouble()
    call = KsrCall(double)
    for value in ("1", ""):
        outer = call.enter()
        call.put(name, value)
        call.leave(outer)

    assert stage_of_another_worker(double).get(name) == ""


def test_what_changes_within_a_stage_is_asked_of_kamailio_each_time() -> None:
    double = KsrDouble({"$du": "sip:a", "$si": "192.0.2.1"})
    call = KsrCall(double)
    call.enter()
    assert (call.pv("$du"), call.pv("$si")) == ("sip:a", "192.0.2.1")

    double.pvs["$du"] = "sip:b"

    assert call.pv("$du") == "sip:b"
