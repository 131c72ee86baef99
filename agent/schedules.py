"""Schedules set by hand, at the terminal or from a telephone: kept on disk, told to FreeSWITCH and to the centre. Adapter: disk.

FreeSWITCH reads the dialplan that is written here by itself, so what was set holds while this agent is gone, after FreeSWITCH
has started anew, and after a power cut. What a telephone set while the agent was gone is found in FreeSWITCH's variables.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from agent.local_http import Reply
from agent.logs import Logger
from appliance.errors import KyusaiError
from appliance.freeswitch import by_hand, names, render
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.by_hand import AUTOMATIC, STATES, ByHand
from appliance.layout import Layout

LOOK_S = 5.0
"""How often what ended is noticed, and what a telephone set without the agent."""

AHEAD_MAX_S = 366 * 86_400
"""Longest `until`: a year."""

Api = Callable[..., Awaitable[str]]
Tell = Callable[[ByHand], None]


class SchedulesByHand:
    """One per agent. api: a command of FreeSWITCH. tell: takes what was set, for the centre."""

    def __init__(self, layout: Layout, api: Api, tell: Tell, log: Logger) -> None:
        self._layout = layout
        self._api = api
        self._tell = tell
        self._log = log
        self._plan = MediaPlan()
        self._held = {one.schedule: one for one in render.by_hand(layout)}

    def use(self, plan: MediaPlan) -> None:
        """Go on with another version's schedules."""
        self._plan = plan

    def held(self) -> tuple[ByHand, ...]:
        """What holds now, for the status."""
        now = time.time()
        return tuple(one for one in self._held.values() if one.holds(now))

    async def run(self) -> None:
        """For ever."""
        while True:
            for one in [*self._held.values()]:
                if not one.holds(time.time()):
                    await self._keep(ByHand(one.schedule, AUTOMATIC, time.time(), None, "until"))
            with contextlib.suppress(FreeSwitchSilent):
                await self._find()
            await asyncio.sleep(LOOK_S)

    async def set(self, schedule: str, state: str, until_utc: float | None, by: str) -> ByHand:
        """Set a schedule by hand, or let it go by its hours again. Raises `KyusaiError`, OSError."""
        one = self._checked(schedule, state, until_utc, by)
        await self._keep(one)
        try:
            await self._api("global_setvar", f"{names.override(schedule)}=")
            await self._api("reloadxml")
        except FreeSwitchSilent as silent:  # it reads the file when it starts
            self._log.warning("freeswitch_not_told", about=silent.key, reason=silent.message)
        return one

    async def from_telephone(self, schedule: str, state: str, by: str) -> None:
        """A telephone has set it; FreeSWITCH knows. Raises `KyusaiError`, OSError."""
        await self._keep(self._checked(schedule, state, None, by))

    async def serve(self, body: bytes) -> Reply:
        """`POST /schedule` on the agent's socket."""
        try:
            asked = _asked(body)
            one = await self.set(asked["schedule"], asked["state"], asked.get("until_utc"), asked["by"])
        except KyusaiError as error:
            fault = {"key": error.key, "message": error.message, "hint": error.hint, "values": error.values}
            return "409 Conflict", "application/json", json.dumps(fault, default=str).encode()
        except OSError as error:
            fault = {
                "key": "schedule.failed",
                "message": f"it could not be kept: {error}",
                "hint": "",
                "values": {},
            }
            return "507 Insufficient Storage", "application/json", json.dumps(fault).encode()
        return "200 OK", "application/json", json.dumps(asdict(one)).encode()

    def _checked(self, schedule: str, state: str, until_utc: float | None, by: str) -> ByHand:
        known = [one.id for one in self._plan.schedules]
        if schedule not in known or state not in STATES:
            raise KyusaiError(
                "schedule.unknown",
                f"{schedule!r} is not a schedule of this site; known are {', '.join(known) or 'none'}",
                "kyusai schedule list shows them.",
                value=schedule,
                known=", ".join(known) or "none",
            )
        now = time.time()
        if until_utc is not None and not now < until_utc <= now + AHEAD_MAX_S:
            raise KyusaiError(
                "schedule.until",
                "the end lies in the past or more than a year ahead",
                "Give a moment to come, in the site's local time, such as 18:00 or 2026-05-03T18:00.",
            )
        return ByHand(schedule, state, now, until_utc, by[: by_hand.BY_CHARACTERS_MAX])

    async def _keep(self, one: ByHand) -> None:
        self._held.pop(one.schedule, None)
        if one.state != AUTOMATIC:
            self._held[one.schedule] = one
        await asyncio.to_thread(
            render.write_by_hand, self._layout, tuple(self._held.values()), self._plan.time_zone
        )
        self._log.info(
            "schedule_set", schedule=one.schedule, state=one.state, by=one.by, until_utc=one.until_utc
        )
        self._tell(one)

    async def _find(self) -> None:
        """What FreeSWITCH's variables say and the file does not."""
        if not self._plan.schedules:
            return
        rows = (line.partition("=") for line in (await self._api("global_getvar")).splitlines())
        told = {name: value for name, _, value in rows if name.startswith(names.OVERRIDE)}
        for schedule in self._plan.schedules:
            state = told.get(names.override(schedule.id), "")
            held = self._held.get(schedule.id)
            if state in STATES and state != (held.state if held else AUTOMATIC):
                await self._keep(ByHand(schedule.id, state, time.time(), None, "telephone"))


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    texts = ("schedule", "state", "by")
    good = isinstance(asked, dict) and all(isinstance(asked.get(name), str) for name in texts)
    if not good or not isinstance(asked, dict) or not isinstance(asked.get("until_utc"), int | float | None):
        raise KyusaiError("schedule.request", "the request does not name a schedule, a state and who asks")
    return asked
