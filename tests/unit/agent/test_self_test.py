"""What self-test calls say of a new configuration. A failure keeps a site that cannot call, or undoes a wanted change."""

import pytest

from agent.health import BROKEN_SAMPLES, HealthWatch, Verdict, Vitals
from agent.self_test import Answers, broken, cases, read_answer, request
from appliance import site
from appliance.kamailio.actions import Plan, Step, StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.self_test import answer, call_of
from tests.helpers.site_documents import document, extension

BEFORE = {"201>202": 200, "202>203": 200, "203>204": 480, "emergency:110": 200}


@pytest.mark.parametrize(
    ("now", "count"),
    [
        pytest.param(BEFORE, 0, id="as before"),
        pytest.param(BEFORE | {"201>202": 480}, 0, id="one telephone was barred on purpose"),
        pytest.param(BEFORE | {"201>202": 480, "202>203": 404}, 2, id="nobody can call"),
        pytest.param(BEFORE | {"emergency:110": 404}, 1, id="no emergency call"),
        pytest.param(BEFORE | {"201>202": 500}, 1, id="an error"),
        pytest.param(BEFORE | {"201>202": 0}, 1, id="silence"),
        pytest.param({"301>302": 404}, 0, id="other telephones: nothing to compare with"),
        pytest.param({"301>302": 500}, 1, id="other telephones, an error"),
        pytest.param({"301>302": 0}, 0, id="other telephones, silence"),
        pytest.param({}, 0, id="nothing is known"),
    ],
)
def test_answers_after_a_switch_are_compared_with_those_before(now: Answers, count: int) -> None:
    assert len(broken(BEFORE, now)) == count


def test_what_was_broken_before_is_not_held_against_the_switch() -> None:
    assert broken({"201>202": 500, "emergency:110": 404}, {"201>202": 500, "emergency:110": 404}) == []


def test_calls_that_find_no_way_three_looks_in_a_row_take_the_version_back() -> None:
    lost = Vitals(True, 40, 0, 3, BEFORE | {"emergency:110": 404})
    watch = HealthWatch(Vitals(True, 40, 0, 3, BEFORE), 0.0)
    verdicts = [watch.look(lost, float(number)) for number in range(BROKEN_SAMPLES)]
    assert verdicts == [Verdict.WAIT] * (BROKEN_SAMPLES - 1) + [Verdict.UNHEALTHY]
    assert tuple(map(str, watch.reasons)) == (
        "calls find no way since the switch: emergency:110: 404 instead of 200",
    )


def test_one_lost_datagram_is_forgiven() -> None:
    well, lost = Vitals(True, 40, 0, 3, BEFORE), Vitals(True, 40, 0, 3, BEFORE | {"201>202": 0})
    watch = HealthWatch(well, 0.0)
    assert {watch.look(lost if number % 2 else well, number * 0.9) for number in range(10)} == {Verdict.WAIT}


def test_the_first_extensions_call_each_other_and_one_calls_for_help() -> None:
    numbers = [str(number) for number in range(201, 220)]
    parsed = site.parse(document(version=1, extensions=[extension(number) for number in numbers]))
    found = cases(parsed)
    assert [name for name in found if ">" in name] == ["201>202", "202>203", "203>204", "204>205"]
    (emergency,) = [value for name, value in found.items() if name.startswith("emergency:")]
    assert emergency.split(";")[1] in parsed.policy.emergency_numbers


def test_a_request_and_its_answer_belong_together() -> None:
    sent = request("192.0.2.10", 5060, 40000, "selftest01", "201;202").decode()
    assert "INVITE sip:kyusai-self-test@192.0.2.10:5060 SIP/2.0" in sent
    assert "X-Kyusai-Self-Test: 201;202" in sent
    head = b"SIP/2.0 %d X\r\nCall-ID: selftest01\r\n\r\n"
    assert read_answer(head % 404) == ("selftest01", 404)
    assert read_answer(head % 100) is None
    assert read_answer(b"INVITE sip:a SIP/2.0\r\nCall-ID: selftest01\r\n\r\n") is None


def test_kamailios_half_reads_the_header_and_tells_of_the_plan() -> None:
    assert call_of("201;202") == CallFacts(Origin.PHONE, "201", "202", "201")
    assert [call_of(value) for value in ("", "201", ";202", "201;")] == [None] * 4
    contacts = Step(StepKind.CONTACTS, "", ("202",), reason="x")
    reject = Step(StepKind.REJECT, "", (), reason="Busy Here", code=486)
    assert answer(Plan("extension", "202", (contacts, reject)))[0] == 200
    assert answer(Plan("extension", "202", (reject,)))[0] == 486
