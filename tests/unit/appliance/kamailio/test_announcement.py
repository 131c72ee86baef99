"""Whose call begins with the sentence that it is recorded, by which way, and what comes behind it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from appliance.kamailio import announcement
from appliance.kamailio.actions import Outcome, Plan, StepKind, advance
from appliance.kamailio.announcement import EVERYBODY, OFF, OUTSIDE
from appliance.kamailio.outcome import Ending
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from appliance.kamailio.view import Application, Extension
from appliance.model import CallControl, UpstreamAuth
from tests.helpers.site_view import SiteView, site

MOBILE = "009012345678"
INSIDE = CallFacts(Origin.PHONE, "202", "203", "202")
OUT = CallFacts(Origin.PHONE, "202", MOBILE, "202")
FROM_GATEWAY = CallFacts(Origin.GATEWAY, "gw1", "+81312340202", "0398765432")
TO_GROUP = replace(FROM_GATEWAY, dialled="+81312340600")
FROM_CLOUD = CallFacts(Origin.UPSTREAM, "cloud", "202", "0398765432")
COLLEAGUE_BY_CLOUD = CallFacts(Origin.UPSTREAM, "cloud", "202", "7201")
BY_FLOW = CallFacts(Origin.MEDIA, "media", "202", "0398765432")
COLLEAGUE_BY_FLOW = CallFacts(Origin.MEDIA, "media", "202", "203")
ON_BEHALF = CallFacts(Origin.MEDIA, "media", "203", "202", behalf="202")
BARE = CallFacts(Origin.MEDIA, "media", "202", "0398765432", bare=True)
EMERGENCY = CallFacts(Origin.PHONE, "202", "119", "202")
TO_FLOW = CallFacts(Origin.PHONE, "202", "700", "202")
TO_ROOM, TO_PLACE = replace(TO_FLOW, dialled="710"), replace(TO_FLOW, dialled="711")
TO_OWN = CallFacts(Origin.PHONE, "203", "202", "203")
APPLICATIONS = (Application("700", "flow"), Application("710", "conference"), Application("711", "parking"))


def recorded(level: str, *changed: Extension, control: str = "local", **policy: Any) -> SiteView:
    own = site().extension("202")
    assert own is not None
    kept = [one for one in changed if one.number == "202"] or [replace(own, record="all")]
    others = [one for one in changed if one.number != "202"]
    return site(*kept, *others, call_control=CallControl(control), announce=level, **policy)


def way(facts: CallFacts, view: SiteView) -> str:
    plan = decide(facts, view)
    if announcement.leads(plan):
        return announcement.way_of(plan.steps[0])
    return "tell" if plan.tell else ""


@pytest.mark.parametrize(
    ("facts", "outside", "everybody"),
    [
        pytest.param(INSIDE, "", "said", id="a telephone of the site"),
        pytest.param(OUT, "", "both", id="a telephone calls outside"),
        pytest.param(FROM_GATEWAY, "answer", "answer", id="by the gateway"),
        pytest.param(replace(FROM_GATEWAY, anonymous=True, caller="anonymous"), "answer", "answer", id="nameless"),
        pytest.param(TO_GROUP, "answer", "answer", id="a member of the group is recorded"),
        pytest.param(FROM_CLOUD, "answer", "answer", id="by a trunk"),
        pytest.param(COLLEAGUE_BY_CLOUD, "", "answer", id="another site"),
        pytest.param(BY_FLOW, "early", "early", id="a flow that has said nothing"),
        pytest.param(COLLEAGUE_BY_FLOW, "", "early", id="a colleague by a flow"),
        pytest.param(ON_BEHALF, "", "early", id="on behalf of an extension"),
        pytest.param(BARE, "tell", "tell", id="the telephone itself is wanted"),
        pytest.param(EMERGENCY, "", "", id="emergency"),
    ],
)  # fmt: skip
def test_who_is_told_and_how(facts: CallFacts, outside: str, everybody: str) -> None:
    assert decide(facts, recorded(OFF)).record
    told = [way(facts, recorded(level)) for level in (OFF, OUTSIDE, EVERYBODY)]
    assert told == ["", outside, everybody]


def test_a_call_that_is_not_recorded_is_not_announced_and_a_plain_one_stays_plain() -> None:
    own = site().extension("202")
    assert own is not None
    for facts in (INSIDE, FROM_GATEWAY, OUT):
        assert way(facts, recorded(EVERYBODY, own)) == ""


def test_a_cloud_that_controls_calls_is_not_answered_before_its_callee() -> None:
    assert way(FROM_CLOUD, recorded(OUTSIDE, control="cloud")) == "said"


def test_an_extension_may_differ_from_its_site_and_who_tells_more_counts() -> None:
    own = site().extension("202")
    other = site().extension("203")
    assert own is not None and other is not None
    own, other = replace(own, record="all"), replace(other, record="all")
    assert way(FROM_GATEWAY, recorded(OUTSIDE, replace(own, announce=OFF))) == ""
    assert way(INSIDE, recorded(OFF, replace(own, announce=EVERYBODY))) == "said"
    assert way(INSIDE, recorded(OFF, own, replace(other, announce=EVERYBODY))) == "said"
    assert way(INSIDE, recorded(OFF, own, replace(other, announce=EVERYBODY, record="none"))) == ""


def test_a_telephone_that_its_cloud_asks_for_a_password_cannot_call_by_freeswitch() -> None:
    view = recorded(EVERYBODY, control="cloud", upstream_auth=UpstreamAuth.PASSTHROUGH)
    assert way(OUT, view) == "tell", "it is told, as everybody else, once somebody has answered"
    assert way(INSIDE, view) == "tell", "the password would come in the dialog of the early audio"


def test_a_flow_that_says_it_itself_is_not_recorded_before_that() -> None:
    for announces, told in ((False, "said"), (True, "")):
        view = recorded(EVERYBODY, applications=(Application("700", "flow", announces=announces),))
        plan = decide(TO_FLOW, view)
        assert (way(TO_FLOW, view), plan.record) == (told, not announces)


def visited(plan: Plan, outcomes: Iterable[Outcome]) -> list[tuple[str, tuple[str, ...]]]:
    """Kind and users of the steps that these outcomes lead through."""
    index, found = 0, [(plan.steps[0].kind, plan.steps[0].users)]
    for outcome in outcomes:
        later = advance(plan, index, outcome)
        if later is None:
            break
        index = later
        found.append((plan.steps[index].kind, plan.steps[index].users))
    return [(str(kind), users) for kind, users in found]


@pytest.mark.parametrize("facts", [INSIDE, OUT, FROM_GATEWAY], ids=["inside", "out", "in"])
@pytest.mark.parametrize("control", ["local", "cloud"])
def test_behind_the_announcement_the_plan_is_what_it_was(facts: CallFacts, control: str) -> None:
    """Every way through it, three steps deep, also once the announcement is taken off again."""
    own = site().extension("202")
    other = site().extension("203")
    assert own is not None and other is not None
    changed = (
        replace(own, record="all", forward_busy="203", forward_no_answer="600"),
        replace(other, forward_busy=MOBILE),
    )
    plain, led = (decide(facts, recorded(level, *changed, control=control)) for level in (OFF, EVERYBODY))
    assert led.steps[0].target == announcement.TARGET
    lost = Outcome.NO_LIFE
    for first in Outcome:
        for second in Outcome:
            before = visited(plain, (first, second))
            assert visited(led, (lost, first, second))[1:] == before
            assert visited(announcement.rest(led, True), (first, second)) == before


def test_whom_freeswitch_called_in_vain_is_not_called_a_second_time() -> None:
    answering = decide(FROM_GATEWAY, recorded(OUTSIDE))
    for outcome in Outcome:
        assert (advance(answering, 0, outcome) == 1) is (outcome in (Outcome.NO_LIFE, Outcome.OVERLOADED))
    speaking = decide(INSIDE, recorded(EVERYBODY))
    assert {advance(speaking, 0, outcome) for outcome in Outcome} == {1}


@pytest.mark.parametrize(
    ("ending", "before", "after"),
    [
        (Ending(470), Outcome.DONE, Outcome.DONE),
        (Ending(408, replied=False, timer=True), Outcome.NO_LIFE, Outcome.REFUSED),
        (Ending(503), Outcome.OVERLOADED, Outcome.REFUSED),
        (Ending(404), Outcome.OVERLOADED, Outcome.NO_CONTACT),
        (Ending(486, rang=True), Outcome.OVERLOADED, Outcome.BUSY),
    ],
    ids=["said", "dead", "overloaded", "does not know the sentence yet", "busy"],
)
def test_an_end_before_freeswitch_has_called_on_leads_past_it_and_after_that_is_the_call_s_own(
    ending: Ending, before: Outcome, after: Outcome
) -> None:
    step = decide(FROM_GATEWAY, recorded(OUTSIDE)).steps[0]
    assert announcement.outcome(step, ending, waits=True) is before
    assert announcement.outcome(step, ending, waits=False) is after


def test_what_waits_for_freeswitch_is_the_rest_of_the_plan_recorded() -> None:
    plan = decide(OUT, recorded(EVERYBODY))
    taken = announcement.taken(announcement.kept(MOBILE, "202", plan))
    assert taken == (MOBILE, "202", announcement.rest(plan, True))
    assert taken[2].steps[0].kind is StepKind.GATEWAY
    assert announcement.taken("") is None


def test_the_journal_hears_whether_it_was_said_and_that_an_unannounced_call_is_not_recorded() -> None:
    plan = decide(FROM_GATEWAY, recorded(OUTSIDE))
    spoken, rung = plan.steps[:2]
    later, not_recorded = replace(plan, tell=True), replace(plan, record=False)
    assert announcement.at_answer(spoken, "", later) == {"record": False}
    assert announcement.at_answer(rung, announcement.YES, plan) == {"announced": True}
    assert announcement.at_answer(rung, announcement.YES, not_recorded) == {"announced": False}
    for heard in ("", announcement.YES):
        assert announcement.at_answer(rung, heard, later) == {
            "record": False,
            "recording_refused": "unannounced",
        }
    assert announcement.at_answer(rung, "", plan) == {}


@pytest.mark.parametrize(
    ("facts", "level", "tells"),
    [
        pytest.param(INSIDE, EVERYBODY, True, id="a recorded one calls a colleague"),
        pytest.param(INSIDE, OUTSIDE, False, id="who answers is told under everybody alone"),
        pytest.param(TO_OWN, EVERYBODY, False, id="whose own calls are recorded knows it"),
        pytest.param(OUT, EVERYBODY, False, id="FreeSWITCH tells who is called outside"),
        pytest.param(TO_GROUP, EVERYBODY, False, id="all of the group know"),
        pytest.param(TO_ROOM, OUTSIDE, True, id="a recorded telephone comes into a room"),
        pytest.param(TO_PLACE, OUTSIDE, True, id="it takes a parked call"),
        pytest.param(TO_FLOW, OUTSIDE, False, id="an application that nobody else is in"),
        pytest.param(EMERGENCY, EVERYBODY, False, id="emergency"),
    ],
)
def test_who_answers_without_knowing_is_told_then(facts: CallFacts, level: str, tells: bool) -> None:
    plan = decide(facts, recorded(level, applications=APPLICATIONS))
    assert plan.record
    assert plan.tell is tells
    if announcement.leads(plan):
        assert announcement.rest(plan, True).tell is tells
        assert not announcement.rest(plan, False).tell


def test_a_group_of_which_one_does_not_know_is_told_under_everybody() -> None:
    own, other = site().extension("202"), site().extension("201")
    assert own is not None and other is not None
    mixed = replace(own, record="all"), replace(other, record="none")
    assert decide(TO_GROUP, recorded(EVERYBODY, *mixed)).tell
    assert not decide(TO_GROUP, recorded(OUTSIDE, *mixed)).tell


def test_to_whom_a_call_is_forwarded_is_told_when_he_answers() -> None:
    own = site().extension("202")
    assert own is not None
    forwarded = replace(own, record="all", forward_always=MOBILE)
    for control in ("local", "cloud"):
        view = recorded(EVERYBODY, forwarded, control=control)
        assert decide(TO_OWN, view).tell
        assert not decide(TO_OWN, recorded(OUTSIDE, forwarded, control=control)).tell


def test_what_takes_the_place_of_another_call_waits_for_no_sentence_and_is_told_after_it() -> None:
    led = decide(INSIDE, recorded(EVERYBODY))
    assert announcement.leads(led)
    joined = announcement.replacing(led, EVERYBODY)
    assert joined == replace(announcement.rest(led, True), tell=True)
    assert not announcement.replacing(joined, OFF).tell
    assert not announcement.replacing(replace(joined, record=False), EVERYBODY).tell


def test_who_picks_up_is_told_unless_his_own_calls_are_recorded() -> None:
    own, other = site().extension("202"), site().extension("203")
    assert own is not None and other is not None
    plan = replace(decide(TO_OWN, recorded(EVERYBODY)), tell=False)
    assert announcement.picked(plan, other, EVERYBODY).tell
    assert announcement.picked(plan, None, EVERYBODY).tell
    assert not announcement.picked(plan, replace(own, record="all"), EVERYBODY).tell
    assert not announcement.picked(plan, other, OUTSIDE).tell
    assert not announcement.picked(replace(plan, record=False), other, EVERYBODY).tell
