"""Has prompts made that a version needs and that are not there: a few seconds' worth before it is used, the rest beside calls.

Until a prompt is there two tones stand in for it (`stand_ins`); its audio takes their place without a word to FreeSWITCH. The
work is `speak`'s, a process of its own: an agent that ends takes it along, and the next one goes on.
"""

import asyncio
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.logs import Logger
from appliance.freeswitch import speak, speech
from appliance.freeswitch.prompt_texts import Spoken

PATIENCE_S = 5.0
"""So long a version waits for its prompts: some twenty, which is what a change brings. A box that starts for the first time
lacks hundreds, and takes calls meanwhile."""

ENDS_S = 5.0
SHOWN_MAX = 20
"""Of prompts that could not be made: the reason is the same for all of them."""


class PromptMaker:
    """One box's prompts. waiting: how many are still to be made; failed: how many of these could not be."""

    def __init__(self, folder: Path, log: Logger) -> None:
        self._folder = folder
        self._log = log
        self._wanted: tuple[Spoken, ...] = ()
        self._news = asyncio.Event()
        self.waiting = 0
        self.failed = 0

    def some(self, spoken: Sequence[Spoken], within_s: float = PATIENCE_S) -> None:
        """Make as many as there is time for. Blocks."""
        missing = speech.missing(spoken, self._folder)
        if not missing:
            return
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                speak.command(self._folder),
                input=speak.words(missing),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=within_s,
                check=False,
            )

    def want(self, spoken: Sequence[Spoken]) -> None:
        """From now on these are made, by `run`."""
        self._wanted = tuple(spoken)
        self._news.set()

    async def run(self) -> None:
        """For ever. What could not be made is tried again with the next version, or by the next agent."""
        while True:
            await self._news.wait()
            self._news.clear()
            missing = await asyncio.to_thread(speech.missing, self._wanted, self._folder)
            self.waiting, self.failed = len(missing), 0
            if missing:
                await self._make(missing)

    async def _make(self, missing: Sequence[Spoken]) -> None:
        self._log.info("prompts_begun", count=len(missing))
        failed: list[str] = []
        process = await asyncio.create_subprocess_exec(
            *speak.command(self._folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("pipes were asked for")
            with suppress(ConnectionError):
                process.stdin.write(speak.words(missing))
                await process.stdin.drain()
                process.stdin.close()
            async for line in process.stdout:
                self.waiting -= 1
                with suppress(ValueError, KeyError, TypeError):
                    failed += filter(None, [speak.told(line)])
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ENDS_S):
                        await process.wait()
        for reason in failed[:SHOWN_MAX]:
            self._log.warning("prompt_not_made", reason=reason)
        self.waiting = self.failed = len(failed)
        self._log.info("prompts_made", count=len(missing) - len(failed), failed=len(failed))
