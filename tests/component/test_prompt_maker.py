"""Prompts are made beside calls: a version waits for a few seconds' worth, whatever ends the work is gone on with."""

import asyncio
import io
import json
import shutil
import time
from pathlib import Path

import pytest

from agent import prompt_maker
from agent.logs import set_up
from agent.prompt_maker import PromptMaker
from appliance.freeswitch import prompt_texts, speech, stand_ins
from appliance.freeswitch.prompt_texts import Spoken

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")

WANTED = [one for one in prompt_texts.catalogue(()) if one.language == "en"][:24]
GIVE_UP_S = 60.0


async def until_made(wanted: list[Spoken], folder: Path, count: int) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while len(wanted) - len(speech.missing(wanted, folder)) < count:
            await asyncio.sleep(0.02)


async def test_what_was_not_made_in_time_is_made_beside_calls_and_by_the_next_agent(tmp_path: Path) -> None:
    log = io.StringIO()
    stand_ins.lay((one.file for one in WANTED), tmp_path)
    first = PromptMaker(tmp_path, set_up(log))
    began_s = time.monotonic()
    await asyncio.to_thread(first.some, WANTED, 0.05)
    assert time.monotonic() - began_s < prompt_maker.PATIENCE_S, "a version does not wait for prompts"

    first.want(WANTED)
    work = asyncio.create_task(first.run())
    await until_made(WANTED, tmp_path, 3)
    work.cancel()  # the agent ends
    await asyncio.gather(work, return_exceptions=True)
    made = len(WANTED) - len(speech.missing(WANTED, tmp_path))
    assert made < len(WANTED), "it was ended too late for this test"

    second = PromptMaker(tmp_path, set_up(log))
    second.want(WANTED)
    work = asyncio.create_task(second.run())
    await until_made(WANTED, tmp_path, len(WANTED))
    async with asyncio.timeout(GIVE_UP_S):
        while second.waiting:
            await asyncio.sleep(0.02)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert stand_ins.waiting((one.file for one in WANTED), tmp_path) == []
    assert list(tmp_path.glob("*/*.new")) == [] or made < len(WANTED)
    begun = [json.loads(line) for line in log.getvalue().splitlines() if '"prompts_begun"' in line]
    assert begun[-1]["count"] <= len(WANTED) - 3, "nothing was made twice"


async def test_a_prompt_that_cannot_be_made_is_told_and_its_sign_stays(tmp_path: Path) -> None:
    log = io.StringIO()
    odd = Spoken("odd", "en", "...")
    stand_ins.lay((odd.file,), tmp_path)
    maker = PromptMaker(tmp_path, set_up(log))
    maker.want([odd])
    work = asyncio.create_task(maker.run())
    async with asyncio.timeout(GIVE_UP_S):
        while "prompts_made" not in log.getvalue():
            await asyncio.sleep(0.02)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [one["event"] for one in told] == ["prompts_begun", "prompt_not_made", "prompts_made"]
    assert (maker.waiting, maker.failed, told[-1]["failed"]) == (1, 1, 1)
    assert (tmp_path / odd.file).resolve() == tmp_path / stand_ins.MISSING


def test_audio_that_comes_while_its_sign_is_laid_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, exists = tmp_path / "en" / "said.wav", Path.exists

    def seen_and_made(one: Path) -> bool:
        found = exists(one)
        if one == path and not found:
            one.parent.mkdir(exist_ok=True)
            one.write_bytes(b"audio")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", seen_and_made)
        stand_ins.lay(("en/said.wav",), tmp_path)
    assert path.read_bytes() == b"audio"
