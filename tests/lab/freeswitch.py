"""The box's FreeSWITCH as a child of the lab, rendered by the product."""

import re
import shutil
from pathlib import Path

from appliance.box import Box
from appliance.freeswitch import audio_files, prompt_texts, prompts_used, render, speech, stand_ins
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.layout import Layout
from tests.lab.processes import Process

INSTALLED = shutil.which("freeswitch") is not None
WHY_NOT = "no freeswitch on the PATH: media applications are not tested"

PROMPTS = Path("/tmp/kyusai-lab/prompts")  # noqa: S108 - shared by labs: synthesising takes a quarter of a second for each
READY_S = 60.0
"""A start takes 2.5 s; the limit is for a machine that has much else to do."""


_SHORT = {
    "welcome": "Welcome here.",
    "main_menu": "Sales or support?",
    "invalid": "No such key.",
    "closed": "We are closed.",
    "holiday": "It is a holiday.",
    "emergency_closure": "An emergency.",
    "please_wait": "One moment.",
    "nobody": "Nobody answers.",
    "goodbye": "Goodbye now.",
    "enter_extension": "Which extension?",
    "enter_code": "Your code, please.",
    "wrong_code": "That is wrong.",
    "recorded": "This is taped.",
    "queue_place": "Queueing behind:",
    "set_open": "Door unlocked.",
    "set_closed": "Closed by hand.",
    "set_automatic": "By timetable again.",
    "no_such_number": "Unknown number.",
    "not_allowed": "Your phone may not.",
    "caller_blocked": "He refuses you.",
    "caller_anonymous": "No mask, please.",
    "anonymous_on": "Hidden callers stopped.",
    "anonymous_off": "Everybody may ring.",
    "block_set": "Blacklisted now.",
    "block_cleared": "Unlisted afterwards.",
    "no_last_caller": "Whom do you mean?",
    "hot_desk_how": "Extension, then secret.",
    "hot_desk_in": "Please sit down.",
    "hot_desk_out": "Farewell, colleague.",
    "hot_desk_wrong": "You mistyped.",
    "hot_desk_locked": "Come back tomorrow.",
    "hot_desk_nobody": "An empty chair.",
    "forward_set": "Calls go elsewhere.",
    "forward_cleared": "They ring at home.",
    "do_not_disturb_on": "Silence begins.",
    "do_not_disturb_off": "Bells again.",
    "your_number": "This telephone:",
    "echo_begins": "Listen to yourself.",
    "ref_not_permitted": "Calling there is barred.",
    "ref_unreachable": "Unplugged telephone.",
    "ref_incomplete": "Digits lacking.",
    "ref_busy": "The line is engaged.",
    "ref_congestion": "Circuits are full.",
    "scr_say_name": "Name yourself first.",
    "scr_call_from": "A visitor:",
    "scr_choose": "Take, refuse, store?",
    "room_recorded": "Microphones store this.",
    "room_recordable": "Taping is possible.",
    "room_not_stored": "Tape is exhausted.",
    "vm_not_stored": "Everything was lost.",
    "callback_set": "We ring you later.",
    "callback_none": "Everyone was free.",
    "callback_cancelled": "Order withdrawn.",
    "dir_spell": "Spell it, please.",
    "dir_nobody": "A stranger.",
    "vm_enter_id": "Whose mailbox?",
    "vm_enter_pin": "Secret digits?",
    "vm_wrong_pin": "Try another one.",
    "vm_too_many": "Enough guesses.",
    "vm_menu": "Main choices.",
    "vm_settings": "Adjust greetings.",
    "vm_greeting": "Away from the desk.",
    "vm_greeting_busy": "Talking to someone.",
    "vm_locked": "Bolted and shut.",
    "vm_in_use": "Occupied just now.",
    "vm_no_room": "Disk overflow.",
    "vm_change_pin": "Four changes it.",
    "vm_new_pin": "Invent digits.",
    "vm_new_pin_again": "Once more those.",
    "vm_record": "Speak after the beep.",
    "vm_recorded": "Keep or replay?",
    "vm_urgent": "Hurry or not?",
    "vm_record_greeting": "Your own words.",
    "vm_choose_greeting": "One absent, two busy.",
    "vm_saved": "It is stored.",
    "vm_deleted": "Thrown away.",
    "vm_pin_changed": "Altered as wished.",
    "vm_pin_not_changed": "Refused, sorry.",
    "vm_listen": "What about it?",
    "vm_full": "Mailbox brimming.",
    "vm_new": "Not yet heard:",
}
SHORT = [{"id": name, "en": text} for name, text in _SHORT.items()]
"""For a site document's `prompts`: what the box says in a second each, in place of its own sentences of three to ten. No two of
them are alike to `prompts.likeness`."""

HARMLESS = re.compile(
    "Cannot find profile|contains a variable|mod_event_socket.c.*Socket Error|Reinvite RTP Error"
    r"|RTP REPORTS ERROR: \[\]"
)
"""What a hostile name is refused with is as it should be. The first is said when a message is left: FreeSWITCH knows no
registrations to tell. The third: a lab without an agent has nobody whom an application could ask. The others: a call went
away, hung up or replaced, while FreeSWITCH was opening its media; a call that fails so in earnest ends, and its test with it."""


def share(folder: Path) -> None:
    """Have a box's prompts made once for all labs. Recordings that a site brings are its own: their box removes what it knows
    nothing of."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("en", "ja", "moh"):
        (PROMPTS / name).mkdir(parents=True, exist_ok=True)
        if not (folder / name).is_symlink():
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).symlink_to(PROMPTS / name)
    if not (PROMPTS / stand_ins.MISSING).exists():
        audio_files.write_tone(PROMPTS / stand_ins.MISSING)


class FreeSwitch:
    """One FreeSWITCH with its folders."""

    def __init__(self, box: Box, layout: Layout, folder: Path) -> None:
        """Nothing is written yet."""
        self.box = box
        self.layout = layout
        self.process = Process("box-freeswitch", render.command(layout), folder, env=render.ENVIRONMENT)

    def lay_down(self, plan: MediaPlan, version: Path) -> tuple[str, ...]:
        """Write a version's dialplan and the prompts that it plays; returns the prompts that could not be made."""
        folder = self.layout.prompts_dir
        share(folder)
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
