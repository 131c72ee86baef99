"""What the controller makes of a thousand events a second: heard, written, memory, and whether FreeSWITCH ends the connection.

A real FreeSWITCH is given events of the size and kind of its own (`sendevent`: a leg begins, is answered, ends), so that what it
sends to its listeners, and how it treats one that is slow, is its own doing. Stages: the stated rate for an hour (`--quick`: some
seconds); the controller stopped (SIGSTOP) for some seconds in the middle of it, as a machine short of time does; as many events
as FreeSWITCH takes. The sender shares the machine. Beside it: what it costs to read an event of a leg with all its variables.
"""

import asyncio
import os
import signal
import time
import uuid
from typing import Any

from agent import watch
from appliance.freeswitch.events import Block, event_of
from tests.bench.app_ground import cpu_s, rss_kb
from tests.bench.figures import table
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until

RATE_PER_S = 1_000
STEADY_S, STEADY_QUICK_S = 3_600, 10
STOPPED_S = 15.0
"""Longer than the ten seconds that fit into the controller's own queue."""
FLOOD, FLOOD_QUICK = 30_000, 6_000
PADDING_BYTES = 300
"""FreeSWITCH reads what it is sent byte by byte (mod_event_socket.c, `read_packet`): at a thousand a second there is no room
for the 5 kB of a real leg's event. What it sends to the controller has some 1 kB."""
TICK_S = 0.02
MEMORY_LIMIT_MB = 60.0
"""How much the controller may grow by: what its bounded queues may hold of such events."""

Figures = dict[str, Any]


def run(quick: bool = False) -> Figures:
    """Figures of each stage."""
    return asyncio.run(_measure(quick))


def report(figures: Figures) -> str:
    """The figures as a table."""
    rows = [
        [
            one["stage"],
            one["sent"],
            f"{one['rate_per_s']:.0f}",
            one["heard"],
            one["lost"],
            one["facts"],
            one["queue_max"],
            f"{one['cpu_share']:.2f}",
            f"{one['rss_mb_before']:.0f} → {one['rss_mb_after']:.0f}",
        ]
        for one in figures["stages"]
    ]
    head = ["stage", "sent", "per s", "heard", "lost", "facts", "queue", "cores", "RSS MB"]
    parsed = f"reading an event of 130 variables: {figures['parse_us']:.0f} µs"
    ended = (
        f"connections: {figures['connections']}; FreeSWITCH ended or warned of a listener: {figures['ended']}"
    )
    return f"{table(head, rows)}\n{parsed}\n{ended}\nlimits hold: {'yes' if figures['holds'] else 'NO'}"


async def _measure(quick: bool) -> Figures:
    parts = Parts(
        phones=0, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True, control=True
    )
    async with Lab(parts, {"call_control": "local"}) as lab:
        await wait_until(lambda: _status(lab)["connected"], "the controller hears FreeSWITCH", 30, 0.1)
        sender = await Sender.connect(lab)
        steady_s = STEADY_QUICK_S if quick else STEADY_S
        stages = [
            await _stage(lab, sender, "warm", RATE_PER_S, 2 * RATE_PER_S),
            await _stage(lab, sender, f"{RATE_PER_S} a second", RATE_PER_S, steady_s * RATE_PER_S),
            await _stage(
                lab,
                sender,
                f"stopped for {STOPPED_S:g} s",
                RATE_PER_S,
                int(STOPPED_S + 5) * RATE_PER_S,
                stop=True,
            ),
            await _stage(lab, sender, "as many as it takes", 0, FLOOD_QUICK if quick else FLOOD),
        ]
        status = _status(lab)
        ended = (
            [line for line in lab.box.freeswitch.faults() if "listener" in line or "Lost [" in line]
            if lab.box.freeswitch
            else []
        )
        at_rate = stages[1:3]
        holds = (
            status["connections"] == 1
            and not ended
            and all(one["lost"] == 0 and one["heard"] == one["sent"] for one in at_rate)
            and all(one["rss_mb_after"] - stages[0]["rss_mb_after"] < MEMORY_LIMIT_MB for one in stages)
        )
        return {
            "parse_us": _parse_us(),
            "stages": stages,
            "connections": status["connections"],
            "ended": len(ended),
            "holds": holds,
        }


async def _stage(
    lab: Lab, sender: "Sender", name: str, rate: int, count: int, *, stop: bool = False
) -> Figures:
    """rate: events a second, 0 for as fast as FreeSWITCH answers."""
    count -= count % 3
    pid, before = lab.box.control.pid, _status(lab)
    rss_mb, began_cpu_s, began_s = rss_kb(pid) / 1024, cpu_s(pid), time.monotonic()
    queue_max, stopped_s = 0, 0.0
    sent = asyncio.create_task(sender.send(rate, count))
    while not sent.done():
        await asyncio.sleep(0.25)
        passed_s = time.monotonic() - began_s
        if stop and not stopped_s and passed_s > 1:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            stopped_s = STOPPED_S
        queue_max = max(queue_max, (await asyncio.to_thread(_status, lab))["queue"])
    await sent
    took_s = time.monotonic() - began_s

    def settled() -> bool:
        now = _status(lab)
        heard = now["events"] - before["events"] + now["events_lost"] - before["events_lost"]
        return heard >= count and not now["facts_waiting"] and not now["queue"]

    await wait_until(lambda: asyncio.to_thread(settled), "all is heard and written", 60, 0.25)
    after = _status(lab)
    return {
        "stage": name,
        "sent": count,
        "rate_per_s": count / took_s,
        "heard": after["events"] - before["events"],
        "lost": after["events_lost"] - before["events_lost"],
        "facts": 2 * count // 3,
        "queue_max": queue_max,
        "cpu_share": (cpu_s(pid) - began_cpu_s) / (time.monotonic() - began_s),
        "rss_mb_before": rss_mb,
        "rss_mb_after": rss_kb(pid) / 1024,
    }


def _parse_us() -> float:
    """Microseconds to read one event of a leg as it comes from the socket: 130 variables, 6 kB."""
    variables = "".join(
        f"variable_some_name_{number}: some%20value%20of%20it%20{number}\n" for number in range(130)
    )
    block = Block({}, f"Event-Name: CHANNEL_ANSWER\nUnique-ID: {uuid.uuid4()}\n{variables}\n".encode())
    began_s = time.perf_counter()
    for _ in range(500):
        event_of(block)
    return (time.perf_counter() - began_s) / 500 * 1e6


def _status(lab: Lab) -> dict[str, Any]:
    return watch.control_status(lab.box.layout.control_socket, 30)


class Sender:
    """A connection that has FreeSWITCH fire events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, lab: Lab) -> "Sender":
        """Log in at the lab's FreeSWITCH."""
        from appliance.freeswitch import render

        settings = lab.box.settings.freeswitch
        made = cls(*await asyncio.open_connection(settings.address, settings.esl_port))
        await made._reader.readuntil(b"\n\n")
        made._writer.write(f"auth {render.password(lab.box.layout)}\n\n".encode())
        await made._reader.readuntil(b"\n\n")
        return made

    async def send(self, rate: int, count: int) -> None:
        """Fire `count` events; returns when FreeSWITCH has taken the last."""
        answers = asyncio.create_task(self._answers(count))
        began_s, done = time.monotonic(), 0
        while done < count:
            due = min(count, int((time.monotonic() - began_s) * rate)) if rate else done + 60
            for _ in range(done, min(due - due % 3, count), 3):
                for block in _leg():
                    self._writer.write(block)
                done += 3
            await self._writer.drain()
            await asyncio.sleep(TICK_S if rate else 0)
        await answers

    async def _answers(self, count: int) -> None:
        for _ in range(count):
            await self._reader.readuntil(b"\n\n")


def _leg() -> list[bytes]:
    """A leg's beginning, answer and end."""
    name = str(uuid.uuid4())
    headers = (
        f"Unique-ID: {name}\nCall-Direction: inbound\nvariable_sip_call_id: {name}@bench\nvariable_sip_req_user: 700\n"
        f"Caller-Caller-ID-Number: 201\nvariable_padding: {'x' * PADDING_BYTES}\n\n"
    )
    events = ("CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_HANGUP_COMPLETE")
    return [f"sendevent {event}\n{headers}".encode() for event in events]
