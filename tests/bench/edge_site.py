"""A lab with telephones that have no audio: a cut costs seconds, and eight labs fit on a small machine."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.bench.light_phone import LightPhone, Placed
from tests.lab.addresses import SIP_PORT, Addresses
from tests.lab.cloud import Cloud
from tests.lab.lab import Lab, Parts
from tests.lab.link import Link
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM

EXTENSIONS = 2
OUTSIDE_NUMBER = "0312345678"
TARGETS = ("202", OUTSIDE_NUMBER)
"""What 201 calls: another telephone of the site (by way of the cloud while it is there), and the public network (by the
cloud's carrier, or the site's own gateway)."""

START_S = 20.0


class EdgeSite:
    """A box with its agent, the cloud behind the link, two telephones, a gateway and the carrier behind the cloud."""

    def __init__(self, lab: Lab, phones: dict[str, LightPhone]) -> None:
        self.lab = lab
        self.phones = phones

    @property
    def link(self) -> Link:
        """The line between site and cloud."""
        return self.lab.link

    @property
    def cloud(self) -> Cloud:
        """The cloud's node."""
        return self.lab.cloud

    async def call(self, target: str) -> Placed:
        """201 calls."""
        return await self.phones["201"].call(target)

    async def transitions(self) -> dict[str, int]:
        """State changes of the link that the agent has counted: "UP>SUSPECT" → count."""
        status = await self.lab.box.status()
        changes: dict[str, int] = status["links"][0]["transitions"]
        return changes


@asynccontextmanager
async def edge_site(transport: str, hold_s: float, hold_cap_s: float) -> AsyncIterator[EdgeSite]:
    """Starts one; its link is UP and its telephones are registered, at the cloud too. ``transport``: of the upstream."""
    lab = Lab(Parts(phones=EXTENSIONS, cloud_phones=0, gateway=False, carrier=False, register=False))
    lab.phones.clear()  # their numbers and passwords stay
    a = lab.addresses
    lab.document["upstreams"] = [_upstream(a, transport)]
    arguments = lab.box.agent.argv
    arguments[arguments.index("--hold-s") + 1] = str(hold_s)
    arguments[arguments.index("--hold-cap-s") + 1] = str(hold_cap_s)
    async with lab, AsyncExitStack() as stack:
        await lab.box.start("agent")
        await stack.enter_async_context(outside(a, a.gateway))
        await stack.enter_async_context(outside(a, a.carrier))
        phones = {
            number: await stack.enter_async_context(
                LightPhone(
                    number,
                    a.phone(index),
                    (a.box_lan, SIP_PORT),
                    password=lab.passwords[number],
                    domain=REALM,
                )
            )
            for index, number in enumerate(lab.passwords, start=1)
        }
        for phone in phones.values():
            await phone.register()
        await lab.box.wait_link_state("UP", timeout_s=START_S + hold_s)

        async def known() -> bool:
            return {binding.aor.partition("@")[0] for binding in await lab.cloud.bindings()} >= set(phones)

        await wait_until(known, "the cloud knows the site's extensions", START_S)
        yield EdgeSite(lab, phones)


def outside(addresses: Addresses, address: str) -> LightPhone:
    """A gateway or carrier that takes every call."""
    return LightPhone("outside", address, domain=addresses.network)


def _upstream(a: Addresses, transport: str) -> dict[str, Any]:
    return {
        "id": "cloud",
        "uri": f"sip:{a.cloud_seen_by_box}:{SIP_PORT};transport={transport}",
        "network": "wan",
        "number_format": "extension",
        "identity": "pai",
    }
