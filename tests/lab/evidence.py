"""What the demo looks at to see whether a promise held: the centre's records, its recordings, the journal, the metrics."""

import asyncio
import contextlib
import hashlib
import json
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
from prometheus_client.parser import text_string_to_metric_families

from tests.lab import tones
from tests.lab.box import kyusai
from tests.lab.lab import Lab
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import GROUP

SHARE_RIGHT = 0.8
"""Of a side's loud pieces, the share that must hold its tone and no other; a piece in which a call changes holds two."""

CODER_NOISE_DB = 20.0
"""Recordings are Opus, whose noise hides this far below a steady tone; the other side's voice would stand above."""

LOUD_MIN_S = 0.8
"""How much of a side must be heard at all."""


class Evidence:
    """Questions to the parts of one lab; none of them changes anything."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def upstream_bindings(self, wanted: set[str], timeout_s: float) -> set[str]:
        """Extensions that the cloud knows, once it knows all of `wanted` or the time is over."""
        found: set[str] = set()

        async def all_known() -> bool:
            nonlocal found
            found = {binding.aor.partition("@")[0] for binding in await self._lab.cloud.bindings()}
            return found >= wanted

        with contextlib.suppress(AssertionError):
            await wait_until(all_known, "the cloud knows every extension", timeout_s)
        return found

    async def who_is_heard(self, call: PhoneCall, candidates: dict[int, str], timeout_s: float = 3.0) -> str:
        """Which of the telephones (tone → number) talks in this call."""
        heard: list[str] = []

        async def one() -> bool:
            nonlocal heard
            found = await call.hear()
            heard = [name for hz, name in candidates.items() if tones.only(found, (hz,))]
            return bool(heard)

        await wait_until(one, f"one of {sorted(candidates.values())} is heard", timeout_s)
        return heard[0]

    def renamed_groups(self, name: str) -> list[dict[str, Any]]:
        """The site document's groups with the demo's group under another name."""
        members = list(self._lab.phones)[:3]
        return [{"number": GROUP, "name": name, "strategy": "all", "members": members, "ring_s": 20}]

    async def transitions(self) -> int:
        """Changes of the link's state that the agent has counted so far."""
        status = await self._lab.box.status()
        return sum(count for link in status["links"] for count in link["transitions"].values())

    async def ending(self, call_id: str, timeout_s: float) -> dict[str, Any]:
        """How the journal says that a call ended: {cause, code, by}."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            nonlocal found
            with sqlite3.connect(f"file:{self._lab.box.layout.journal}?mode=ro", uri=True) as journal:
                rows = journal.execute(
                    "SELECT data FROM event WHERE event = 'end' AND call LIKE ? || '#%' ORDER BY seq",
                    (call_id,),
                ).fetchall()
            journal.close()
            if rows:
                found = json.loads(rows[0][0])
            return bool(rows)

        await wait_until(ended, "the call's end is in the journal", timeout_s)
        return {key: found.get(key) for key in ("cause", "code", "by")}

    async def call_records(self, made: set[str], timeout_s: float) -> dict[str, int]:
        """{made, at_centre, lost, doubled} of the calls with these Call-IDs, once all are there or the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            rows = await self._lab.centre.records("cdr")
            counted = Counter(row["body"]["call_id"] for row in rows)
            at_centre = sum(counted[call_id] > 0 for call_id in made)
            if at_centre == len(made) or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        doubled = sum(count - 1 for count in counted.values())
        return {"made": len(made), "at_centre": at_centre, "lost": len(made) - at_centre, "doubled": doubled}

    async def recordings(
        self, expected: dict[str, tuple[str, int, int]], timeout_s: float
    ) -> tuple[dict[str, int], list[dict[str, Any]]]:
        """Recordings of the calls in `expected` (Call-ID → name, caller's tone, callee's tone): the figures, and for each
        call whether its sides hold the right tones. Waits until all are stored or the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            rows = [row for row in await self._lab.centre.recordings() if row["state"] == "stored"]
            arrived = {row["call"]: row for row in rows}
            if arrived.keys() >= expected.keys() or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        audio, bad_hash = [], 0
        for call_id, (name, left_hz, right_hz) in expected.items():
            if call_id not in arrived:
                continue
            row = arrived[call_id]
            path = self._lab.folder / f"{row['id']}.ogg"
            await kyusai("recordings", "fetch", row["id"], "-o", path, "--data", self._lab.centre.data)
            bad_hash += hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]
            left_ok, right_ok = await asyncio.to_thread(sides, path, left_hz, right_hz)
            audio.append({"call": name, "left_ok": left_ok, "right_ok": right_ok})
        per_call = Counter(row["call"] for row in rows)
        figures = {
            "made": len(expected),
            "at_centre": len(audio),
            "lost": len(expected) - len(audio),
            "doubled": sum(count - 1 for count in per_call.values()),
            "bad_hash": bad_hash,
        }
        return figures, audio

    async def metrics(self) -> dict[str, float]:
        """What the box's own metrics say of the run."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(self._lab.box.metrics_url)).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

        def value(name: str, **labels: str) -> float:
            return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

        return {
            "survival_mode": value("kyusai_survival_mode"),
            "transitions_down": value("kyusai_link_transitions_total", to="DOWN"),
            "registered_endpoints": value("kyusai_registered_endpoints"),
            "spool_records": value("kyusai_spool_records"),
            "recordings_waiting": value("kyusai_recordings_waiting"),
            "config_version": value("kyusai_config_version"),
        }


def sides(path: Path, left_hz: int, right_hz: int) -> tuple[bool, bool]:
    """Whether the left channel holds the caller's tone and the right one the callee's, and no other."""
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return holds(samples[:, 0], rate, left_hz), holds(samples[:, 1], rate, right_hz)


def _voices(window: tones.Samples, rate: int) -> list[tones.Tone]:
    """The tones of a window without the coder's noise."""
    found = tones.heard(window, rate)
    return [tone for tone in found if tone.level_db > found[0].level_db - CODER_NOISE_DB]


def holds(channel: tones.Samples, rate: int, hz: int) -> bool:
    """Whether the loud windows of a channel hold one tone, and there are enough of them to tell."""
    size = int(tones.WINDOW_S * rate)
    windows = [channel[at : at + size] for at in range(0, len(channel) - size, size)]
    loud = [window for window in windows if np.abs(window).max() > 0.02]
    right = sum(tones.only(_voices(window, rate), (hz,)) for window in loud)
    return len(loud) * tones.WINDOW_S >= LOUD_MIN_S and right >= SHARE_RIGHT * len(loud)
