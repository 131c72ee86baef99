"""ADAPTER. How the box's FreeSWITCH and its controller fare: one question to each, side by side."""

import asyncio
import re
from typing import Any

from agent import watch
from agent.status import ApplicationsStatus
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import render
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.layout import Layout

ANSWER_S = 1.5
"""Both answer within milliseconds; the figures are read every two seconds."""

_COUNT = re.compile(r"^(\d+) total\.", re.MULTILINE)


async def read(box: Box, layout: Layout) -> ApplicationsStatus | None:
    """The figures now; None on a box without FreeSWITCH. Takes `ANSWER_S` at most. Raises OSError for a password that cannot be
    read."""
    if not box.freeswitch.address:
        return None
    channels, told = await asyncio.gather(_channels(box, layout), _controller(layout))
    return ApplicationsStatus(
        alive=channels is not None,
        channels=channels,
        controller_alive=bool(told),
        connected=bool(told.get("connected")),
        stays={str(what): int(count) for what, count in told.get("stays", {}).items()},
        **{name: int(told.get(name, 0)) for name in FIGURES},
    )


FIGURES = (
    "queue",
    "events",
    "events_lost",
    "connections",
    "faults",
    "facts_waiting",
    "facts_lost",
    "orders",
    "orders_refused",
)
"""Of the controller's own status, as they are."""


async def _channels(box: Box, layout: Layout) -> int | None:
    """Legs that FreeSWITCH holds; None when it does not answer."""
    settings = box.freeswitch
    address = Address(settings.address, settings.esl_port, render.password(layout))
    try:
        found = _COUNT.search(await ask(address, "show", "channels", "count", within_s=ANSWER_S))
    except FreeSwitchSilent:
        return None
    return int(found.group(1)) if found else None


async def _controller(layout: Layout) -> dict[str, Any]:
    try:
        return await asyncio.to_thread(watch.control_status, layout.control_socket, ANSWER_S)
    except KyusaiError:
        return {}
