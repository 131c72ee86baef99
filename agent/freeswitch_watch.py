"""ADAPTER. Asks the box's own FreeSWITCH now and then, by SIP and by its event socket, and ends one that hangs; systemd starts
it again. Calls pass over it meanwhile; those that are in an application end with it, with a cause.
"""

import asyncio
import secrets
from collections.abc import Callable

from agent.guarded_process import FREESWITCH, end, pid_of
from agent.hang import LOOK_S, HangWatch, Look
from agent.logs import Logger
from agent.self_test import read_answer
from appliance.box import Box
from appliance.freeswitch import render
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.layout import Layout

ANSWER_S = 1.5
"""Both answer within milliseconds."""


class FreeSwitchGuard:
    """One per agent on a box with FreeSWITCH. ended: called after one that hung was ended.

    It hangs when neither side answers for `hang.HUNG_LOOKS` looks, or one of them does not for `hang.STALLED_LOOKS`: a
    command that takes long must not end the calls of everybody.
    """

    def __init__(self, box: Box, layout: Layout, log: Logger, ended: Callable[[], None]) -> None:
        self._settings = box.freeswitch
        self._layout = layout
        self._log = log
        self._ended = ended
        self._watch = HangWatch()
        self._half = 0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            look = await self._look()
            if self._watch.look(look) and look.pid is not None:
                end(look.pid, FREESWITCH, self._log, self._ended)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> Look:
        pid = pid_of(self._layout.freeswitch_pid, FREESWITCH)
        if pid is None:
            return Look(None, answered=False)
        calls, obeys = await asyncio.gather(self._takes_calls(), self._obeys())
        self._half += calls != obeys
        return Look(pid, answered=calls and obeys, received=self._half)

    async def _takes_calls(self) -> bool:
        """Whether its SIP side answers an OPTIONS, with whatever code."""
        loop = asyncio.get_running_loop()
        host = self._settings.address.strip("[]")
        try:
            transport, answered = await loop.create_datagram_endpoint(_Answered, local_addr=(host, 0))
        except OSError:
            return False
        try:
            own_port = int(transport.get_extra_info("sockname")[1])
            transport.sendto(
                options(self._settings.address, self._settings.sip_port, own_port),
                (host, self._settings.sip_port),
            )
            async with asyncio.timeout(ANSWER_S):
                await answered.there.wait()
        except TimeoutError:
            return False
        finally:
            transport.close()
        return True

    async def _obeys(self) -> bool:
        """Whether its event socket carries out a command."""
        settings = self._settings
        try:
            address = Address(settings.address, settings.esl_port, render.password(self._layout))
            await ask(address, "sofia", "status", within_s=ANSWER_S)
        except (FreeSwitchSilent, OSError):
            return False
        return True


def options(host: str, port: int, own_port: int) -> bytes:
    """An OPTIONS from this machine to itself."""
    lines = (
        f"OPTIONS sip:{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{own_port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
        f"From: <sip:guard@{host}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{host}>",
        f"Call-ID: guard{secrets.token_hex(8)}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:guard@{host}:{own_port}>",
        "Max-Forwards: 1",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class _Answered(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.there = asyncio.Event()

    def datagram_received(self, data: bytes, _address: object) -> None:
        if read_answer(data) is not None:
            self.there.set()
