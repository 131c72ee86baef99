"""How soon a caller hears a menu, and what a call in an application costs: the box's FreeSWITCH beside vanilla's.

The path is the whole box: telephone, Kamailio, rtpengine, FreeSWITCH. Kamailio and rtpengine stay the same; in each round
one FreeSWITCH after the other takes the place behind them, in turned order every second round, with a menu that plays the
same file. First calls arrive at ten a second and stay for some seconds; then 200 are brought up and held while their
prompt plays, which is when processor time is counted. Ratios are taken within a round. The telephones share the machine.
"""

import asyncio
from pathlib import Path
from typing import Any

from appliance.freeswitch import render
from tests.bench import vanilla
from tests.bench.app_ground import Ground, cpu_s, document, menu_flow, rss_kb
from tests.bench.figures import cell, quantile, spread, table
from tests.bench.sipp import family
from tests.lab.addresses import claim
from tests.lab.processes import Process

ROUNDS, ROUNDS_QUICK = 5, 1
NUMBER = "700"

RATE_PER_S = 10.0
ARRIVALS, ARRIVALS_QUICK = 150, 30
STAY_S = 3.0
"""From the first sound on: thirty calls overlap."""

AT_ONCE, AT_ONCE_QUICK = 200, 40
FILL_PER_S = 20.0
"""Below vanilla's `sessions-per-second` of 30."""

SETTLE_S, COUNT_S, COUNT_QUICK_S = 2.0, 10.0, 4.0
"""Pause after the last call has come up; length of the count."""

OURS, VANILLA, QUIET = "box", "vanilla", "vanilla, log as the box's"
NAMES = (OURS, VANILLA, QUIET)
SOUND_LIMIT_MS = 300
RATIO_LIMIT = 1.15

Figures = dict[str, Any]


def run(quick: bool = False) -> dict[str, Any]:
    """Delays, costs and ratios."""
    return asyncio.run(_measure(quick))


def report(figures: dict[str, Any]) -> str:
    """The figures as tables."""
    rows = [
        [
            name,
            *(cell(found[what], digits) for what, digits in (("sound_ms_p50", 0), ("sound_ms_p95", 0))),
            *(cell(found[what], 2) for what in ("cpu_ms_per_call_s", "rss_kb_per_call")),
            cell(found["rss_mb_idle"], 0),
            found["failed"],
        ]
        for name in NAMES
        for found in [figures[name]]
    ]
    lines = [
        f"Median (least-most) of {figures['rounds']} rounds: {figures['arrivals']} calls at {RATE_PER_S:g} a second, then"
        f" {figures['at_once']} at once",
        table(
            [
                "FreeSWITCH",
                "first sound ms p50",
                "p95",
                "CPU ms per call and second",
                "KiB per call",
                "MiB idle",
                "calls failed",
            ],
            rows,
        ),
        "",
    ]
    sound = figures[OURS]["sound_ms_p50"]["median"]
    lines.append(
        f"first sound: {sound:.0f} ms (limit {SOUND_LIMIT_MS}: {'held' if sound < SOUND_LIMIT_MS else 'MISSED'})"
    )
    for against in (VANILLA, QUIET):
        ratios = figures["ratios"][against]
        for what in ("cpu", "memory"):
            held = "held" if ratios[what]["median"] <= RATIO_LIMIT else "MISSED"
            lines.append(f"{what}, box / {against}: {cell(ratios[what])} (at most {RATIO_LIMIT}: {held})")
        lines.append(f"first sound, box / {against}: {cell(ratios['sound'])}")
    path = figures["path"]
    lines.append(
        f"the path beside it: Kamailio {cell(path['kamailio_ms_per_call_s'])}, rtpengine "
        f"{cell(path['rtpengine_ms_per_call_s'])} ms of CPU per call and second"
    )
    return "\n".join(lines)


async def _measure(quick: bool) -> dict[str, Any]:
    held = claim()
    ground = Ground(held)
    bench = Bench(ground, quick)
    try:
        await ground.begin(bench.document)
        taken = [await bench.round(number) for number in range(ROUNDS_QUICK if quick else ROUNDS)]
    finally:
        await ground.end()
        held.release()
    return {
        "rounds": len(taken),
        "arrivals": bench.arrivals,
        "at_once": bench.at_once,
        **{name: _summed([one[name] for one in taken]) for name in NAMES},
        "ratios": {
            against: {
                what: spread([one[OURS][key] / one[against][key] for one in taken])
                for what, key in (
                    ("cpu", "cpu_ms_per_call_s"),
                    ("memory", "rss_kb_per_call"),
                    ("sound", "sound_ms_p50"),
                )
            }
            for against in (VANILLA, QUIET)
        },
        "path": {
            key: spread([one[name][key] for one in taken for name in NAMES])
            for key in ("kamailio_ms_per_call_s", "rtpengine_ms_per_call_s")
        },
    }


def _summed(rounds: list[Figures]) -> Figures:
    found: Figures = {
        key: spread([one[key] for one in rounds])
        for key in rounds[0]
        if key != "failed" and not key.startswith(("kamailio", "rtpengine"))
    }
    return found | {"failed": sum(one["failed"] for one in rounds)}


class Bench:
    """The rounds over one ground."""

    def __init__(self, ground: Ground, quick: bool) -> None:
        """Nothing runs yet."""
        self._ground = ground
        self.arrivals = ARRIVALS_QUICK if quick else ARRIVALS
        self.at_once = AT_ONCE_QUICK if quick else AT_ONCE
        self._count_s = COUNT_QUICK_S if quick else COUNT_S
        self.document = document(
            ground,
            applications=[{"number": NUMBER, "kind": "flow", "flow": "bench"}],
            flows=[menu_flow()],
        )

    async def round(self, number: int) -> dict[str, Figures]:
        """Figures of each FreeSWITCH."""
        names = NAMES if number % 2 == 0 else NAMES[::-1]
        return {name: await self._one(name, number) for name in names}

    async def _one(self, name: str, number: int) -> Figures:
        ground = self._ground
        await ground.start_media(self._process(name, number))
        assert ground.media is not None
        try:
            warm = await ground.phones.ask(
                "call", 60.0, number=NUMBER, count=5, rate_per_s=RATE_PER_S, hold_s=0.2
            )
            pid = ground.media.pid
            idle_kb = rss_kb(pid)
            arrived = await ground.phones.ask(
                "call", 120.0, number=NUMBER, count=self.arrivals, rate_per_s=RATE_PER_S, hold_s=STAY_S
            )
            filled = await ground.phones.ask(
                "call", 120.0, number=NUMBER, count=self.at_once, rate_per_s=FILL_PER_S
            )
            await asyncio.sleep(SETTLE_S)
            up = sum(one["sound_ms"] is not None for one in filled)
            if not up:
                raise RuntimeError(f"{name}: no call heard anything: {arrived[:3]} {filled[:3]}")
            cost = await self._cost(pid, up)
            full_kb = rss_kb(pid)
            await ground.phones.ask("empty", 60.0)
        finally:
            await ground.stop_media()
        sounds = [one["sound_ms"] for one in arrived if one["sound_ms"] is not None]
        answers = [one["answer_ms"] for one in arrived if one["answer_ms"] is not None]
        return {
            "answer_ms_p50": quantile(answers, 0.5),
            "sound_ms_p50": quantile(sounds, 0.5),
            "sound_ms_p95": quantile(sounds, 0.95),
            "sound_ms_max": max(sounds),
            "filling_sound_ms_p95": quantile(
                [one["sound_ms"] for one in filled if one["sound_ms"] is not None], 0.95
            ),
            **cost,
            "rss_mb_idle": idle_kb / 1024,
            "rss_kb_per_call": (full_kb - idle_kb) / up,
            "failed": sum(one["sound_ms"] is None for one in (*warm, *arrived, *filled)),
        }

    async def _cost(self, pid: int, up: int) -> Figures:
        """CPU milliseconds per call and second, of FreeSWITCH and of the path beside it."""
        box = self._ground.box
        parts = {
            "cpu": [pid],
            "kamailio": family(box.kamailio.process.pid),
            "rtpengine": family(box.rtpengine.process.pid),
        }
        loop = asyncio.get_running_loop()
        before = {name: sum(map(cpu_s, pids)) for name, pids in parts.items()}
        began_s = loop.time()
        await asyncio.sleep(self._count_s)
        seconds = loop.time() - began_s
        return {
            f"{name}_ms_per_call_s": (sum(map(cpu_s, pids)) - before[name]) * 1000 / seconds / up
            for name, pids in parts.items()
        }

    def _process(self, name: str, number: int) -> Process:
        ground = self._ground
        environment: dict[str, str] = {}
        if name == OURS:
            command, environment = render.command(ground.box.layout), render.ENVIRONMENT
        else:
            folder = Path(ground.folder) / f"{'quiet' if name == QUIET else 'vanilla'}-{number}"
            folder.mkdir()
            command = vanilla.lay_down(
                ground.box.settings,
                ground.box.layout,
                folder,
                NUMBER,
                ground.prompt(self.document),
                quiet=name == QUIET,
            )
        return Process(f"freeswitch-{name.split()[-1]}-{number}", command, ground.folder, env=environment)
