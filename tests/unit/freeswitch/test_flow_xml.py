"""The compiled dialplan does what the simulator says: random flows, random callers, both walked and compared."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import site
from appliance.freeswitch import flow_walk, names, prompt_texts, schedule_xml, site_xml, xml
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow import CALLS, ENDS, OUTCOMES, Kind
from appliance.freeswitch.flow_walk import Walk, World
from appliance.freeswitch.queue import Figures
from tests.helpers.dialplan import Line, contexts
from tests.helpers.flows import bye, flow_document, menu, plan_of

CALLER, LINK = "0312345678", "DOWN"
MONDAY = datetime(2026, 5, 11, 10, 0)
QUEUES = {
    "sales": Figures(waiting=7, agents=2, longest_s=95),
    "night": Figures(waiting=0, agents=0, longest_s=0),
}


def compiled(plan: MediaPlan) -> str:
    prompts = {
        (one.prompt, one.language): f"/p/{one.prompt}.wav" for one in prompt_texts.catalogue(plan.prompts)
    }
    return site_xml.files(plan, prompts, "JST-9", 2026)["dialplan.xml"]


class Clerk:
    """Answers as the box's clerk does: each caller of a queue is sent to an agent once."""

    def __init__(self, answers: Mapping[str, Mapping[str, str] | None]) -> None:
        self._answers = answers
        self._pauses = None not in answers.values()
        self._asked = 0

    def __call__(self, question: str) -> dict[str, str]:
        what, _, about = question.partition(":")
        if what == "http":
            noted = self._answers.get(about.partition(":")[2])
            fields = {f"{names.VARIABLE}{name}": value for name, value in (noted or {}).items()}
            return {names.ANSWER: "failed"} if noted is None else fields | {names.ANSWER: "next"}
        figures = QUEUES.get(about)
        if what == "recording":
            return {names.ANSWER: "next"} if self._pauses else {}
        if what == "figures":
            told = (
                (subject, getattr(figures, subject.removeprefix("queue_"))) for subject in names.QUEUE_FIGURES
            )
            return {names.QUEUE_FIGURES[subject]: str(value) for subject, value in told} if figures else {}
        if figures and not figures.agents:
            return {names.ANSWER: "nobody"}
        self._asked += 1
        return {names.ANSWER: "ring", names.AGENT: "201"} if self._asked % 2 else {names.ANSWER: "timeout"}


def dialled(
    plan: MediaPlan,
    script: list[str],
    moment: datetime,
    answers: Mapping[str, Mapping[str, str] | None] | None = None,
    **overrides: str,
) -> Line:
    answers = answers or {}
    fields = {"caller_id_number": CALLER, "caller_id_name": "Caller"}
    variables = {names.LINK_HEADER: LINK, names.KAMAILIO: "127.0.0.1:5092"}
    variables |= {names.override(name): state for name, state in overrides.items()}
    line = Line(contexts(compiled(plan)), list(script), moment, fields, variables, clerk=Clerk(answers))
    line.run("700", names.ENTRY)
    return line


def walked(
    plan: MediaPlan,
    script: list[str],
    moment: datetime,
    answers: Mapping[str, Mapping[str, str] | None] | None = None,
    **overrides: str,
) -> Walk:
    schedules = {schedule.id: schedule for schedule in plan.schedules}
    fails = None in (answers or {}).values()
    world = World(CALLER, "700", moment, LINK, schedules, overrides, QUEUES, answers or {}, fails)
    walk = flow_walk.begin(plan.flows[0], world)
    for keys in script:
        if walk.over:
            break
        if walk.at.kind in CALLS:
            walk = flow_walk.answered(walk) if keys == "a" else flow_walk.wait(walk)
        else:
            walk = flow_walk.press(walk, keys) if keys.strip("a") else flow_walk.wait(walk)
    return walk


def alike(line: Line, walk: Walk) -> None:
    assert [path.removeprefix("/p/").removesuffix(".wav") for path in line.heard] == list(walk.heard)
    called = [address.split("/")[-1].split("@")[0] for what, address in line.did if what == "bridge"]
    rung = [
        number if what == "transfer" else "201"
        for what, number in walk.did
        if what == "transfer" or (what == "queue" and QUEUES[number].agents)
    ]
    assert called == rung
    steered = ("say", "recording")
    assert [one for one in line.did if one[0] in steered] == [one for one in walk.did if one[0] in steered]
    assert [what for what, _ in line.did if what == "hangup"] == [
        what for what, _ in walk.did if what == "hangup"
    ]


QUEUE_ROWS = [{"id": "sales", "agents": ["201"]}, {"id": "night", "agents": ["202"]}]
IDS = ("n0", "n1", "n2", "n3", "n4", "n5")
PROMPTS = st.lists(st.sampled_from(["welcome", "closed", "nobody"]), min_size=1, max_size=2, unique=True)


DECIDING = [Kind.BRANCH, Kind.QUEUE, Kind.HTTP, Kind.MENU, Kind.COLLECT, Kind.SCHEDULE]
"""At the beginning of a flow, so that callers come to its other nodes on many ways."""

CASES = st.sampled_from(
    [
        {"matches": "03[0-9]+"},
        {"matches": "DOWN|UP"},
        {"is": ["0312345678", "700"]},
        {"prefixes": ["0312", "7"]},
        {"is": ["9"], "prefixes": ["09"], "matches": "7.*"},
    ]
)
HOLIDAYS = {"days": ["05-11", "2026-12-29"], "holidays": ["文化の日", "元日"]}
FULL = {"at_least": 7}


@st.composite
def nodes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Nodes whose ways out lead anywhere; most such flows have faults and are passed over."""
    made: list[dict[str, Any]] = []
    for index, node_id in enumerate(IDS):
        target = st.sampled_from([*IDS[index + 1 :], "bye"])
        kind = draw(st.sampled_from(DECIDING if index < 3 else [kind for kind in Kind if kind not in ENDS]))
        node: dict[str, Any] = {"id": node_id, "do": str(kind)}
        node |= {outcome: draw(target) for outcome in OUTCOMES[kind]}
        if kind in (Kind.PLAY, Kind.MENU, Kind.COLLECT, Kind.RECORD_ANNOUNCE):
            node["prompts"] = draw(PROMPTS)
        if kind in (Kind.MENU, Kind.COLLECT):
            node |= {"again": draw(st.sampled_from([[], ["invalid"]])), "tries": draw(st.integers(1, 3))}
        if kind is Kind.MENU:
            keys = draw(st.lists(st.sampled_from("123*#"), min_size=1, max_size=3, unique=True))
            node["keys"] = [{"key": key, "then": draw(st.sampled_from([*IDS, "bye"]))} for key in keys]
        if kind is Kind.COLLECT:
            node |= {
                "variable": "who",
                "least": draw(st.integers(1, 2)),
                "most": 3,
                "pattern": draw(st.sampled_from(["", "2[0-9]*"])),
            }
        if kind is Kind.SCHEDULE:
            node["schedule"] = "office"
        if kind is Kind.SET:
            node |= {"variable": "who", "value": "201"}
        if kind is Kind.BRANCH:
            node |= {
                "on": draw(st.sampled_from(["caller", "link", "dialled"])),
                "cases": [draw(CASES) | {"then": draw(target)} for _ in range(draw(st.integers(1, 2)))],
            }
            node |= draw(
                st.sampled_from(
                    [
                        {},
                        {"on": "holiday", "schedule": "office", "cases": [HOLIDAYS | {"then": draw(target)}]},
                        {"on": "queue_waiting", "queue": "sales", "cases": [FULL | {"then": draw(target)}]},
                        {"on": "queue_agents", "queue": "night", "cases": [FULL | {"then": draw(target)}]},
                    ]
                )
            )
        if kind is Kind.QUEUE:
            node["queue"] = draw(st.sampled_from(["sales", "night"]))
        if kind is Kind.HTTP:
            node |= {"url": "https://crm.example/who", "fields": [{"variable": "who", "path": "tel"}]}
        if kind is Kind.SAY:
            node |= {
                "as": draw(st.sampled_from(["number", "digits", "telephone", "amount"])),
                "variable": "who",
            }
        if kind is Kind.RETENTION:
            node["class"] = "short"
        if kind is Kind.TRANSFER:
            node["number"] = "600"
        made.append(node)
    return [*made, bye()]


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(
    nodes(),
    st.lists(st.sampled_from(["", "1", "2", "3", "*", "#", "7", "21", "2#", "210", "a"]), max_size=12),
    st.integers(0, 500 * 24 * 60),
    st.dictionaries(
        st.sampled_from(IDS), st.sampled_from([None, {"who": "201"}, {"who": "vip"}, {"who": ""}])
    ),
)
def test_a_compiled_flow_does_what_the_simulator_says(
    made: list[dict[str, Any]], script: list[str], minutes: int, answers: dict[str, dict[str, str] | None]
) -> None:
    """Unreachable nodes are taken out, so that many of the flows are valid."""
    reachable, pending = set[str](), ["n0"]
    by_id = {node["id"]: node for node in made}
    while pending:
        one = pending.pop()
        if one not in reachable:
            reachable.add(one)
            node = by_id[one]
            pending += [
                value
                for key, value in node.items()
                if key != "id" and isinstance(value, str) and value in by_id
            ]
            pending += [key["then"] for key in (*node.get("keys", ()), *node.get("cases", ()))]
    first = {"id": "note", "do": "set", "variable": "who", "value": "203", "next": "n0"}
    document = flow_document(first, *(node for node in made if node["id"] in reachable), queues=QUEUE_ROWS)
    if site.validate(document):
        return
    plan = site.parse(document).media
    moment = MONDAY + timedelta(minutes=minutes)
    alike(dialled(plan, script, moment, answers), walked(plan, script, moment, answers))


HOURS = {
    "id": "when",
    "do": "schedule",
    "schedule": "office",
    "open": "main",
    "closed": "shut",
    "holiday": "free",
}
NODES = (HOURS, menu(), bye("shut", prompts=["closed"]), bye("free", prompts=["holiday"]), bye())


@pytest.mark.parametrize(
    ("moment", "heard"),
    [
        ("2026-05-11T08:59", "closed"),
        ("2026-05-11T09:00", "welcome"),
        ("2026-05-11T11:59", "welcome"),
        ("2026-05-11T12:00", "closed"),
        ("2026-05-11T17:29", "welcome"),
        ("2026-05-11T17:30", "closed"),
        ("2026-05-09T10:00", "welcome"),  # Saturday
        ("2026-05-10T10:00", "closed"),  # Sunday
        ("2026-05-06T10:00", "holiday"),  # substitute holiday
        ("2026-04-29T10:00", "welcome"),  # a holiday that is worked
        ("2026-12-29T10:00", "holiday"),
        ("2027-12-29T10:00", "holiday"),
        ("2026-08-14T10:00", "holiday"),
        ("2027-08-13T10:00", "welcome"),
        ("2055-09-23T10:00", "holiday"),
    ],
)
def test_hours_and_holidays_are_those_of_the_schedule(moment: str, heard: str) -> None:
    plan = plan_of(*NODES)
    line = dialled(plan, ["1"], datetime.fromisoformat(moment))
    assert line.heard[0] == f"/p/{heard}.wav"
    alike(line, walked(plan, ["1"], datetime.fromisoformat(moment)))


@pytest.mark.parametrize("this_year", [1900, 1970, 2026, 2099, 9999])
def test_a_box_that_renders_before_it_knows_the_time_keeps_today_s_holidays(this_year: int) -> None:
    assert {2026, 2055} <= set(schedule_xml.years(this_year))
    context = schedule_xml.context(plan_of(*NODES).schedules, "Asia/Tokyo", this_year)
    assert 'year="2026" yday="1,12,' in xml.document((context,))


@pytest.mark.parametrize(
    ("state", "heard"), [("open", "welcome"), ("closed", "closed"), ("holiday", "holiday")]
)
def test_a_state_set_by_hand_goes_before_hours_and_holidays(state: str, heard: str) -> None:
    plan = plan_of(*NODES)
    for moment in (MONDAY, datetime(2026, 5, 6, 10), datetime(2026, 5, 10, 3)):
        line = dialled(plan, ["1"], moment, office=state)
        assert line.heard[0] == f"/p/{heard}.wav"
        alike(line, walked(plan, ["1"], moment, office=state))


def test_nothing_but_applications_can_be_reached_from_outside() -> None:
    line = dialled(plan_of(*NODES), [], MONDAY)
    for destination in ("begin", "main", "office", "main=1", "9999", ""):
        stranger = Line(line.contexts, [], MONDAY)
        stranger.run(destination, names.ENTRY)
        assert stranger.did == [("hangup", "UNALLOCATED_NUMBER")]


def test_a_caller_s_name_is_part_of_no_application_s_arguments() -> None:
    text = compiled(plan_of(*NODES))
    assert "${caller_id" not in text
    assert "${sip_from" not in text


def test_every_application_s_arguments_are_free_of_api_calls() -> None:
    """ "${name(...)}" would run a command of the switch."""
    assert "(" not in "".join(part.partition("}")[0] for part in compiled(plan_of(*NODES)).split("${")[1:])


def test_a_directory_is_found_by_its_feature_code_and_by_its_number() -> None:
    for number in ("*411", "704"):
        applications = [
            {"number": "700", "kind": "flow", "flow": "reception"},
            {"number": "704", "kind": "directory"},
        ]
        plan = plan_of({"id": "d", "do": "directory", "number": number}, applications=applications)
        found = contexts(compiled(plan))
        (target,) = {
            action.get("data", "").split(" ")[0]
            for one in found["flow-reception"].iter("extension")
            if one.get("name") == "d"
            for action in one.iter("action")
        }
        expressions = {one.get("expression", "") for one in found[names.ENTRY].iter("condition")}
        assert any(re.search(one, target) for one in expressions - {"^"}), target
