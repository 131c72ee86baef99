"""Answers what a flow's dialplan cannot know by itself: a queue's next step, its figures, an HTTP look-up. Adapter: asyncio.

FreeSWITCH connects for each question (`flow_clerk_xml`), this writes the answer into the call's variables and closes. A question
that cannot be answered is closed without a word, and the dialplan goes on with its default; so does it when the agent is gone.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from agent import lookup_secrets
from agent.flow_recording import FlowRecording
from agent.kamailio_rpc import KamailioRpc, RpcError, RpcRefused
from agent.logs import Logger
from agent.lookup_client import LookupClient
from agent.recording_switch import RecordingSwitch
from agent.schedules import SchedulesByHand
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import names, render
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.freeswitch.lookup import Failed
from appliance.freeswitch.queue import Do, Waiting
from appliance.freeswitch.quoting import word
from appliance.layout import Layout
from appliance.media.ng import NgClient

BLOCK_BYTES_MAX = 512 * 1024
"""Of what FreeSWITCH tells of a call: some 20 KB."""

ANSWER_S = 8.0
"""For a question, a look-up's five seconds included."""

LOOK_S = 2.0
"""How often calls with agents are looked after while there are any."""

Api = Callable[..., Awaitable[str]]
Reachable = Callable[[str], Awaitable[bool]]


def api_of(box: Box, layout: Layout) -> Api:
    """Commands of the box's FreeSWITCH."""
    settings = box.freeswitch

    async def api(name: str, *arguments: str) -> str:
        address = Address(settings.address, settings.esl_port, render.password(layout))
        return await ask(address, name, *arguments)

    return api


def clerk_of(
    box: Box,
    layout: Layout,
    rpc: KamailioRpc,
    schedules: SchedulesByHand,
    tell: Callable[[str, str], None],
    log: Logger,
    paused: Callable[[str], object],
) -> "Clerk":
    """A box's clerk: asks its FreeSWITCH and its Kamailio. paused: told of each call whose recording a flow has paused."""

    async def reachable(extension: str) -> bool:
        try:
            await rpc.call("ul.lookup", "location", extension)
        except RpcRefused:
            return False
        except RpcError:  # Kamailio is busy or starts: whoever is called will tell
            return True
        return True

    client = LookupClient(lookup_secrets.folder(layout), lookup_secrets.trusted(layout))
    recordings = RecordingSwitch(NgClient(box.rtp.ng), layout.kamailio_rpc, paused)
    steering = FlowRecording(recordings, layout.capture_tmp_dir)
    return Clerk(client, steering, schedules, api_of(box, layout), reachable, tell, log)


class Clerk:
    """One per agent. api: a command of FreeSWITCH. reachable: whether an extension's telephone is registered. tell: takes a
    call's Call-ID and the retention class of its recording."""

    def __init__(
        self,
        client: LookupClient,
        steering: FlowRecording,
        schedules: SchedulesByHand,
        api: Api,
        reachable: Reachable,
        tell: Callable[[str, str], None],
        log: Logger,
    ) -> None:
        self._client = client
        self._steering = steering
        self._schedules = schedules
        self._tell = tell
        self._api = api
        self._reachable = reachable
        self._log = log
        self._plan = MediaPlan()
        self._queues: dict[str, Waiting] = {}

    def use(self, plan: MediaPlan) -> None:
        """Go on with another version's flows and queues; who waits goes on waiting."""
        before, self._plan = self._queues, plan
        self._queues = {}
        for queue in plan.queues:
            waiting = self._queues[queue.id] = Waiting(queue)
            if queue.id in before:
                waiting.take_over(before[queue.id])

    async def run(self, host: str, port: int) -> None:
        """Serve until cancelled. Raises OSError when the socket is taken."""
        server = await asyncio.start_server(self._serve, host, port, limit=BLOCK_BYTES_MAX)
        async with server:
            while True:
                await asyncio.sleep(LOOK_S)
                await self._look_after()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                call = await _call(reader, writer)
                await self._require_true(call)
                told = await self._answer(call)
                if told:
                    pairs = ";".join(f"{word(name)}={value and word(value)}" for name, value in told.items())
                    uuid = word(call["unique-id"])
                    writer.write(f"api uuid_setvar_multi {uuid} {pairs}\n\n".encode())
                    await reader.readuntil(b"\n\n")
        except Failed as failed:
            self._log.warning("lookup_failed", reason=failed.why)
        except KyusaiError as error:
            self._log.warning("question_not_answered", reason=error.message)
        except (TimeoutError, OSError, EOFError, ValueError, KeyError, asyncio.LimitOverrunError) as error:
            self._log.warning("question_not_answered", reason=f"{type(error).__name__}: {error}"[:200])
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _require_true(self, call: Mapping[str, str]) -> None:
        """Any program on this machine can connect here: a question is answered if FreeSWITCH knows the call and its question.
        Raises `KyusaiError` "clerk.stranger"."""
        asked = (await self._api("uuid_getvar", call["unique-id"], names.QUESTION)).strip()
        if not asked or asked != call.get(f"variable_{names.QUESTION}"):
            raise KyusaiError("clerk.stranger", "a question of no call of FreeSWITCH's")

    async def _answer(self, call: Mapping[str, str]) -> dict[str, str]:
        what, _, about = call.get(f"variable_{names.QUESTION}", "").partition(":")
        if what == "by-hand":
            schedules, _, state = about.partition(":")
            for schedule in schedules.split("+"):
                await self._schedules.from_telephone(schedule, state, call.get("caller-caller-id-number", ""))
            return {names.ANSWER: "next"}
        if what == "recording":
            return await self._steer(about, call)
        if what == "http":
            return await self._look_up(about, call)
        waiting = self._queues.get(about)
        if waiting is None:
            return {}
        there = await self._there(waiting)
        if what == "figures":
            figures = waiting.figures(there, time.monotonic(), time.time())
            return {
                variable: str(getattr(figures, subject.removeprefix("queue_")))
                for subject, variable in names.QUEUE_FIGURES.items()
            }
        return self._in_queue(waiting, call, there)

    def _in_queue(self, waiting: Waiting, call: Mapping[str, str], there: frozenset[str]) -> dict[str, str]:
        since = call.get(f"variable_{names.QUEUE_SINCE}", "")
        since_utc = float(since) if since else time.time()
        told = waiting.ask(call["unique-id"], since_utc, there, time.monotonic(), time.time())
        found = {names.ANSWER: str(told.do), names.QUEUE_SINCE: f"{since_utc:.3f}"}
        if told.do is Do.RING:
            found[names.AGENT] = told.agent
        if told.do is Do.SAY:
            found[names.PLACE] = str(told.place)
        return found

    async def _steer(self, order: str, call: Mapping[str, str]) -> dict[str, str]:
        """A call's recording is stopped, goes on, or gets a class, which the centre hears of as an event."""
        call_id, retention = call["variable_sip_call_id"], order.removeprefix("retention=")
        if retention != order:
            self._tell(call_id, retention)
        else:
            await asyncio.to_thread(
                self._steering.pause if order == "pause" else self._steering.resume, call_id
            )
        return {names.ANSWER: "next"}

    async def _look_up(self, about: str, call: Mapping[str, str]) -> dict[str, str]:
        flow_id, _, node_id = about.partition(":")
        flow = self._plan.flow(flow_id)
        node = flow.node(node_id) if flow else None
        if node is None or node.lookup is None:
            return {}
        before = f"variable_{names.VARIABLE}"
        known = {name.removeprefix(before): value for name, value in call.items() if name.startswith(before)}
        known["caller"] = call.get("caller-caller-id-number", "")
        known["dialled"] = call.get(f"variable_{names.ENTERED}", "")
        noted = await self._client.ask(node.lookup, known)
        return {f"{names.VARIABLE}{name}": value for name, value in noted.items()} | {names.ANSWER: "next"}

    async def _there(self, waiting: Waiting) -> frozenset[str]:
        agents = waiting.queue.agents
        found = await asyncio.gather(*(self._reachable(agent) for agent in agents))
        return frozenset(agent for agent, is_there in zip(agents, found, strict=True) if is_there)

    async def _look_after(self) -> None:
        """What has become of callers who were sent to agents."""
        for waiting in self._queues.values():
            for caller in set(waiting.connected()):
                try:
                    bond = (await self._api("uuid_getvar", caller, "signal_bond")).strip()
                except FreeSwitchSilent:
                    waiting.looked(caller, exists=False, talks=False, now_s=time.monotonic())
                    continue
                exists, talks = not bond.startswith("-ERR"), bond not in ("", "_undef_")
                waiting.looked(caller, exists=exists, talks=exists and talks, now_s=time.monotonic())


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str]:
    """What FreeSWITCH tells of the call that asks: names in lower case. Values are decoded after lines are split."""
    writer.write(b"connect\n\n")
    await writer.drain()
    block = (await reader.readuntil(b"\n\n")).decode("utf-8", "replace")
    rows = (line.partition(":") for line in block.splitlines())
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in rows}
