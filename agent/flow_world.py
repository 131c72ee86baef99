"""What the simulator is told of the world at the command line: queues and answers of look-ups. Pure."""

import re
from collections.abc import Iterable

from appliance.errors import KyusaiError
from appliance.freeswitch.queue import Figures


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
