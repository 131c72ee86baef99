"""What the simulator is told of the world at the command line: queues, answers of look-ups, schedules set by hand. Pure."""

import re
from collections.abc import Iterable, Sequence

from appliance.errors import KyusaiError
from appliance.freeswitch.queue import Figures
from appliance.freeswitch.schedule import State


def queues(given: Iterable[str]) -> dict[str, Figures]:
    """ "sales=3,2,40": callers who wait, agents, the longest wait in seconds. Raises `KyusaiError`."""
    found: dict[str, Figures] = {}
    for one in given:
        match = re.fullmatch(r"([a-z0-9-]+)=(\d{1,6}),(\d{1,6}),(\d{1,6})", one, re.ASCII)
        if match is None:
            raise KyusaiError(
                "agent.flow.queue",
                f"{one!r} says nothing of a queue",
                "Write the queue's id, callers who wait, agents and the longest wait in seconds: sales=3,2,40.",
                value=one,
            )
        found[match[1]] = Figures(int(match[2]), int(match[3]), int(match[4]))
    return found


def answers(given: Iterable[str]) -> dict[str, dict[str, str]]:
    """ "look.level=gold": what the node's look-up notes under a variable. Raises `KyusaiError`."""
    found: dict[str, dict[str, str]] = {}
    for one in given:
        match = re.fullmatch(r"([a-z0-9_-]+)\.([a-z0-9_]+)=([A-Za-z0-9_.+*#-]{0,64})", one, re.ASCII)
        if match is None:
            raise KyusaiError(
                "agent.flow.answer",
                f"{one!r} says nothing of an answer",
                "Write the node, the variable and what it gets: look.level=gold.",
                value=one,
            )
        found.setdefault(match[1], {})[match[2]] = match[3]
    return found


def by_hand(given: Iterable[str], known: frozenset[str]) -> dict[str, str]:
    """ "office=closed": what somebody has set a schedule to. known: schedules of the document. Raises `KyusaiError`."""
    found: dict[str, str] = {}
    for one in given:
        schedule, _, state = one.partition("=")
        if schedule not in known or state not in set(State):
            names = ", ".join(sorted(known)) or "none"
            raise KyusaiError(
                "agent.flow.hand",
                f"{one!r} sets no schedule of this document; known are {names}",
                "Write the schedule and open, closed or holiday: office=closed.",
                value=one,
                known=names,
            )
        found[schedule] = state
    return found


def dialled(given: str, numbers: Sequence[str]) -> str:
    """The number by which the call came, the first one where none is given. numbers: those that lead to the flow. Raises
    `KyusaiError`."""
    if given and given not in numbers:
        names = ", ".join(numbers) or "none"
        raise KyusaiError(
            "agent.flow.dialled",
            f"{given!r} does not lead to this flow; known are {names}",
            "Name the number of one of the flow's applications.",
            value=given,
            known=names,
        )
    return given or next(iter(numbers), "")
