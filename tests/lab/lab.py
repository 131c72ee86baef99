"""The whole lab in one value: ``async with Lab() as lab`` starts it, leaving it stops and removes everything.

Parts can be left out. Without a centre the site document is put into the box directly; without an agent
``lab.box.set_link_state`` speaks in its place.
"""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance import site
from appliance.box import Audio
from tests.lab import tones
from tests.lab.addresses import SIP_PORT, claim
from tests.lab.box import Box, kyusai
from tests.lab.centre import Centre
from tests.lab.cloud import Cloud
from tests.lab.gateway import Gateway
from tests.lab.link import Link, Ports
from tests.lab.phone import Identity, Phone, PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM, site_document
from tests.lab.worker import OrderRefused

FIRST_EXTENSION = 201
FIRST_CLOUD_PHONE = 901
CLOUD_TONES, GATEWAY_TONE, CARRIER_TONE = 20, 30, 31
"""Tones of the site's phones begin at 0."""

PROMPT_S = 30.0
"""For a prompt to be heard, on a machine with much else to do; no telephone remembers more of what it heard."""


@dataclass(frozen=True)
class Parts:
    """What a lab consists of. The link and the box's Kamailio and rtpengine are always there."""

    phones: int = 6
    cloud_phones: int = 1
    cloud: bool = True
    gateway: bool = True
    carrier: bool = True
    centre: bool = False
    agent: bool = False
    media: bool = False
    freeswitch: bool = False
    control: bool = False
    audio: Audio = Audio.DISK
    register: bool = True
    """register the phones at the start"""


@dataclass
class Lab:
    """One lab. ``document`` changes the site document (see ``site_document``), ``phone`` every phone's identity."""

    parts: Parts = field(default_factory=Parts)
    document: dict[str, Any] = field(default_factory=dict)
    phone: dict[str, Any] = field(default_factory=dict)
    keep: Path | None = None
    """Copy the lab's files (logs, journal, captures) here at the end."""
    ports: Ports = field(default_factory=Ports)

    def __post_init__(self) -> None:
        """Claim addresses and lay out every part; nothing runs yet."""
        if self.parts.centre and not self.parts.agent:
            raise ValueError("a lab with a centre needs the agent: nobody else fetches the configuration")
        self._claim = claim()
        self.addresses, self.folder = self._claim.addresses, self._claim.folder
        a, parts = self.addresses, self.parts
        self.link = Link(a, self.folder, self.ports)
        self.cloud = Cloud(a, self.folder, self.ports)
        self.box = Box(a, self.folder, self.ports, freeswitch=parts.freeswitch, audio=parts.audio)
        self.centre = Centre(a, self.folder)
        self.gateway = Gateway("gw1", a.gateway, self.folder, tones.assigned(GATEWAY_TONE))
        self.carrier = Gateway("carrier", a.carrier, self.folder, tones.assigned(CARRIER_TONE))
        self.version = 0
        numbers = [str(FIRST_EXTENSION + index) for index in range(parts.phones)]
        self.passwords = {number: secrets.token_hex(12) for number in numbers}
        self.phones = {number: self.make_phone(number) for number in numbers}
        self.cloud_phones = {
            str(FIRST_CLOUD_PHONE + index): self._cloud_phone(index) for index in range(parts.cloud_phones)
        }

    async def __aenter__(self) -> "Lab":
        """Start everything that is part of the lab."""
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything, phones first, and remove the lab's files."""
        for group in self._stages()[::-1]:
            await asyncio.gather(*(part.stop() for part in group), return_exceptions=True)
        if self.keep is not None:
            shutil.copytree(self.folder, self.keep, dirs_exist_ok=True, ignore=_sockets, symlinks=True)
        self.box.remove()
        self._claim.release()

    async def publish(self, **changes: Any) -> int:
        """Publish a new version of the site document with further changes; returns its number.

        With a centre this returns when the centre has it; without one the box uses it at once.
        """
        self.version += 1
        self.document = self.document | changes
        document = site_document(self.addresses, self.passwords, version=self.version, **self.document)
        if self.parts.centre:
            await self.centre.publish(document)
        else:
            self.box.publish(document)
        return self.version

    async def enrol(self) -> None:
        """Enrol the box at the centre with a fresh code, as its administrator does."""
        await kyusai("enrol", await self.centre.code(), "--box", self.box.toml)

    async def register(self, numbers: Sequence[str] = ()) -> None:
        """Register the site's phones (all, or the given extensions)."""
        await asyncio.gather(*(self.phones[number].register() for number in numbers or self.phones))

    def prompt(self, name: str, language: str = "en") -> Path:
        """The audio of a prompt, as the box's FreeSWITCH plays it now."""
        assert self.box.freeswitch is not None, "the lab has no FreeSWITCH"
        plan = site.loads((self.box.layout.current / "document.json").read_bytes()).media
        return self.box.freeswitch.prompt(plan, name, language)

    async def hears(
        self, call: PhoneCall, prompt: str, language: str = "en", timeout_s: float = PROMPT_S
    ) -> None:
        """Wait until a telephone has heard the whole of a prompt, by its own audio."""
        await call.wait_hears_prompt(self.prompt(prompt, language), timeout_s)

    async def tidy(self) -> None:
        """Telephones answer at once again, and no call is left: first whoever has placed one hangs up."""
        everybody = [*self.phones.values(), *self.cloud_phones.values()]
        await asyncio.gather(*(phone.behave() for phone in everybody))
        for incoming in (False, True):
            calls = [call for phone in everybody for call in phone.calls if call.incoming is incoming]
            await asyncio.gather(*map(_hang_up, calls))
        await wait_until(
            lambda: all(call.state == "closed" for phone in everybody for call in phone.calls),
            "all calls are over",
        )

    def make_phone(self, number: str, **changes: Any) -> Phone:
        """A phone for the extension, not started; ``changes`` go to its identity. Put it into ``phones`` before the start
        to have it take the place of the ordinary one."""
        a = self.addresses
        index = int(number) - FIRST_EXTENSION
        identity = Identity(
            number,
            a.phone(index + 1),
            tones.assigned(index),
            server=f"{a.box_lan}:{SIP_PORT}",
            password=self.passwords[number],
            domain=REALM,
        )
        return Phone(replace(identity, **(self.phone | changes)), self.folder)

    async def _start(self) -> None:
        stages = self._stages()
        await asyncio.gather(*(part.start() for part in stages[0]), self.box.render())
        if self.parts.centre:
            await self.centre.add_site()
            await self.publish()
            await self.enrol()
        else:
            await self.publish()
        await self.box.start()
        parts = self.parts
        for name, wanted in (("agent", parts.agent), ("media", parts.media), ("control", parts.control)):
            if wanted:
                await self.box.start(name)
        if self.parts.centre:
            await wait_until(self.box.layout.current.exists, "the configuration reaches the box", 10)
        await asyncio.gather(*(part.start() for part in stages[2]))
        if self.parts.register:
            await asyncio.gather(self.register(), *(phone.register() for phone in self.cloud_phones.values()))

    def _stages(self) -> list[list[Any]]:
        parts = self.parts
        outside: list[Any] = [self.link]
        for wanted, part in (
            (parts.cloud, self.cloud),
            (parts.gateway, self.gateway),
            (parts.carrier, self.carrier),
            (parts.centre, self.centre),
        ):
            if wanted:
                outside.append(part)
        return [outside, [self.box], [*self.phones.values(), *self.cloud_phones.values()]]

    def _cloud_phone(self, index: int) -> Phone:
        number = str(FIRST_CLOUD_PHONE + index)
        tone_hz = tones.assigned(CLOUD_TONES + index)
        address = self.addresses.cloud_phone(index + 1)
        return Phone(Identity(number, address, tone_hz, server=self.cloud.phones_server), self.folder)


async def _hang_up(call: PhoneCall) -> None:
    with contextlib.suppress(OrderRefused):  # it ends by itself just now
        await call.hangup()


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket() or (Path(folder) / name).is_fifo()]
