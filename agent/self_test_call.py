"""ADAPTER. Places the self-test calls over UDP, from Kamailio's own address, and gathers their answers."""

import asyncio
import secrets
from collections.abc import Mapping

from agent.self_test import SILENT, read_answer, request

WAIT_S = 0.5
"""For all answers together: Kamailio answers within a millisecond; a busy one within a few."""


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, count: int) -> None:
        self.codes: dict[str, int] = {}
        self.all_there = asyncio.Event()
        self._count = count

    def datagram_received(self, data: bytes, _address: object) -> None:
        found = read_answer(data)
        if found is not None:
            self.codes[found[0]] = found[1]
            if len(self.codes) >= self._count:
                self.all_there.set()


async def place(host: str, port: int, cases: Mapping[str, str]) -> dict[str, int]:
    """The code that each case was answered with, `SILENT` for none within `WAIT_S`. Never raises `OSError`."""
    names = {f"selftest{secrets.token_hex(8)}": name for name in cases}
    if not names:
        return {}
    loop = asyncio.get_running_loop()
    try:
        transport, answers = await loop.create_datagram_endpoint(
            lambda: _Answers(len(names)), local_addr=(host, 0)
        )
    except OSError:  # the address is gone for now: nothing is known
        return {}
    try:
        own_port = int(transport.get_extra_info("sockname")[1])
        for call_id, name in names.items():
            transport.sendto(request(host, port, own_port, call_id, cases[name]), (host, port))
        try:
            async with asyncio.timeout(WAIT_S):
                await answers.all_there.wait()
        except TimeoutError:
            pass
    finally:
        transport.close()
    return {name: answers.codes.get(call_id, SILENT) for call_id, name in names.items()}
