"""A telephone's lamps: subscribes by the lab's plain user agent and keeps what it is told."""

import re
import time
from dataclasses import dataclass, field

from appliance.kamailio.subscriptions import CONTENT_TYPES
from tests.lab import sipmsg
from tests.lab.processes import wait_until
from tests.lab.sipcall import Dialog, Incoming
from tests.lab.sipmsg import Message
from tests.lab.sipua import Ua

WAIT_S = 20.0
"""For a lamp; it takes a tenth of a second, and a machine that drowns in work more."""


@dataclass
class Lamp:
    """One subscription. told: NOTIFYs, the oldest first, with the time at which they came."""

    watcher: "Watcher"
    dialog: Dialog
    number: str
    event: str
    told: list[tuple[float, Message]] = field(default_factory=list)

    @property
    def states(self) -> list[tuple[str, str]]:
        """(direction, state) of every dialog in the last document."""
        return states_of(self.told[-1][1].body) if self.told else []

    @property
    def seen(self) -> list[list[tuple[str, str]]]:
        """The same of all documents."""
        return [states_of(message.body) for _, message in self.told]

    @property
    def lit(self) -> bool:
        """Whether some dialog goes on."""
        return any(state != "terminated" for _, state in self.states)

    async def wait(self, *states: tuple[str, str]) -> None:
        """Wait until the last document says exactly this."""
        await wait_until(
            lambda: self.told and self.states == list(states), f"{self.number}: {states}", WAIT_S
        )

    async def wait_dark(self) -> None:
        """Wait until nothing goes on."""
        await wait_until(lambda: self.told and not self.lit, f"the lamp of {self.number} is out", WAIT_S)

    async def wait_lit(self) -> None:
        """Wait until something goes on."""
        await wait_until(lambda: self.lit, f"the lamp of {self.number} is lit", WAIT_S)

    async def wait_body(self, text: str) -> None:
        """Wait until the last NOTIFY holds `text`."""
        await wait_until(
            lambda: self.told and text in self.told[-1][1].body, f"{self.number}: {text}", WAIT_S
        )

    async def renew(self, expires_s: int = 600) -> Message:
        """Ask for more time; 0 ends the subscription."""
        return await self.watcher.send(self.number, self.event, expires_s, self.dialog)


class Watcher:
    """The subscriptions of one user agent; its other requests go on to `behind`."""

    def __init__(self, ua: Ua, host: str) -> None:
        """host: the box."""
        self.ua = ua
        self.host = host
        self.lamps: list[Lamp] = []
        self.unsolicited: list[Message] = []
        self.refuse_with = 200
        self.silent = False
        self._behind = ua._on_request
        ua._on_request = self._take

    async def watch(self, number: str, event: str = "dialog", expires_s: int = 600) -> Lamp:
        """Subscribe; raises AssertionError where that is refused."""
        lamp = Lamp(self, Dialog("", "", "", "", [], 0), number, event)
        self.lamps.append(lamp)
        answer = await self.send(number, event, expires_s, None, lamp)
        assert answer.code == 200, answer.first
        return lamp

    async def send(
        self,
        number: str,
        event: str,
        expires_s: int,
        dialog: Dialog | None = None,
        lamp: Lamp | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Message:
        """One SUBSCRIBE, a challenge answered; its final response."""
        kind = CONTENT_TYPES.get(event, CONTENT_TYPES["dialog"])
        lines = [("Event", event), ("Expires", str(expires_s)), ("Accept", kind), *headers]
        lines = [(name, value) for name, value in lines if value]
        uri = dialog.target if dialog else f"sip:{number}@{self.host}"
        transaction = self.ua.start("SUBSCRIBE", uri, headers=lines, dialog=dialog)
        if lamp is not None:
            lamp.dialog = Dialog(transaction.request.get("call-id"), "", "", "", [], 0)
        answered = await self.ua._authenticated(transaction, WAIT_S)
        answer = answered.responses[-1][1]
        if lamp is not None and answer.code == 200:
            lamp.dialog = Dialog(
                answer.get("call-id"),
                answer.get("from"),
                answer.get("to"),
                sipmsg.uri_of(answer.get("contact")),
                [],
                int(answer.get("cseq").split()[0]),
            )
        return answer

    def _take(self, incoming: Incoming) -> None:
        request = incoming.request
        if request.method != "NOTIFY":
            self._behind(incoming)
            return
        if not self.silent:
            incoming.reply(self.refuse_with)
        for lamp in self.lamps:
            if lamp.dialog.call_id == request.get("call-id"):
                lamp.told.append((time.monotonic(), request))
                return
        self.unsolicited.append(request)


def states_of(body: str) -> list[tuple[str, str]]:
    """(direction, state) of each dialog of a document."""
    return re.findall(r'<dialog [^>]*direction="(\w+)"[^>]*><state>(\w+)</state>', body)


def attribute(body: str, name: str) -> str:
    """An attribute of the first dialog of a document."""
    found = re.search(rf'<dialog [^>]*\b{name}="([^"]*)"', body)
    return found.group(1) if found else ""
