"""The box's FreeSWITCH as a child of the lab, rendered by the product."""

import re
import shutil
from pathlib import Path

from appliance.box import Box
from appliance.freeswitch import prompt_texts, prompts_used, render, speech
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.layout import Layout
from tests.lab.processes import Process

INSTALLED = shutil.which("freeswitch") is not None
WHY_NOT = "no freeswitch on the PATH: media applications are not tested"

PROMPTS = Path("/tmp/kyusai-lab/prompts")  # noqa: S108 - shared by labs: synthesising takes a quarter of a second for each
READY_S = 60.0
"""A start takes 2.5 s; the limit is for a machine that has much else to do."""


SHORT = [
    {"id": name, "en": text}
    for name, text in {
        "welcome": "Welcome here.",
        "closed": "We are closed.",
        "holiday": "It is a holiday.",
        "nobody": "Nobody answers.",
        "invalid": "No such key.",
        "goodbye": "Goodbye now.",
        "enter_extension": "Which extension?",
        "enter_code": "Your code, please.",
        "wrong_code": "That is wrong.",
        "set_closed": "Closed by hand.",
        "set_automatic": "By the clock.",
        "emergency_closure": "An emergency.",
    }.items()
]
"""For a site document's `prompts`: what the box says in a second each, in place of its own sentences of three to ten."""

HARMLESS = re.compile(
    "Cannot find profile|contains a variable|mod_event_socket.c.*Socket Error|Reinvite RTP Error"
)
"""What a hostile name is refused with is as it should be. The first is said when a message is left: FreeSWITCH knows no
registrations to tell. The third: a lab without an agent has nobody whom an application could ask. The last: a call was
replaced by a transfer while its hold was still on the way; a call that fails so in earnest ends, and its test with it."""


class FreeSwitch:
    """One FreeSWITCH with its folders."""

    def __init__(self, box: Box, layout: Layout, folder: Path) -> None:
        """Nothing is written yet."""
        self.box = box
        self.layout = layout
        self.process = Process("box-freeswitch", render.command(layout), folder)

    def lay_down(self, plan: MediaPlan, version: Path) -> tuple[str, ...]:
        """Write a version's dialplan and the prompts that it plays; returns the prompts that could not be made."""
        folder = self.layout.prompts_dir
        if not folder.is_symlink():
            PROMPTS.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.symlink_to(PROMPTS)
        made = speech.ensure(prompts_used.of(plan), PROMPTS)
        render.write_site(plan, version / "freeswitch", folder)
        return made.failed

    def prompt(self, plan: MediaPlan, name: str, language: str) -> Path:
        """The audio file of a prompt."""
        return Path(prompt_texts.paths(plan, self.layout.prompts_dir)[name, language])

    async def start(self) -> None:
        """Start it and wait until it takes calls."""
        await self.process.start()
        await self.process.wait(self.ready, "takes calls", READY_S)

    async def ready(self) -> bool:
        """Whether its SIP profile runs."""
        try:
            return "RUNNING" in await self.api("sofia", "status")
        except FreeSwitchSilent:
            return False

    async def api(self, name: str, *arguments: str) -> str:
        """What FreeSWITCH says to a command. Raises ``FreeSwitchSilent``."""
        settings = self.box.freeswitch
        address = Address(settings.address, settings.esl_port, render.password(self.layout))
        return await ask(address, name, *arguments)

    def faults(self) -> list[str]:
        """Lines of its log that speak of a fault."""
        text = (self.layout.freeswitch_log_dir / "freeswitch.log").read_text(errors="replace")
        return [
            line
            for line in text.splitlines()
            if any(mark in line for mark in ("[ERR]", "[CRIT]", "[ALERT]")) and not HARMLESS.search(line)
        ]
