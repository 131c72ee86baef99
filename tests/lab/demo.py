"""`bin/demo`: the product's main job on real programs, told as it happens.

A box enrols, telephones register, the link to the cloud is cut and comes back; calls go on, and everything that happened
reaches the centre. Exit code 0 when every step held.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from appliance.text import Catalogue, language
from tests.lab.evidence import Evidence
from tests.lab.gateway import GatewayCall
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import GROUP, MAIN_NUMBER
from tests.lab.story import Story

GATEWAY_CALLS = 2
"""Channels of the demo's gateway: few, so that an emergency call finds it full."""

OUTSIDE_NUMBERS = ("0312345678", "09012345678")
TALK_S = 1.5
"""How long the demo's short calls talk: enough for a recording in which a tone can be told."""

FIRST_CALL_MAX_MS = 1000
"""Extra post-dial delay that the first caller after a cut may see."""

DETECTED_MAX_MS = 3000


class Demo:
    """One run. `figures` fills with what `--json` promises."""

    def __init__(self, lab: Lab, story: Story) -> None:
        self.lab = lab
        self.story = story
        self.evidence = Evidence(lab)
        self.calls: dict[str, tuple[PhoneCall, int]] = {}
        self.gateway_calls: list[GatewayCall] = []
        self.figures: dict[str, Any] = {
            "failover": {},
            "audio": [],
            "cdr": {},
            "recordings": {},
            "failback": {},
        }
        self.cut_s = self.restored_s = 0.0

    async def run(self) -> None:
        """All steps, in order. A later step that rests on one that failed says so itself."""
        for step in (
            self.enrol,
            self.register,
            self.cloud_call,
            self.before,
            self.cut,
            self.local_audio,
            self.group,
            self.outside,
            self.emergency,
            self.offline_change,
            self.lost_call,
            self.restore,
            self.config,
            self.hang_up,
            self.records,
            self.recordings,
            self.metrics,
        ):
            await step()

    async def call(self, name: str, caller: str, target: str, callee_hz: int, **wait: float) -> PhoneCall:
        """Places a call and remembers it under `name`, with the tone its other side sends."""
        placed = await self.lab.phones[caller].dial(target)
        self.calls[name] = (placed, callee_hz)
        return await placed.wait("established", **wait)

    def hz(self, number: str) -> int:
        """The tone that a telephone sends."""
        return (self.lab.phones | self.lab.cloud_phones)[number].tone_hz

    async def enrol(self) -> None:
        with self.story.step("enrol") as step:
            await self.lab.__aenter__()
            status = await self.lab.box.status()
            step.check(
                bool(status["site"]),
                f"site {status['site']}, box {status['box']}, version {self.lab.version}",
            )

    async def register(self) -> None:
        with self.story.step("register", count=len(self.lab.phones)) as step:
            await self.lab.register()
            await asyncio.gather(*(phone.register() for phone in self.lab.cloud_phones.values()))
            bindings = await self.evidence.upstream_bindings(set(self.lab.phones), timeout_s=15)
            await self.lab.box.wait_link_state("UP")
            step.check(
                bindings >= set(self.lab.phones),
                f"{len(self.lab.phones)} at the box, {len(bindings)} known to the cloud",
            )

    async def cloud_call(self) -> None:
        with self.story.step("cloud_call") as step:
            placed = await self.call("through the cloud", "201", "901", self.hz("901"))
            await placed.wait_hears(self.hz("901"))
            await self.lab.cloud_phones["901"].current().wait_hears(self.hz("201"))
            await asyncio.sleep(TALK_S)
            await placed.hangup()
            baseline = await self.call("baseline", "204", "205", self.hz("205"))
            self.figures["failover"]["baseline_call_ms"] = round(baseline.post_dial_delay_s * 1000)
            await asyncio.sleep(TALK_S)
            await baseline.hangup()
            step.check(
                True,
                f"post-dial delay 204 → 205 by way of the cloud: {baseline.post_dial_delay_s * 1000:.0f} ms",
            )

    async def before(self) -> None:
        with self.story.step("before") as step:
            local = await self.call("inside the site", "201", "202", self.hz("202"))
            far = await self.call("far side gone", "203", "901", self.hz("901"))
            await local.wait_hears(self.hz("202"))
            await far.wait_hears(self.hz("901"))
            await asyncio.sleep(TALK_S)
            step.check(True, "201 → 202, 203 → 901")

    async def cut(self) -> None:
        with self.story.step("cut") as step:
            detection = asyncio.create_task(self.lab.box.wait_link_state("DOWN", timeout_s=15))
            self.cut_s = await self.lab.link.cut("drop")
            first = await self.call("first after the cut", "204", "205", self.hz("205"), timeout_s=8)
            delay_ms = round(first.post_dial_delay_s * 1000)
            detected_ms = round((await detection - self.cut_s) * 1000)
            self.figures["failover"] |= {"detected_ms": detected_ms, "first_call_after_cut_ms": delay_ms}
            await first.wait_hears(self.hz("205"))
            await asyncio.sleep(TALK_S)
            await first.hangup()
            extra_ms = delay_ms - self.figures["failover"].get("baseline_call_ms", 0)
            step.check(
                extra_ms <= FIRST_CALL_MAX_MS and detected_ms <= DETECTED_MAX_MS,
                f"the first call rang {delay_ms} ms after dialling; the cut was noticed after {detected_ms} ms",
            )

    async def local_audio(self) -> None:
        with self.story.step("local_audio") as step:
            local, callee_hz = self.calls["inside the site"]
            other = self.lab.phones["202"].current()
            now_s = time.monotonic()
            gaps = [
                await local.longest_gap_s(callee_hz, self.cut_s - 1, now_s),
                await other.longest_gap_s(self.hz("201"), self.cut_s - 1, now_s),
            ]
            step.check(
                max(gaps) < 0.5, f"longest gap around the cut: {max(gaps) * 1000:.0f} ms (steps of 100 ms)"
            )

    async def group(self) -> None:
        with self.story.step("group", number=GROUP) as step:
            for after_s, number in enumerate(("202", "201", "203")):  # people are not as quick as one another
                await self.lab.phones[number].behave(answer_after_s=0.2 + after_s)
            placed = await self.lab.phones["204"].dial(GROUP)
            await placed.wait("established")
            heard = await self.evidence.who_is_heard(
                placed, {self.hz(number): number for number in ("201", "202", "203")}
            )
            self.calls["group"] = (placed, self.hz(heard))
            await asyncio.sleep(TALK_S)
            await placed.hangup()
            for number in ("201", "202", "203"):
                await self.lab.phones[number].behave()
            step.check(True, f"204 → {GROUP}: answered by {heard}")

    async def outside(self) -> None:
        with self.story.step("outside") as step:
            placed = await self.call("outside", "205", OUTSIDE_NUMBERS[0], self.lab.gateway.tone_hz)
            seen = await self.lab.gateway.wait_call()
            self.gateway_calls.append(seen)
            await placed.wait_hears(self.lab.gateway.tone_hz)
            await seen.wait_hears(self.hz("205"))
            step.check(
                seen.number == OUTSIDE_NUMBERS[0],
                f"205 → {seen.number}, shown as {seen.identity or seen.caller}",
            )

    async def emergency(self) -> None:
        with self.story.step("emergency") as step:
            await self.call("gives way", "206", OUTSIDE_NUMBERS[1], self.lab.gateway.tone_hz)
            await asyncio.sleep(TALK_S)
            full = self.lab.gateway.busy
            placed = await self.call("emergency", "204", "110", self.lab.gateway.tone_hz)
            seen = next(call for call in reversed(self.lab.gateway.calls) if call.number == "110")
            await placed.wait_hears(self.lab.gateway.tone_hz)
            shown = seen.identity or seen.caller
            await asyncio.sleep(TALK_S)
            await placed.hangup()
            ended = [name for name in ("outside", "gives way") if self.calls[name][0].state == "closed"]
            step.check(
                full == GATEWAY_CALLS and len(ended) == 1 and shown.lstrip("+0").endswith(MAIN_NUMBER[3:]),
                f"{full} of {GATEWAY_CALLS} channels taken; 110 answered, shown as {shown}; ended for it: {ended}",
            )

    async def offline_change(self) -> None:
        with self.story.step("offline_change") as step:
            groups = self.evidence.renamed_groups("Sales and service")
            version = await self.lab.publish(groups=groups)
            status = await self.lab.box.status()
            used = status["config"]["version"]
            step.check(used < version, f"the centre has version {version}, the box goes on with {used}")

    async def lost_call(self) -> None:
        with self.story.step("lost_call") as step:
            far, _ = self.calls["far side gone"]
            if far.state != "closed":
                await far.wait_hears()
                await far.hangup()
            journal = await self.evidence.ending(far.call_id, timeout_s=10)
            step.check(bool(journal.get("cause")), f"203 → 901 ended: {journal}")

    async def restore(self) -> None:
        with self.story.step("restore") as step:
            live = await self.call("over the failback", "203", "206", self.hz("206"))
            local, _ = self.calls["inside the site"]
            before = await self.evidence.transitions()
            self.restored_s = await self.lab.link.restore()
            up_s = await self.lab.box.wait_link_state("UP", timeout_s=40) - self.restored_s
            await live.wait_hears(self.hz("206"))
            await local.wait_hears(self.hz("202"))
            dropped = sum(call.state != "established" for call in (live, local))
            changes = await self.evidence.transitions() - before
            self.figures["failback"] = {"live_calls_dropped": dropped, "state_changes": changes}
            step.check(
                dropped == 0,
                f"up again after {up_s:.1f} s; state changes: {changes}; calls dropped: {dropped}",
            )

    async def config(self) -> None:
        with self.story.step("config") as step:

            async def used() -> bool:
                return bool((await self.lab.box.status())["config"]["version"] == self.lab.version)

            await wait_until(used, f"version {self.lab.version} in use", 20)
            seconds = time.monotonic() - self.restored_s
            step.check(True, f"version {self.lab.version} in use {seconds:.1f} s after the link came back")

    async def hang_up(self) -> None:
        with self.story.step("hang_up") as step:
            for call, _ in self.calls.values():
                if call.state == "established":
                    await call.hangup()
            step.check(True, f"{len(self.calls)} calls made")

    async def records(self) -> None:
        with self.story.step("records") as step:
            made = {call.call_id for call, _ in self.calls.values()}
            figures = await self.evidence.call_records(made, timeout_s=30)
            self.figures["cdr"] = figures
            step.check(
                figures["lost"] == figures["doubled"] == 0, ", ".join(f"{k} {v}" for k, v in figures.items())
            )

    async def recordings(self) -> None:
        with self.story.step("recordings") as step:
            expected = {
                call.call_id: (name, call.phone.tone_hz, callee_hz)
                for name, (call, callee_hz) in self.calls.items()
                if "established" in call.times
            }
            figures, audio = await self.evidence.recordings(expected, timeout_s=40)
            self.figures["recordings"], self.figures["audio"] = figures, audio
            wrong = [entry["call"] for entry in audio if not (entry["left_ok"] and entry["right_ok"])]
            detail = ", ".join(f"{key} {value}" for key, value in figures.items())
            holds = not wrong and not any(figures[key] for key in ("lost", "doubled", "bad_hash"))
            step.check(holds, detail + (f"; wrong sides: {wrong}" if wrong else ""))

    async def metrics(self) -> None:
        with self.story.step("metrics") as step:
            found = await self.evidence.metrics()
            step.check(
                found["survival_mode"] == 0
                and found["transitions_down"] == 1
                and found["spool_records"] == 0,
                ", ".join(f"{name} {value:g}" for name, value in found.items()),
            )

    def draw(self) -> None:
        """Adds everything that has a length to the story's timeline."""
        end_s = time.monotonic()
        row, up = self.story.say("timeline.link"), self.story.say("timeline.up")
        cut_s, restored_s = self.cut_s or end_s, self.restored_s or end_s
        self.story.span(row, up, self.story.began_s, cut_s, "green")
        self.story.span(row, self.story.say("timeline.cut"), cut_s, restored_s, "red")
        self.story.span(row, up, restored_s, end_s, "green")
        for call, _ in self.calls.values():
            peer = call.peer.removeprefix("sip:").partition("@")[0]
            times = call.times
            self.story.span(
                f"{call.phone.identity.user} → {peer}",
                "",
                times["invite"],
                times.get("closed", end_s),
                "cyan",
            )


def versions() -> dict[str, str]:
    """What ran."""
    found = {"kyusai": metadata.version("kyusai"), "python": sys.version.split()[0]}
    for name, words in {"kamailio": ["kamailio", "-v"], "rtpengine": ["rtpengine", "--version"]}.items():
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        found[name] = (
            (done.stdout or done.stderr).split("\n")[0].removeprefix("version: ").removeprefix("Version: ")
        )
    return found


async def tell(console: Console, keep: Path | None) -> tuple[Story, dict[str, Any]]:
    """Runs the demo; the story and its figures."""
    story = Story(console, Catalogue.load(Path(__file__).with_name("demo_texts.toml")), language(os.environ))
    console.print(story.say("result.intro"), style="bold")
    parts = Parts(centre=True, agent=True, media=True, register=False)
    lab = Lab(parts, document={"record": "all", "gateway_calls": GATEWAY_CALLS}, keep=keep)
    demo = Demo(lab, story)
    try:
        await demo.run()
        demo.draw()
    finally:
        with story.step("stop"):
            await lab.__aexit__()
    story.timeline()
    return story, demo.figures


def main() -> int:
    """Exit code 0 when every step held."""
    parser = argparse.ArgumentParser(
        prog="bin/demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what happened there as JSON")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, journal and databases there")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    story, figures = asyncio.run(tell(console, arguments.keep))
    failed = [step.name for step in story.steps if not step.ok]
    key = "result.failed" if failed else "result.ok"
    text = story.say(key, count=len(story.steps), failed=len(failed), names=", ".join(failed))
    console.print(text, style="bold red" if failed else "bold green")
    if arguments.json:
        whole = {"ok": story.ok, "steps": story.as_json(), **figures, "versions": versions()}
        arguments.json.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
