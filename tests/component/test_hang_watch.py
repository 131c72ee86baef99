"""The guard beside a real Kamailio whose processes stop. A failure is a box that is dead until somebody comes."""

import asyncio
import io
import os
import signal

import pytest

from agent import hang_watch
from agent.hang import HUNG_LOOKS
from agent.hang_watch import KamailioGuard
from agent.kamailio_rpc import KamailioRpc
from agent.logs import set_up
from tests.helpers.registrar_box import registrar_box
from tests.lab.processes import alive, wait_until

LOOK_S = 0.05
"""A look takes as long as an answer is waited for, and this."""


@pytest.mark.parametrize(("stopped", "hangs"), [("udp receiver", True), ("RTIMER EXEC", False)])
async def test_kamailio_whose_workers_hang_is_ended_and_one_that_answers_is_not(
    monkeypatch: pytest.MonkeyPatch, stopped: str, hangs: bool
) -> None:
    monkeypatch.setattr(hang_watch, "LOOK_S", LOOK_S)
    ended = asyncio.Event()
    async with registrar_box(1) as rig:
        settings, layout = rig.box.settings, rig.box.layout
        main = rig.box.kamailio.process
        rows = await rig.box.rpc.call("core.psx")
        pids = [int(row["PID"]) for row in rows if str(row["DSC"]).startswith(stopped)]
        rpc = KamailioRpc(layout.kamailio_rpc)
        guard = KamailioGuard(
            settings.sip.lan,
            settings.sip.lan_port,
            layout.kamailio_pid,
            rpc,
            set_up(io.StringIO()),
            ended.set,
        )
        watching = asyncio.create_task(guard.run())
        await asyncio.sleep(4 * LOOK_S)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            if hangs:
                await asyncio.wait_for(ended.wait(), 30)
                await wait_until(lambda: not alive(main.pid), "the main process is gone", 10)
            else:
                await asyncio.sleep(2 * HUNG_LOOKS * LOOK_S)
                assert not ended.is_set()
                assert alive(main.pid)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            rpc.close()
            for pid in pids:
                if alive(pid):
                    os.kill(pid, signal.SIGCONT)
        if hangs:
            await rig.box.kill("kamailio")
            await rig.box.start("kamailio")
            async with rig.phone("201", 1) as phone:
                assert (await phone.register(600)).code == 200
