"""ADAPTER. Calls the box's own Kamailio now and then, and ends one that hangs; systemd starts it again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from agent.guarded_process import KAMAILIO, end, pid_of
from agent.hang import LOOK_S, HangWatch, Look
from agent.kamailio_figures import requests_received
from agent.kamailio_rpc import KamailioRpc
from agent.logs import Logger
from agent.self_test import SILENT
from agent.self_test_call import place

NOBODY = {"nobody": "-;-"}
"""A call that is refused: any answer will do."""


class KamailioGuard:
    """host, port: where Kamailio takes calls of the LAN. pid_file: of its main process. ended: called after one that hung
    was ended."""

    def __init__(
        self, host: str, port: int, pid_file: Path, rpc: KamailioRpc, log: Logger, ended: Callable[[], None]
    ) -> None:
        self._where = host, port
        self._pid_file = pid_file
        self._rpc = rpc
        self._log = log
        self._ended = ended
        self._watch = HangWatch()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            look = await self._look()
            if self._watch.look(look) and look.pid is not None:
                end(look.pid, KAMAILIO, self._log, self._ended)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> Look:
        pid = pid_of(self._pid_file, KAMAILIO)
        if pid is None:
            return Look(None, answered=False)
        answers = await place(*self._where, NOBODY)
        if not answers:  # its address is gone for now: nothing could be asked
            return Look(None, answered=False)
        if any(code != SILENT for code in answers.values()):
            return Look(pid, answered=True)
        return Look(pid, answered=False, received=await requests_received(self._rpc))
