"""A Kamailio that hangs is ended, any other is not. A failure is calls cut for nothing, or a box that is dead for days."""

from agent.hang import HUNG_LOOKS, STALLED_LOOKS, HangWatch, Look

ANSWERS = Look(7, answered=True)
SILENT = Look(7, answered=False)


def verdicts(*looks: Look) -> list[bool]:
    watch = HangWatch()
    return [watch.look(look) for look in looks]


def test_silence_for_long_is_a_hang_and_said_once() -> None:
    assert verdicts(ANSWERS, *[SILENT] * 20) == [*[False] * HUNG_LOOKS, True, *[False] * (20 - HUNG_LOOKS)]


def test_an_answer_in_between_begins_anew() -> None:
    short = [SILENT] * (HUNG_LOOKS - 1)
    assert not any(verdicts(ANSWERS, *short, ANSWERS, *short, ANSWERS))


def test_a_process_that_never_answered_is_starting() -> None:
    assert not any(verdicts(*[SILENT] * 1000))


def test_one_that_was_started_again_is_starting() -> None:
    assert not any(verdicts(ANSWERS, SILENT, SILENT, *[Look(8, answered=False)] * 100))


def test_none_at_all_hangs_not() -> None:
    assert not any(verdicts(ANSWERS, *[Look(None, answered=False)] * 100))


def test_a_flooded_one_reads_and_is_left_alone_for_long_and_not_for_ever() -> None:
    flooded = [Look(7, answered=False, received=1000 * number) for number in range(STALLED_LOOKS)]
    told = verdicts(ANSWERS, *flooded)
    assert told.index(True) == STALLED_LOOKS


def test_one_whose_control_answers_and_whose_workers_read_nothing_hangs() -> None:
    told = verdicts(ANSWERS, *[Look(7, answered=False, received=41)] * 10)
    assert told.index(True) == HUNG_LOOKS + 1, "the first look finds out what was read so far"
