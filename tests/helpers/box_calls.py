"""A box with the real Kamailio, telephones that call through it, and what its journal says of their calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.lab import addresses, sipmsg
from tests.lab.bare_box import BareBox, site_document
from tests.lab.processes import wait_until
from tests.lab.sipcall import Incoming
from tests.lab.sipmsg import Message
from tests.lab.sipua import Ua

LIFE_S = 0.6
TICKS_S = 0.15
"""Two timer ticks of Kamailio's."""
BUSY_S = 3.0
"""What a machine with much else to do may add. Whatever is not passed over in its life time holds a call up for eight seconds."""
LONG_LIFE_S = 5.0
"""A sign of life that is waited for so long shows: who is done before did not wait for it."""

Answers = Callable[[Incoming], None]


@asynccontextmanager
async def bare_box(**changes: Any) -> AsyncIterator[BareBox]:
    """A running box whose log says at the end that nothing of ours broke."""
    claim = addresses.claim()
    try:
        async with BareBox(claim.addresses, claim.folder, site_document(claim.addresses, **changes)) as box:
            yield box
            assert box.faults() == []
    finally:
        claim.release()


@asynccontextmanager
async def phones(box: BareBox, **answers: Answers | None) -> AsyncIterator[list[Ua]]:
    """Registered telephones, named x201, x202...; what each does with an INVITE."""
    async with AsyncExitStack() as stack:
        made = []
        for index, (name, answer) in enumerate(answers.items(), 1):
            ua = await stack.enter_async_context(box.phone(name[1:4], index, on_request=answer))
            assert (await ua.register()).code == 200
            made.append(ua)
        yield made


def answer(ring_s: float = 0.0, code: int = 200) -> Answers:
    """Ring, then answer or refuse."""

    async def ring(incoming: Incoming) -> None:
        incoming.reply(180)
        await asyncio.sleep(ring_s)
        if not incoming.cancelled.is_set():
            sdp = sipmsg.sdp(incoming.ua.contact.split("@")[1].split(":")[0], 4000)
            incoming.reply(code, body=sdp if code == 200 else "")

    tasks = set()

    def on_request(incoming: Incoming) -> None:
        if incoming.request.method != "INVITE":
            incoming.reply(200)
            return
        task = asyncio.get_running_loop().create_task(ring(incoming))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return on_request


def refuse(code: int) -> Answers:
    """Refuse at once."""
    return lambda incoming: incoming.reply(code if incoming.request.method == "INVITE" else 200)


def silent(_: Incoming) -> None:
    """Say nothing."""


def requests(ua: Ua, *methods: str) -> list[Message]:
    """Requests that came, in order."""
    return [m for _, m in ua.received if m.is_request and m.method in (methods or (m.method,))]


async def rows(box: BareBox, event: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the journal holds that many rows of a kind; their data."""

    def found() -> list[dict[str, Any]]:
        data = [data for name, _, data in box.journal() if name == event]
        return data if len(data) >= count else []

    result = await wait_until(found, f"{count} x {event} in the journal")
    assert isinstance(result, list)
    return result


async def long_life(box: BareBox) -> None:
    """Let the cloud have so long for a sign of life that nobody can have waited for one by chance."""
    await box.kamailio.rpc.call("htable.seti", "link", "cloud:life_ms", round(1000 * LONG_LIFE_S))


async def steps(box: BareBox, count: int = 1) -> list[tuple[str, str]]:
    """(target kind, outcome) of every step that ended, once there are that many."""
    outcomes = await rows(box, "step_end", count)
    kinds = {data["index"]: data["kind"] for data in await rows(box, "step")}
    return [(kinds[data["index"]], data["outcome"]) for data in outcomes]


async def ends(box: BareBox, count: int = 1) -> list[dict[str, Any]]:
    """How that many calls ended."""
    return await rows(box, "end", count)


async def end(box: BareBox) -> dict[str, Any]:
    """How the only call ended."""
    (row,) = await ends(box)
    return row


async def table(box: BareBox, name: str) -> dict[str, str]:
    """One of Kamailio's tables."""
    slots = await box.kamailio.rpc.call("htable.dump", name)
    return {item["name"]: item["value"] for slot in slots for item in slot["slot"]}


def reinvite(ua: Ua, dialog: Any, direction: str = "sendrecv") -> Any:
    """Change the session."""
    headers = [("Contact", f"<{ua.contact}>"), ("Content-Type", "application/sdp")]
    body = sipmsg.sdp(ua.address, 4000, direction=direction)
    return ua.start("INVITE", dialog.target, dialog=dialog, headers=headers, body=body)
