"""A lab that many tests share: the line is up or cut for as long as a test says, and each test leaves it as it was.

No agent runs: what it would tell Kamailio of the line is told here, so that a test need not wait for a detection.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any

from appliance.kamailio.snapshot_view import STAT_INTERVAL_S
from tests.lab import tones
from tests.lab.gateway import Gateway, GatewayCall
from tests.lab.lab import Lab, Parts
from tests.lab.phone import Phone, PhoneCall
from tests.lab.processes import WAIT_S, wait_until
from tests.lab.site_document import extension
from tests.lab.worker import OrderRefused

TELL_EVERY_S = 1.0
"""As often as the agent: what it says of a line holds for five seconds."""


class Standing:
    """One lab, its line, and short words for what tests of calls do in it."""

    def __init__(self, lab: Lab | None = None, **document: Any) -> None:
        """``document``: fields of the site document that stay for every test."""
        self.lab = lab or Lab(Parts(), document=document)
        self.phones = self.lab.phones
        self._document = dict(self.lab.document)
        self._state = "UP"
        self._telling = asyncio.Lock()
        self._teller: asyncio.Task[None] | None = None
        self._seen: dict[str, int] = {}

    async def __aenter__(self) -> "Standing":
        """Start the lab, register its telephones, and wait until the cloud knows them."""
        await self.lab.__aenter__()
        self._teller = asyncio.create_task(self._tell())
        if self.lab.parts.cloud and self.lab.parts.register:
            await wait_until(self._known, "the cloud knows every telephone", 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        if self._teller is not None:
            self._teller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._teller
        await self.lab.__aexit__()

    async def line(self, state: str) -> None:
        """Cut the line for good (``DOWN``) or give it back (``UP``), and let the box know."""
        await (self.lab.link.cut("drop") if state == "DOWN" else self.lab.link.restore())
        async with self._telling:  # what is on its way must not arrive after this
            self._state = state
            await self.lab.box.set_link_state(state)

    async def publish(self, extensions: dict[str, dict[str, Any]] | None = None, **changes: Any) -> None:
        """Put a changed site document into use: fields of single extensions, and of the document."""
        if extensions is not None:
            changes["extensions"] = self.extensions(extensions)
        await self.lab.publish(**changes)
        await asyncio.sleep(STAT_INTERVAL_S)  # until then a worker may go on with what it has

    def extensions(self, changes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """The document's extensions with ``changes`` (number → fields)."""
        record = self.lab.document.get("record", "none")
        return [
            extension(number, password, **({"record": record} | changes.get(number, {})))
            for number, password in self.lab.passwords.items()
        ]

    def keep_document(self) -> None:
        """The document as it is now is what `tidy` goes back to."""
        self._document = dict(self.lab.document)

    async def tidy(self) -> None:
        """End every call and undo what a test has changed."""
        await self.lab.tidy()
        for gateway, wanted in (
            (self.lab.gateway, self.lab.parts.gateway),
            (self.lab.carrier, self.lab.parts.carrier),
        ):
            if wanted:
                await gateway.behave(answer_after_s=0.1, early=False)
                await wait_until(lambda gateway=gateway: not gateway.busy, f"{gateway.name} has no call", 10)
                self._seen[gateway.name] = len(gateway.calls)
        if self._state != "UP":
            await self.line("UP")
        if self.lab.parts.cloud:
            await self.lab.cloud.well()
        if self.lab.document != self._document:
            self.lab.document = dict(self._document)
            await self.publish()

    async def hears(self, call: PhoneCall, prompt: str) -> None:
        """As `Lab.hears`."""
        await self.lab.hears(call, prompt)

    async def rings(self, phone: str | Phone, timeout_s: float = WAIT_S) -> PhoneCall:
        """The call that comes in at a telephone, once it does."""
        ringing = self.phones[phone] if isinstance(phone, str) else phone

        def coming() -> list[PhoneCall]:
            return [call for call in ringing.calls if call.incoming and call.state != "closed"]

        await wait_until(coming, f"{ringing.name} rings", timeout_s)
        return coming()[-1]

    async def at_gateway(self, gateway: Gateway | None = None, timeout_s: float = WAIT_S) -> GatewayCall:
        """The newest call that this test has brought to the gateway."""
        asked = gateway or self.lab.gateway
        return await asked.wait_call(self._seen.get(asked.name, 0) + 1, timeout_s)

    def gateway_calls(self, gateway: Gateway | None = None) -> Sequence[GatewayCall]:
        """The calls that this test has brought to the gateway."""
        asked = gateway or self.lab.gateway
        return asked.calls[self._seen.get(asked.name, 0) :]

    async def talk(self, caller: str, number: str, callee: str) -> tuple[PhoneCall, PhoneCall]:
        """``caller`` dials ``number`` and ``callee`` answers; both hear each other. The caller's and the callee's call."""
        placed = await self.phones[caller].call(number)
        met = self.phones[callee].current()
        await hear_each_other(placed, met)
        return placed, met

    async def meet(self, *numbers: str, timeout_s: float = WAIT_S) -> None:
        """Wait until two telephones hear exactly each other, in whatever calls a transfer has left them."""
        pair = [self.phones[number] for number in numbers]

        async def hears(phone: Phone, other: Phone) -> bool:
            try:
                return tones.only(await phone.current().hear(), (other.tone_hz,))
            except LookupError:
                return False

        async def met() -> bool:
            return await hears(*pair) and await hears(*reversed(pair))

        await wait_until(met, f"{' and '.join(numbers)} hear each other", timeout_s)

    async def _known(self) -> bool:
        known = {binding.aor.partition("@")[0] for binding in await self.lab.cloud.bindings()}
        return known >= set(self.phones)

    async def _tell(self) -> None:
        while True:
            with contextlib.suppress(OSError, RuntimeError, TimeoutError):  # Kamailio is being started again
                async with self._telling:
                    await self.lab.box.set_link_state(self._state)
            await asyncio.sleep(TELL_EVERY_S)


async def hear_each_other(*calls: PhoneCall, timeout_s: float = WAIT_S) -> None:
    """Wait until each of the two sides hears exactly the other's tone."""
    one, two = calls
    await asyncio.gather(
        one.wait_hears(two.phone.tone_hz, timeout_s=timeout_s),
        two.wait_hears(one.phone.tone_hz, timeout_s=timeout_s),
    )


async def lets_go(met: PhoneCall, transfer: Awaitable[None], timeout_s: float) -> None:
    """Wait until who transfers out of an application has let go. FreeSWITCH ends his call as soon as the other telephone has
    accepted: he is not told how it went."""
    try:
        await transfer
    except OrderRefused as error:
        if "call closed before the transfer completed" not in str(error):
            raise
    await met.wait("closed", timeout_s)
