"""The order of callers and agents in a queue, step by step."""

from appliance.freeswitch.queue import SILENT_MAX_S, UNANSWERED_REST_S, Do, Figures, Queue, Told, Waiting

ALL = frozenset({"201", "202", "203"})
WAIT = Told(Do.WAIT)


def waiting(**changes: int) -> Waiting:
    given = {"ring_s": 10, "rest_s": 5, "waiting_max": 3, "timeout_s": 60, "place_every_s": 0}
    return Waiting(Queue("sales", "Sales", ("201", "202"), **(given | changes)))


def ask(queue: Waiting, caller: str, now_s: float, came: float = 0.0, there: frozenset[str] = ALL) -> Told:
    return queue.ask(caller, came, there, now_s, now_s)


def ring(agent: str) -> Told:
    return Told(Do.RING, agent=agent)


def busy(queue: Waiting) -> None:
    """Both agents talk."""
    assert (ask(queue, "x", 0), ask(queue, "y", 0, 0.1)) == (ring("201"), ring("202"))
    for caller in "xy":
        queue.looked(caller, exists=True, talks=True, now_s=1)


def test_each_of_the_first_callers_rings_an_agent_of_his_own() -> None:
    queue = waiting()
    assert (ask(queue, "a", 0), ask(queue, "b", 0, 1), ask(queue, "c", 0, 2)) == (
        ring("201"),
        ring("202"),
        WAIT,
    )


def test_whoever_came_first_is_next_although_he_asks_later() -> None:
    queue = waiting()
    busy(queue)
    assert (ask(queue, "late", 2, 2.0), ask(queue, "early", 3, 1.5)) == (WAIT, WAIT)
    queue.looked("x", exists=False, talks=False, now_s=4)
    assert ask(queue, "late", 9.5, 2.0) == WAIT
    assert ask(queue, "early", 9.6, 1.5) == ring("201")


def test_the_agent_who_has_been_idle_longest_is_rung() -> None:
    queue = waiting(rest_s=0)
    busy(queue)
    queue.looked("y", exists=False, talks=False, now_s=5)
    queue.looked("x", exists=False, talks=False, now_s=6)
    assert queue.free(ALL, 7) == ["202", "201"]


def test_an_agent_rests_after_a_call() -> None:
    queue = waiting()
    busy(queue)
    queue.looked("x", exists=True, talks=False, now_s=10)
    assert (queue.free(ALL, 14), queue.free(ALL, 15)) == ([], ["201"])


def test_an_agent_who_does_not_answer_is_left_in_peace_for_a_while() -> None:
    queue = waiting()
    assert ask(queue, "a", 0) == ring("201")
    assert ask(queue, "a", 10) == ring("202")
    assert ask(queue, "a", 20) == WAIT
    for second in range(21, 30):
        assert ask(queue, "a", second) == WAIT
    assert ask(queue, "a", 10 + UNANSWERED_REST_S) == ring("201")


def test_a_caller_who_stops_asking_is_gone_and_nobody_waits_behind_him() -> None:
    queue = waiting()
    busy(queue)
    assert (ask(queue, "a", 1, 1.0), ask(queue, "b", 1, 2.0)) == (WAIT, WAIT)
    queue.looked("x", exists=False, talks=False, now_s=1)
    assert ask(queue, "b", 6, 2.0) == WAIT
    assert ask(queue, "b", 1.1 + SILENT_MAX_S, 2.0) == ring("201")


def test_a_full_queue_takes_nobody_and_says_so() -> None:
    queue = waiting()
    busy(queue)
    assert [ask(queue, caller, 1, came).do for came, caller in enumerate("abcd")] == ["wait"] * 3 + ["full"]


def test_the_longest_wait_and_a_queue_without_agents_lead_out() -> None:
    queue = waiting()
    busy(queue)
    assert [ask(queue, "a", second, 0.0) for second in (1, 8)] == [WAIT, WAIT]
    assert ask(queue, "a", 60, 0.0) == Told(Do.TIMEOUT)
    assert ask(queue, "b", 60, 60.0, frozenset({"203"})) == Told(Do.NOBODY)
    assert queue.figures(ALL, 60, 60) == Figures(0, 2, 0)


def test_the_place_is_told_every_so_often() -> None:
    queue = waiting(place_every_s=6)
    busy(queue)
    told = [ask(queue, "a", second, 1.0) for second in (1, 3, 5, 7, 9, 13)]
    assert [one.place for one in told] == [0, 0, 0, 1, 0, 1]


def test_figures_are_those_of_now() -> None:
    queue = waiting()
    busy(queue)
    assert ask(queue, "a", 10, 4.0) == WAIT
    assert queue.figures(frozenset({"202"}), 12, 12) == Figures(waiting=1, agents=1, longest_s=8)


def test_a_new_version_of_the_document_goes_on_with_who_waits() -> None:
    old, new = waiting(), waiting(waiting_max=1)
    busy(old)
    assert ask(old, "a", 2, 1.0) == WAIT
    new.take_over(old)
    assert (ask(new, "a", 3, 1.0), ask(new, "b", 3, 2.0)) == (WAIT, Told(Do.FULL))
