"""A box of which only Kamailio runs, for tests that register phones: addresses, settings, one site document, no media."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from appliance.kamailio import render
from tests.lab.addresses import SIP_PORT, Addresses, claim
from tests.lab.box import Box
from tests.lab.sipua import Ua
from tests.lab.site_document import REALM, site_document


def password_of(number: str) -> str:
    """The password of an extension in these tests."""
    return f"only-for-tests-{number}"


class RegistrarBox:
    """The box and how to reach it. numbers: extensions of the site."""

    def __init__(self, box: Box, numbers: list[str], document: Mapping[str, Any]) -> None:
        self.box = box
        self.addresses: Addresses = box.addresses
        self.numbers = numbers
        self._document = dict(document)
        self._version = 0

    def publish(self, **changes: Any) -> None:
        """Put a new version of the site document into use."""
        self._version += 1
        self._document |= changes
        passwords = {number: password_of(number) for number in self.numbers}
        document = site_document(self.addresses, passwords, version=self._version, **self._document)
        self.box.publish(document)

    def phone(self, number: str, index: int, *, password: str | None = None, **more: Any) -> Ua:
        """A phone at the site's address `index` (1 to 99); nothing is sent before it is told to."""
        return Ua(
            number,
            self.addresses.phone(index),
            (self.addresses.box_lan, SIP_PORT),
            password=password_of(number) if password is None else password,
            domain=REALM,
            **more,
        )

    async def saved(self) -> dict[str, list[dict[str, Any]]]:
        """What Kamailio's memory holds: number to its contacts."""
        answer = await self.box.rpc.call("ul.dump")
        found: dict[str, list[dict[str, Any]]] = {}
        for domain in answer.get("Domains", []):
            for entry in domain["Domain"]["AoRs"]:
                contacts = [contact["Contact"] for contact in entry["Info"]["Contacts"]]
                found[entry["Info"]["AoR"]] = contacts
        return found

    async def processes(self) -> dict[int, str]:
        """Kamailio's processes by id."""
        return {int(row["PID"]): str(row["DSC"]) for row in await self.box.rpc.call("core.psx")}

    async def log(self) -> str:
        """What Kamailio has logged."""
        return self.box.kamailio.process.log.read_text(errors="replace")


@asynccontextmanager
async def registrar_box(
    count: int = 20, *, start: bool = True, first: int = 201, **document: Any
) -> AsyncIterator[RegistrarBox]:
    """A box with `count` extensions from `first` on, stopped and removed at the end. document: changes to the site document."""
    claimed = claim()
    try:
        box = Box(claimed.addresses, claimed.folder)
        rig = RegistrarBox(box, [str(first + index) for index in range(count)], document)
        render.write(box.settings, box.layout)
        rig.publish()
        try:
            if start:
                await box.start("kamailio")
            yield rig
        finally:
            await box.stop()
    finally:
        claimed.release()
