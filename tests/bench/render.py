"""A large site's applications: rendered in what time, switched with what harm to calls, held by FreeSWITCH in what memory.

Rendering is what the agent does with a document that came: parse and check, route snapshot, dialplan and directory on the
disk. The switch is real: 100 calls listen to a menu through Kamailio, rtpengine and FreeSWITCH while another version is put
into use and FreeSWITCH is told; every one of them has to be heard on, and a call after it has to get the new version. At the
end some calls are ended and some silenced on purpose: a count that does not find exactly those could not find others.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance import site, snapshot
from appliance.freeswitch import render as freeswitch
from tests.bench.app_ground import (
    CALLS_OF_A_PHONE_MAX,
    LONG_PROMPT,
    Ground,
    document,
    menu_flow,
    rss_kb,
)
from tests.bench.figures import cell, spread, table
from tests.bench.hearing import SILENCE_MAX_MS
from tests.lab.addresses import claim
from tests.lab.processes import Process
from tests.lab.site_document import extension

ROUNDS, ROUNDS_QUICK = 11, 3
SWITCHES, SWITCHES_QUICK = 5, 2
EXTENSIONS, GROUPS, FLOWS = 1_000, 100, 50
FIRST_EXTENSION = 2000
NODES_OF_A_FLOW = 8
MEMORY_ROUNDS, MEMORY_ROUNDS_QUICK = 5, 2
MEMORY_STEPS = (100, 500, 1_000)
"""Extensions in the documents whose memory is compared; groups and flows stay as they are."""
SETTLE_S = 1.0
"""From the moment at which FreeSWITCH takes calls: what it does at its start is over then."""

RELOADS, RELOADS_QUICK = 60, 20
"""With other versions of the same size: what it holds grows to what the parser needs beside the one in use, and stays."""
CALLS, FILL_PER_S = 100, 20.0
LIMIT_S = 2.0
BEFORE_S, AFTER_S = 0.5, 1.5
"""Calls are listened to so long before and after a switch. One that was ended, or was silent for too long, is lost."""

ENDED, SILENCED = 3, 2
"""On purpose, when all switches are over."""

NUMBER, OTHER_NUMBER = "7000", "7777"
"""Of the menu that calls listen to, and of one that only the second version has."""

Figures = dict[str, Any]


def run(quick: bool = False) -> Figures:
    """Times, the switch, and memory."""
    return asyncio.run(_measure(quick))


def report(figures: Figures) -> str:
    """The figures as a table."""
    steps = figures["render_s"]
    rows = [[name, cell(steps[name], 3)] for name in ("check", "snapshot", "freeswitch", "all")]
    held = "held" if steps["all"]["max"] < LIMIT_S else "MISSED"
    return "\n".join(
        [
            f"{EXTENSIONS:,} extensions with mailboxes, {GROUPS} groups, {FLOWS} flows of {NODES_OF_A_FLOW} nodes: "
            f"{figures['document_bytes']:,} bytes of document, {figures['xml_bytes']:,} of XML; "
            f"{figures['rounds']} rounds, seconds",
            table(["step", "seconds"], rows),
            f"limit {LIMIT_S:g} s: {held}",
            "",
            *_said_of_switches(figures["switch"]),
            "",
            *_said_of_memory(figures["memory"]),
        ]
    )


def _said_of_switches(switch: Figures) -> list[str]:
    lost, caught = switch["ended"] + switch["silent"], switch["on_purpose"]
    seen = caught["ended"] == ENDED and caught["silent"] == SILENCED
    return [
        f"{switch['switches']} switches with {switch['calls']} calls up: {lost} lost ({switch['ended']} ended, "
        f"{switch['silent']} silent for more than {SILENCE_MAX_MS} ms; FreeSWITCH itself had {switch['least_up']} up at least)",
        f"FreeSWITCH read its files in {cell(switch['reload_ms'], 0)} ms; longest gap in a call's sound "
        f"{cell(switch['gap_ms'], 0)} ms (without a switch {cell(switch['gap_without_ms'], 0)}); the next call had the new "
        f"version: {switch['new_version']}",
        f"then {ENDED} ended and {SILENCED} silenced on purpose: {caught['ended']} and {caught['silent']} found"
        + ("" if seen else "; THE COUNT OF LOST CALLS IS WRONG"),
    ]


def _said_of_memory(memory: Figures) -> list[str]:
    steps = ", ".join(f"{count:,}: {cell(memory['rss_mb'][str(count)], 1)}" for count in memory["extensions"])
    after = " and ".join(f"{one:.1f}" for one in memory["rss_mb_after_reloads"])
    reloads = memory["reloads"]
    return [
        f"FreeSWITCH's memory, {memory['rounds']} rounds: {cell(memory['kb_per_100_extensions'], 0)} KiB for each 100 "
        f"extensions; resident MiB with {steps}; after {reloads // 2} and {reloads} reloads {after}",
    ]


def large(ground: Ground, version: int = 1, *, extensions: int = EXTENSIONS, **changes: Any) -> Figures:
    """The large document: those who call come first, then a thousand others with mailboxes."""
    others = [str(FIRST_EXTENSION + index) for index in range(extensions)]
    people = [
        extension(number, "not-a-phone-of-this-lab", forward_no_answer=f"*98{number}", public_number="")
        for number in others
    ]
    told = document(
        ground,
        version,
        groups=[
            {
                "number": str(600_000 + index),
                "name": f"Group {index}",
                "strategy": "all",
                "members": [others[(index * 10 + step) % len(others)] for step in range(10)],
                "ring_s": 20,
            }
            for index in range(GROUPS)
        ],
        mailboxes=[{"number": number, "code_md5": "0" * 32, "language": "ja"} for number in others],
        schedules=[{"id": "office", "hours": [{"from": "09:00", "to": "17:30"}], "public_holidays": "jp"}],
        applications=[
            {"number": NUMBER, "kind": "flow", "flow": "bench"},
            *(
                {"number": str(7_100 + index), "kind": "flow", "flow": f"flow-{index}"}
                for index in range(FLOWS)
            ),
            {"number": "*97", "kind": "voicemail"},
        ],
        flows=[menu_flow(), *(_flow(index, others) for index in range(FLOWS))],
    )
    told["extensions"] = [
        *(one | {"max_calls": CALLS_OF_A_PHONE_MAX} for one in told["extensions"]),
        *people,
    ]
    return told | changes


def _flow(index: int, numbers: list[str]) -> Figures:
    keys = [{"key": str(key), "then": f"call-{key}"} for key in range(1, 5)]
    return {
        "id": f"flow-{index}",
        "language": "ja",
        "nodes": [
            {
                "id": "when",
                "do": "schedule",
                "schedule": "office",
                "open": "main",
                "closed": "bye",
                "holiday": "bye",
            },
            {
                "id": "main",
                "do": "menu",
                "prompts": ["welcome", "main_menu"],
                "again": ["invalid"],
                "keys": keys,
                "timeout": "sorry",
                "invalid": "bye",
            },
            *(
                {
                    "id": f"call-{key}",
                    "do": "transfer",
                    "number": numbers[(4 * index + key) % len(numbers)],
                    "unanswered": "sorry",
                }
                for key in range(1, 5)
            ),
            {"id": "sorry", "do": "hangup", "prompts": ["nobody"]},
            {"id": "bye", "do": "hangup", "prompts": ["closed"]},
        ],
    }


async def _measure(quick: bool) -> Figures:
    held = claim()
    ground = Ground(held)
    try:
        figures = _rendered(ground, ROUNDS_QUICK if quick else ROUNDS)
        await ground.begin(large(ground))
        figures["switch"] = await _switched(ground, SWITCHES_QUICK if quick else SWITCHES)
        figures["memory"] = await _memory(
            ground, RELOADS_QUICK if quick else RELOADS, MEMORY_ROUNDS_QUICK if quick else MEMORY_ROUNDS
        )
    finally:
        await ground.end()
        held.release()
    return figures


def _rendered(ground: Ground, rounds: int) -> Figures:
    text = json.dumps(large(ground), ensure_ascii=False)
    taken: list[dict[str, float]] = []
    folder = Path(ground.folder) / "rendered"
    prompts = folder / "prompts"
    for number in range(rounds):
        version = folder / str(number)
        version.mkdir(parents=True)
        marks = [time.perf_counter()]
        parsed = site.loads(text)
        marks.append(time.perf_counter())
        snapshot.write(parsed, version / "route.sqlite")
        marks.append(time.perf_counter())
        freeswitch.write_site(parsed.media, version / "freeswitch", prompts)
        marks.append(time.perf_counter())
        names = ("check", "snapshot", "freeswitch")
        parts = {name: marks[at + 1] - marks[at] for at, name in enumerate(names)}
        taken.append(parts | {"all": marks[-1] - marks[0]})
    xml = sum(path.stat().st_size for path in (folder / "0" / "freeswitch").iterdir())
    return {
        "rounds": rounds,
        "document_bytes": len(text.encode()),
        "xml_bytes": xml,
        "render_s": {name: spread([one[name] for one in taken], 4) for name in taken[0]},
    }


def _process(ground: Ground, name: str) -> Process:
    command = freeswitch.command(ground.box.layout)
    return Process(f"freeswitch-{name}", command, ground.folder, env=freeswitch.ENVIRONMENT)


async def _switched(ground: Ground, switches: int, calls: int = CALLS) -> Figures:
    await ground.start_media(_process(ground, "switch"))
    filled = await ground.phones.ask("call", 120.0, number=NUMBER, count=calls, rate_per_s=FILL_PER_S)
    up = sum(one["sound_ms"] is not None for one in filled)
    if up != calls:
        raise RuntimeError(f"only {up} of {calls} calls came up: {filled[:3]}")
    reload_ms: list[float] = []
    without: list[Figures] = []
    during: list[Figures] = []
    least_up, new_version = calls, True
    for number in range(switches):
        await ground.phones.ask("follow")
        await asyncio.sleep(BEFORE_S + AFTER_S)
        without.append(await ground.phones.ask("followed"))
        told, other = _another(ground, number)
        await ground.phones.ask("follow")
        await asyncio.sleep(BEFORE_S)
        await asyncio.to_thread(ground.publish, told)
        began_s = time.perf_counter()
        answer = await ground.order("reloadxml")
        reload_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(AFTER_S)
        during.append(await ground.phones.ask("followed"))
        least_up = min(least_up, len(await _legs(ground)))
        fresh = await ground.phones.ask("call", 30.0, number=other, count=1, rate_per_s=1.0, hold_s=0.1)
        new_version &= answer.startswith("+OK") and fresh[0]["sound_ms"] is not None
    on_purpose = await _lost_on_purpose(ground)
    await ground.phones.ask("empty", 60.0)
    await ground.stop_media()
    last = during[-1]
    return {
        "switches": switches,
        "calls": calls,
        "ended": calls - (last["calls"] - last["ended"]),
        "silent": sum(one["silent"] for one in (*without, *during)),
        "least_up": least_up,
        "new_version": new_version,
        "on_purpose": on_purpose,
        "reload_ms": spread(reload_ms, 1),
        "gap_ms": spread(_longest(during), 0),
        "gap_without_ms": spread(_longest(without), 0),
    }


def _another(ground: Ground, number: int) -> tuple[Figures, str]:
    """Another version, and the number that only it has."""
    told, other = large(ground, 2 + number), str(int(OTHER_NUMBER) + number)
    added = {"number": other, "kind": "announcement", "prompts": [LONG_PROMPT], "language": "en"}
    told["applications"].append(added)
    return told, other


def _longest(found: Sequence[Figures]) -> list[float]:
    return [float(max(one["gap_ms"], default=0)) for one in found]


async def _legs(ground: Ground) -> list[str]:
    """Ids of the legs that FreeSWITCH has."""
    told = json.loads(await ground.order("show", "channels", "as", "json"))
    return [str(row["uuid"]) for row in told.get("rows", ())]


async def _lost_on_purpose(ground: Ground) -> Figures:
    """What is counted when FreeSWITCH ends some calls and falls silent towards others."""
    await ground.phones.ask("follow")
    await asyncio.sleep(BEFORE_S)
    legs = await _legs(ground)
    for leg in legs[:ENDED]:
        await ground.order("uuid_kill", leg)
    for leg in legs[ENDED : ENDED + SILENCED]:
        await ground.order("uuid_audio", leg, "start", "write", "mute", "1")
    await asyncio.sleep(AFTER_S)
    found: Figures = await ground.phones.ask("followed")
    return {"ended": found["ended"], "silent": found["silent"]}


async def _memory(ground: Ground, reloads: int, rounds: int) -> Figures:
    """Resident memory of a FreeSWITCH that has just started, by the size of its site; then after reading it again and again."""
    taken = [
        {
            count: await _resident_mb(ground, count, number)
            for count in MEMORY_STEPS[:: 1 if number % 2 else -1]
        }
        for number in range(rounds)
    ]
    after = await _after_reloads(ground, reloads)
    least, most = MEMORY_STEPS[0], MEMORY_STEPS[-1]
    return {
        "rounds": rounds,
        "extensions": list(MEMORY_STEPS),
        "rss_mb": {str(count): spread([one[count] for one in taken], 2) for count in MEMORY_STEPS},
        "reloads": reloads,
        "rss_mb_after_reloads": after,
        "kb_per_100_extensions": spread(
            [(one[most] - one[least]) * 1024 / (most - least) * 100 for one in taken], 0
        ),
    }


async def _resident_mb(ground: Ground, extensions: int, number: int) -> float:
    ground.publish(large(ground, 100 + extensions, extensions=extensions))
    await ground.start_media(_process(ground, f"memory-{extensions}-{number}"))
    await asyncio.sleep(SETTLE_S)
    assert ground.media is not None
    found = rss_kb(ground.media.pid) / 1024
    await ground.stop_media()
    return found


async def _after_reloads(ground: Ground, reloads: int) -> list[float]:
    ground.publish(large(ground, 100 + MEMORY_STEPS[-1]))
    await ground.start_media(_process(ground, "reloads"))
    assert ground.media is not None
    after: list[float] = []
    for _ in range(2):
        for _ in range(reloads // 2):
            await ground.order("reloadxml")
        after.append(rss_kb(ground.media.pid) / 1024)
    await ground.stop_media()
    return after
