"""ADAPTER. Hears from rtpengine which keys are pressed in calls, and pauses and resumes recordings by them.

Only telephones of the site may: whoever calls from outside must not decide what is recorded. An agent that is away misses keys;
the telephone hears no difference, which docs/control.md tells people.
"""

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

from agent.logs import Logger
from agent.pause_codes import CodeReader, Key, key_of
from agent.recording_switch import RecordingSwitch, What
from appliance.errors import KyusaiError
from appliance.site_recording import PauseCodes

WAITING_MAX = 1_000
"""Keys that wait to be looked at: rtpengine tells of each a moment after it was pressed."""


class PauseKeys(asyncio.DatagramProtocol):
    """One box's keys."""

    def __init__(
        self,
        switch: RecordingSwitch,
        codes: Callable[[], PauseCodes],
        networks: Callable[[], Iterable[str]],
        together: Callable[[str], Iterable[str]],
        log: Logger,
    ) -> None:
        """networks: the site's. together: Call-IDs of all calls that are one person's call."""
        self._switch = switch
        self._codes = codes
        self._networks = networks
        self._together = together
        self._log = log
        self._reader = CodeReader()
        self._waiting: asyncio.Queue[Key] = asyncio.Queue(WAITING_MAX)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Whoever sends: what is no key is passed over, and the socket is on the box's own address."""
        key = key_of(data)
        if key is not None and not self._waiting.full():
            self._waiting.put_nowait(key)

    async def run(self, host: str, port: int) -> None:
        """For ever. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        try:
            while True:
                key = await self._waiting.get()
                if not self._is_near(key.address):
                    continue
                order = self._reader.press(key, self._codes(), loop.time())
                if order:
                    await self._carry_out(key.call_id, What(order))
        finally:
            transport.close()

    async def _carry_out(self, call_id: str, what: What) -> None:
        for one in {call_id, *self._together(call_id)}:
            try:
                changed = await asyncio.to_thread(self._switch.order, one, what, told=one == call_id)
            except KyusaiError as error:
                self._log.warning(
                    "recording_not_switched", about=error.key, call=one, what=what.value, reason=error.message
                )
                continue
            if changed and one == call_id:
                self._log.info("recording_switched", call=one, what=what.value)

    def _is_near(self, address: str) -> bool:
        try:
            found = ip_address(address)
            return any(found in ip_network(network) for network in self._networks())
        except ValueError:
            return False
