"""The link machine: what a site's callers would feel if one of these failed is a wait, a flap or a lost failback."""

import heapq
import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import link as machine
from agent.evidence import ROUND_TRIP_LIMIT_MS, Evidence, Sighting
from agent.link import (
    HOLD_BASE_S,
    HOLD_CAP_S,
    STABLE_S,
    TRANSITIONS,
    Effect,
    Event,
    HoldDown,
    IllegalEvent,
    Link,
    LinkMemory,
)
from appliance.model import LinkState

UP, SUSPECT, DOWN, RECOVERING = LinkState.UP, LinkState.SUSPECT, LinkState.DOWN, LinkState.RECOVERING
MACHINE_STATES = (UP, SUSPECT, DOWN, RECOVERING)
TICKED = {Event.HELD, Event.STRAINED, Event.SETTLED}


class Line:
    """Drives a `Link` with probes at the rate that it asks for. `answers(n)` says whether probe n is answered."""

    def __init__(self, link: Link | None = None, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.link = link or Link("cloud", now_s)
        self.effects: list[tuple[float, Effect]] = []
        self.changes: list[tuple[float, LinkState]] = []
        self._last_tick_s = now_s
        self.probes = 0

    def _note(self, effects: Iterable[Effect], before: LinkState) -> None:
        self.effects += [(self.now_s, effect) for effect in effects]
        if self.link.state is not before:
            self.changes.append((self.now_s, self.link.state))

    def see(self, sighting: Sighting, rtt_ms: float | None = None) -> None:
        before = self.link.state
        self._note(self.link.observe(sighting, self.now_s, rtt_ms), before)

    def run(self, span_s: float, answers: bool = True, lost_every: int = 0) -> None:
        """Probes for `span_s`; every `lost_every`-th is lost, or all of them when `answers` is False."""
        end_s = self.now_s + span_s
        while self.now_s < end_s:
            self.now_s += self.link.probe_interval_s(self.now_s)
            self.probes += 1
            lost = not answers or (lost_every and self.probes % lost_every == 0)
            self.see(Sighting.PROBE_LOST if lost else Sighting.PROBE_ANSWERED, None if lost else 20.0)
            if self.now_s - self._last_tick_s >= 1.0:
                self._last_tick_s = self.now_s
                before = self.link.state
                self._note(self.link.tick(self.now_s), before)

    def until(self, state: LinkState, limit_s: float, **how: int) -> float:
        start_s = self.now_s
        while self.link.state is not state:
            assert self.now_s - start_s < limit_s, f"still {self.link.state} after {limit_s} s"
            self.run(0.1, **how)
        return self.now_s - start_s


def up_line() -> Line:
    line = Line()
    line.run(12)
    assert line.link.state is UP
    return line


@pytest.mark.parametrize("state", MACHINE_STATES)
@pytest.mark.parametrize("event", Event)
def test_every_state_and_event_is_a_choice_or_raises(state: LinkState, event: Event) -> None:
    link = Link("cloud", 0.0, LinkMemory("UP", 3))
    link.state = state
    if (state, event) in TRANSITIONS:
        after, effects = TRANSITIONS[state, event]
        assert link.step(event, 1.0) == effects
        assert link.state is after
        assert (Effect.ANNOUNCE in effects) == (after is not state)
    else:
        assert event in TICKED
        with pytest.raises(IllegalEvent, match=f"{event.value}.*{state.value}"):
            link.step(event, 1.0)


def test_no_path_leads_from_down_to_up_but_through_recovering() -> None:
    assert {after for (state, _), (after, _) in TRANSITIONS.items() if state is DOWN} == {DOWN, RECOVERING}
    assert {
        event for (state, event), (after, _) in TRANSITIONS.items() if after is UP and state is not UP
    } == {Event.HELD}


def test_hard_loss_is_known_within_a_second_of_lost_probes() -> None:
    line = up_line()
    # Each loss is known 0.6 s after its probe; the machine needs no more than five of them, 0.2 s apart or less.
    assert line.until(DOWN, 3, answers=False) + ROUND_TRIP_LIMIT_MS / 1000 <= 1.7


@pytest.mark.parametrize("sighting", [Sighting.PROBE_UNSENT, Sighting.PROBE_OVERLOADED, Sighting.PROBE_LOST])
def test_every_kind_of_bad_probe_takes_the_link_down(sighting: Sighting) -> None:
    line = up_line()
    for _ in range(5):
        line.now_s += 0.2
        line.see(sighting)
    assert line.link.state is DOWN


def test_answers_slower_than_a_call_waits_take_the_link_down() -> None:
    line = up_line()
    for _ in range(5):
        line.now_s += 0.2
        line.see(Sighting.PROBE_ANSWERED, ROUND_TRIP_LIMIT_MS + 1.0)
    assert line.link.state is DOWN


@pytest.mark.parametrize("lost_every", [3, 4], ids=["33 percent", "25 percent"])
def test_brownout_is_known_within_ten_seconds(lost_every: int) -> None:
    line = up_line()
    assert line.until(DOWN, 10, lost_every=lost_every) < 10 - ROUND_TRIP_LIMIT_MS / 1000
    assert line.link.reason == "brownout"


def random_loss(ratio: float, seed: int, span_s: float) -> float | None:
    """Seconds until DOWN on a line that loses `ratio` of the probes at random from the 12th second on; None: never."""
    chance, link, open_probes = random.Random(seed), Link("cloud", 0.0), list[tuple[float, bool]]()
    now_s = ticked_s = 0.0
    while now_s < 12.0 + span_s:
        while open_probes and open_probes[0][0] <= now_s:
            at_s, lost = heapq.heappop(open_probes)
            link.observe(
                Sighting.PROBE_LOST if lost else Sighting.PROBE_ANSWERED, at_s, None if lost else 20.0
            )
            if link.state is DOWN:
                return at_s - 12.0
        if now_s - ticked_s >= 1.0:
            ticked_s = now_s
            link.tick(now_s)
        lost = now_s >= 12.0 and chance.random() < ratio
        heapq.heappush(open_probes, (now_s + (ROUND_TRIP_LIMIT_MS / 1000 if lost else 0.02), lost))
        now_s += link.probe_interval_s(now_s)
    return None


@pytest.mark.parametrize(("ratio", "limit_s"), [(0.3, 10.0), (0.5, 6.0), (1.0, 1.7)])
def test_random_loss_is_known_in_time_whatever_the_dice_say(ratio: float, limit_s: float) -> None:
    took_s = [random_loss(ratio, seed, 30.0) for seed in range(150)]
    assert max(99.0 if one is None else one for one in took_s) <= limit_s


def test_five_percent_loss_at_random_is_borne_for_an_hour() -> None:
    assert [random_loss(0.05, seed, 1200.0) for seed in range(3)] == [None, None, None]


def test_five_percent_loss_never_takes_the_link_down() -> None:
    line = up_line()
    line.run(600, lost_every=20)
    assert DOWN not in [state for _, state in line.changes]


def test_one_miss_makes_probing_faster_for_a_while_and_changes_nothing() -> None:
    line = up_line()
    line.see(Sighting.PROBE_LOST)
    assert line.link.state is UP
    assert line.link.probe_interval_s(line.now_s) == machine.PROBE_INTERVAL_FAST_S
    assert line.link.probe_interval_s(line.now_s + machine.FAST_AFTER_MISS_S) == machine.PROBE_INTERVAL_S


def test_three_failed_calls_in_a_row_take_the_link_down_though_probes_are_answered() -> None:
    line = up_line()
    for sighting in (Sighting.CALL_SILENT, Sighting.CALL_OVERLOADED, Sighting.CALL_SILENT):
        line.run(1)
        line.see(sighting)
    assert (line.link.state, line.link.reason) == (DOWN, "failing")
    line.run(2)
    assert line.link.state is RECOVERING, "probes are answered, so the hold-down begins"


def test_a_served_call_between_failed_ones_keeps_the_link_up() -> None:
    line = up_line()
    for sighting in (Sighting.CALL_SILENT, Sighting.CALL_SERVED) * 4:
        line.run(2)
        line.see(sighting)
    assert DOWN not in [state for _, state in line.changes]


def test_failback_waits_for_the_hold_down_and_lets_what_waits_go_on() -> None:
    line = up_line()
    line.run(3, answers=False)
    line.until(RECOVERING, 3)
    assert HOLD_BASE_S <= line.until(UP, 20) <= HOLD_BASE_S + 1.5
    assert line.effects[-1][1] is Effect.GO_ON


def test_a_brownout_during_the_hold_down_begins_it_anew() -> None:
    line = up_line()
    line.run(3, answers=False)
    line.until(RECOVERING, 3)
    line.run(HOLD_BASE_S - 2)
    line.run(5, lost_every=4)
    assert line.link.state is RECOVERING
    assert line.until(UP, 30) >= HOLD_BASE_S - 5


def test_each_flap_doubles_the_hold_down_up_to_the_cap() -> None:
    link = Link("cloud", 0.0)
    seen = []
    for _ in range(10):
        link.state = RECOVERING
        seen.append(link.hold_s)
        link.step(Event.HELD, 0.0)
    assert seen == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800]
    assert link.hold_s == HOLD_CAP_S


def test_each_stable_time_halves_the_hold_down() -> None:
    link = Link("cloud", 0.0, LinkMemory("UP", 2))
    link.state = UP
    for i in range(1, 4000):
        link.observe(Sighting.PROBE_ANSWERED, float(i), 20.0)
        link.tick(float(i))
    assert STABLE_S * 3 < 4000
    assert link.hold_s == HOLD_BASE_S


def test_an_outage_begins_the_stable_time_anew() -> None:
    line = up_line()
    line.link.failbacks = 3
    line.run(STABLE_S - 100)
    line.run(3, answers=False)
    line.until(UP, 200)
    line.run(STABLE_S - 100)
    assert line.link.failbacks == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [("UP", SUSPECT), ("SUSPECT", SUSPECT), ("DOWN", DOWN), ("RECOVERING", RECOVERING), ("HALF-UP", SUSPECT)],
)
def test_a_restarted_agent_resumes_in_the_safe_state_with_its_hold_down(
    before: str, after: LinkState
) -> None:
    link = Link("cloud", 5.0, LinkMemory(before, 4))
    assert (link.state, link.hold_s) == (after, 160.0)
    assert link.memory == LinkMemory(after.value, 4)


def test_a_prober_that_fell_silent_never_leads_to_up() -> None:
    link = Link("cloud", 0.0, LinkMemory("RECOVERING", 0))
    for second in range(1, 100):
        link.tick(float(second))
    assert link.state is RECOVERING


def test_a_call_waits_three_round_trips_at_least_and_a_few_slow_ones_change_nothing() -> None:
    link = Link("cloud", 0.0)
    assert link.life_ms(600) == 600
    for i in range(100):
        link.observe(Sighting.PROBE_ANSWERED, i * 0.2, 300.0)
    assert link.life_ms(600) == 900
    for _ in range(40):
        link.evidence.note_late(580.0)
    assert link.life_ms(600) == 900


def test_a_wait_is_rounded_up_and_so_never_below_three_round_trips() -> None:
    link = Link("cloud", 0.0)
    for i in range(100):
        link.observe(Sighting.PROBE_ANSWERED, i * 0.2, 300.1)
    assert link.life_ms(600) == 901


def test_an_empty_evidence_has_no_figures() -> None:
    seen = Evidence()
    assert (seen.loss_ratio, seen.round_trip_ms, seen.round_trip_p99_ms, seen.seen) == (0.0, None, None, 0)


def test_the_window_forgets_what_is_older_than_its_span() -> None:
    seen = Evidence()
    seen.add(Sighting.PROBE_LOST, 0.0)
    seen.add(Sighting.PROBE_ANSWERED, 10.0, 5.0)
    assert (seen.seen, seen.loss_ratio) == (1, 0.0)


SPANS = st.tuples(st.floats(0.1, 60.0), st.sampled_from([0, 1, 2, 3, 4, 5, 9, 20]))
"""(seconds, every how many probes one is lost; 0 none, 1 all)."""


@settings(max_examples=60)
@given(st.lists(SPANS, min_size=1, max_size=40), st.sampled_from(["UP", "DOWN", "RECOVERING"]))
def test_no_line_makes_more_failbacks_than_the_hold_down_promises(
    spans: list[tuple[float, int]], first: str
) -> None:
    line = Line(Link("cloud", 0.0, LinkMemory(first)))
    for span_s, lost_every in spans:
        line.run(span_s, answers=lost_every != 1, lost_every=lost_every)
    ups_s = [at_s for at_s, state in line.changes if state is UP]
    failbacks_s = [at_s for at_s, effect in line.effects if effect is Effect.GO_ON]
    hold_down = HoldDown()
    assert all(later - earlier >= hold_down.calm_s for earlier, later in itertools.pairwise(ups_s))
    for i, start_s in enumerate(failbacks_s):
        for many, end_s in enumerate(failbacks_s[i:], start=1):
            assert many <= hold_down.failbacks_promised(end_s - start_s)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0.01, 40.0), st.sampled_from(list(Sighting)), st.booleans()), max_size=300)
)
def test_no_sequence_of_sightings_is_illegal_or_beats_the_promise(
    steps: list[tuple[float, Sighting, bool]],
) -> None:
    link, now_s, failbacks_s = Link("cloud", 0.0), 0.0, []
    for wait_s, sighting, tick in steps:
        now_s += wait_s
        effects = link.observe(sighting, now_s, 30.0 if sighting is Sighting.PROBE_ANSWERED else None)
        effects += link.tick(now_s) if tick else ()
        failbacks_s += [now_s] * (Effect.GO_ON in effects)
    for i, start_s in enumerate(failbacks_s):
        assert len(failbacks_s) - i <= HoldDown().failbacks_promised(failbacks_s[-1] - start_s)


@pytest.mark.parametrize(
    ("span_s", "most"), [(0, 1), (19, 1), (20, 2), (59, 2), (60, 3), (600, 5), (86400, 150)]
)
def test_the_promise_is_what_the_manual_says(span_s: float, most: int) -> None:
    assert HoldDown().failbacks_promised(span_s) == most
