"""The beginning that all runs of a worker share: a centre with one site, a box enrolled at it, a journal with calls."""

import asyncio
import os
import signal
import socket
from pathlib import Path

from agent.cloud_errors import CloudUnreachable
from agent.enrol import enrol
from cloudsync.service.centre import open_centre
from cloudsync.service.enrolment import make_code
from cloudsync.service.sites import add_site
from tests.crash import centre_side, warm, workload
from tests.crash.plan import Side

TRIES = 200
"""Of 50 ms: a centre starts within a second, on a busy machine in ten."""


def prepare(folder: Path, listen: str) -> None:
    """Make the two folders of a run below `folder`. listen: where this worker's centre will be."""
    (folder / Side.BOX).mkdir(parents=True)
    centre = open_centre(folder / Side.CENTRE)
    add_site(centre, workload.SITE, "Crash", "acme", (), "admin:test")
    text, _ = make_code(centre, workload.SITE, 1.0, "admin:test")
    centre.close()
    pid = os.fork()
    if pid == 0:
        try:
            warm.in_child()
            centre_side.run(folder / Side.CENTRE, listen)
        finally:
            os._exit(1)
    try:
        asyncio.run(_enrol(text, f"https://{listen}", folder / Side.BOX))
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    workload.write_journal(folder / Side.BOX / "journal.sqlite")
    (folder / Side.BOX / "recordings").mkdir()


async def _enrol(text: str, url: str, box: Path) -> None:
    for left in range(TRIES, -1, -1):
        try:
            await enrol(
                text,
                url,
                workload.BOX,
                {"kyusai": "test"},
                key=box / "key.pem",
                enrolment=box / "enrolment.json",
            )
            return
        except CloudUnreachable:
            if not left:
                raise
        await asyncio.sleep(0.05)


def free_address(worker: int) -> str:
    """Where this worker's centre listens, for all of its runs."""
    host = f"127.0.98.{10 + worker}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"
