"""What benchmarks of media applications stand on: a box with Kamailio, rtpengine and a FreeSWITCH, and telephones."""

import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

from appliance import site
from appliance.freeswitch import prompt_texts, render
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from tests.lab import tones
from tests.lab.addresses import SIP_PORT, Claim
from tests.lab.box import Box
from tests.lab.link import Ports
from tests.lab.processes import Process
from tests.lab.site_document import REALM, extension, site_document
from tests.lab.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
PHONES = 10
"""Telephones; each holds many calls, as a switchboard does."""

CALLS_OF_A_PHONE_MAX = 100
LONG_PROMPT, LONG_PROMPT_S = "long", 600
"""A prompt that sounds from its first sample on and outlasts a measurement, also on a machine that has much else to do."""

LONG_PROMPT_HZ = 440
READY_S = 60.0

RTP_PORTS = range(30_000, 40_000)
"""rtpengine's, as a box has them: four for each call. No line emulator stands beside it that would need them."""


def document(ground: "Ground", version: int = 1, **changes: Any) -> dict[str, Any]:
    """The site document: ten telephones, and applications as told."""
    people = [
        extension(number, password, max_calls=CALLS_OF_A_PHONE_MAX)
        for number, password in ground.passwords.items()
    ]
    base: dict[str, Any] = {
        "call_control": "local",
        "extensions": people,
        "prompts": [{"id": LONG_PROMPT, "en": "A prompt for measuring, made by the benchmark."}],
    }
    return site_document(ground.addresses, ground.passwords, version=version, **(base | changes))


def menu_flow(flow_id: str = "bench", prompt: str = LONG_PROMPT) -> dict[str, Any]:
    """A menu whose prompt is heard, and a way out."""
    return {
        "id": flow_id,
        "language": "en",
        "nodes": [
            {
                "id": "main",
                "do": "menu",
                "prompts": [prompt],
                "tries": 3,
                "wait_s": 5,
                "keys": [{"key": "1", "then": "bye"}],
                "timeout": "bye",
                "invalid": "bye",
            },
            {"id": "bye", "do": "hangup", "prompts": []},
        ],
    }


class Ground:
    """The box and its telephones. `begin` it, change its FreeSWITCH with `start_media` and `stop_media`, `end` it."""

    def __init__(self, held: Claim) -> None:
        """Claimed addresses; nothing runs yet."""
        self.addresses, self.folder = held.addresses, held.folder
        self.passwords = {str(201 + index): secrets.token_hex(8) for index in range(PHONES)}
        self.box = Box(held.addresses, held.folder, Ports(box_rtp=RTP_PORTS), freeswitch=True)
        self.prompts = held.folder / "prompts"
        self.prompts.mkdir()
        settings = {
            "server": [held.addresses.box_lan, SIP_PORT],
            "domain": REALM,
            "accounts": [
                [number, password, held.addresses.phone(index + 1)]
                for index, (number, password) in enumerate(self.passwords.items())
            ],
        }
        self.phones = Worker(
            "phones",
            [sys.executable, "-m", "tests.bench.app_phones", json.dumps(settings)],
            held.folder,
            lambda _: None,
            env={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )
        self.media: Process | None = None

    async def begin(self, first: dict[str, Any]) -> None:
        """Everything but FreeSWITCH."""
        await self.box.render()
        shutil.rmtree(self.box.layout.prompts_dir)
        self.box.layout.prompts_dir.symlink_to(self.prompts)
        self.publish(first)
        await self.box.start("rtpengine")
        await self.box.start("kamailio")
        await self.phones.start(60)

    async def end(self) -> None:
        """Stop everything."""
        await self.phones.stop()
        await self.stop_media()
        await self.box.stop()

    def publish(self, told: dict[str, Any]) -> None:
        """Put a version into use, as the agent does."""
        plan = site.loads(json.dumps(told)).media
        for prompt in (one.id for one in plan.prompts):
            file = Path(prompt_texts.paths(plan, self.prompts)[prompt, "en"])
            if (
                file.is_symlink() or not file.exists()
            ):  # a link is the product's stand-in, a sign of one second
                tones.write(file, LONG_PROMPT_HZ, LONG_PROMPT_S)
        self.box.publish(told)

    def prompt(self, told: dict[str, Any], name: str = LONG_PROMPT) -> Path:
        """The audio file of a prompt."""
        return Path(prompt_texts.paths(site.loads(json.dumps(told)).media, self.prompts)[name, "en"])

    async def start_media(self, process: Process) -> None:
        """Start a FreeSWITCH and wait until it takes calls."""
        self.media = process
        await process.start()
        await process.wait(self._takes_calls, "takes calls", READY_S)

    async def stop_media(self) -> None:
        """End it."""
        if self.media is not None:
            await self.media.stop(10)
            self.media = None

    async def order(self, *words: str) -> str:
        """What FreeSWITCH says to a command. Raises `FreeSwitchSilent`."""
        settings = self.box.settings.freeswitch
        password = render.password(self.box.layout)
        return await ask(Address(settings.address, settings.esl_port, password), *words, within_s=15.0)

    async def _takes_calls(self) -> bool:
        address = f"@{self.box.settings.freeswitch.address}:{self.box.settings.freeswitch.sip_port}"
        try:
            said = await self.order("sofia", "status")
        except FreeSwitchSilent:
            return False
        return any("RUNNING" in line and address in line for line in said.splitlines())


def cpu_s(pid: int) -> float:
    """Seconds of processor time of a process with all its threads, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid: int) -> int:
    """Resident memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)
