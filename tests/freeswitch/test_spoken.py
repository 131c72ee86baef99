"""Numbers, dates, times and callers are heard as they are said, in both languages, by FreeSWITCH alone."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import pytest_asyncio
import soundfile

from appliance.freeswitch import names, render, speech, spoken
from appliance.freeswitch.prompt_texts import own_file, pieces
from appliance.freeswitch.spoken_pieces import PREFIX
from cloudsync import prompt_audio
from cloudsync.prompt_audio import PromptAudio
from tests.lab.freeswitch import PROMPTS, FreeSwitch
from tests.lab.lab import Lab, Parts

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

TOKYO = ZoneInfo("Asia/Tokyo")
MOMENT = datetime(2025, 4, 20, 19, 41, tzinfo=TOKYO)
"""Far enough back that English names the date too."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    own = own_recording()
    parts = Parts(phones=1, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    document = {
        "call_control": "local",
        "applications": [
            {"number": "700", "kind": "announcement", "prompts": ["welcome"], "language": "ja"},
            {"number": "701", "kind": "announcement", "prompts": ["welcome"], "language": "en"},
            {"number": "702", "kind": "announcement", "prompts": ["our_words"], "language": "en"},
        ],
        "prompts": [{"id": "our_words", "en_audio": own.sha256}],
        "mailboxes": [{"number": "201", "code_md5": "0" * 32, "language": language} for language in ("ja",)],
    }
    async with Lab(parts, document) as lab:
        there = lab.box.layout.prompts_dir / own_file(own.sha256)
        there.unlink(missing_ok=True)  # the sign that stands in for it
        there.write_bytes(own.wav)
        yield lab


@cache
def own_recording() -> PromptAudio:
    """A recording as the centre converts it and a box holds it."""
    with tempfile.TemporaryDirectory(prefix="kyusai-own-") as folder:
        path = Path(folder, "said.wav")
        words = "This is a recording of our own. It was not made by the box."
        subprocess.run(["espeak-ng", "-v", "en-gb", "-w", str(path), words], check=True)
        return prompt_audio.convert(path)


def expected(language: str, said: spoken.Pieces, folder: Path) -> Path:
    """The audio of the pieces in their row, as one file."""
    files = {one.prompt.removeprefix(PREFIX): PROMPTS / one.file for one in pieces(language)}
    path = folder / f"{hash(said)}.wav"
    soundfile.write(path, np.concatenate([soundfile.read(files[one])[0] for one in said]), speech.RATE_HZ)
    return path


async def say(lab: Lab, language: str, macro: str, data: str) -> None:
    """Let FreeSWITCH call the telephone and say something: what a dialplan would do with the application "phrase"."""
    box = lab.box.freeswitch
    assert box is not None
    settings = box.box.freeswitch
    leg = f"sofia/{names.PROFILE}/201@{settings.address}:{settings.kamailio_port}"
    order = f"bgapi originate {{default_language={language},origination_caller_id_number=700}}{leg}"
    reader, writer = await asyncio.open_connection(settings.address, settings.esl_port)
    await reader.readuntil(b"\n\n")
    for line in (f"auth {render.password(box.layout)}", f"{order} &phrase({macro},{data})"):
        writer.write(f"{line}\n\n".encode())
        assert b"+OK" in await reader.readuntil(b"\n\n")
    writer.close()


SAID = [
    ("ja", "say_number", "123456", spoken.number(123_456, "ja")),
    ("ja", "say_moment", str(int(MOMENT.timestamp())), (*spoken.day(MOMENT, "ja"), *spoken.clock(19, 41, "ja"))),
    ("ja", "say_amount", "3804", spoken.amount(3804, "ja")),
    ("ja", "say_telephone", "+819012345678", spoken.telephone("+819012345678", "ja")),
    ("en", "say_number", "123456", spoken.number(123_456, "en")),
    ("en", "say_date", "2026-11-21", spoken.day(datetime(2026, 11, 21), "en", with_year=True)),
    ("en", "say_moment", str(int(MOMENT.timestamp())), ("weekday_0", "month_4", *spoken.ordinal(20))),
    ("en", "say_time", "19:05", spoken.clock(19, 5, "en")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "macro", "data", "said"), SAID, ids=[f"{one[0]}-{one[1]}" for one in SAID]
)
async def test_what_is_said_is_heard_piece_by_piece(
    lab: Lab, tmp_path: Path, language: str, macro: str, data: str, said: spoken.Pieces
) -> None:
    phone = lab.phones["201"]
    before = sum(call.incoming for call in phone.calls)
    await say(lab, language, macro, data)
    call = await phone.wait_incoming(before + 1, 10)
    await call.wait_hears_prompt(expected(language, said, tmp_path), 20)
    await call.wait("closed", 15)


async def test_a_recording_of_one_s_own_is_heard(lab: Lab) -> None:
    call = await lab.phones["201"].call("702")
    await call.wait_hears_prompt(lab.box.layout.prompts_dir / own_file(own_recording().sha256), 20)
    await call.wait("closed", 15)


async def test_a_voicemail_box_says_who_called_and_when(lab: Lab, tmp_path: Path) -> None:
    phone = lab.phones["201"]
    for macro, data, said in (
        ("voicemail_say_phone_number", "0312345678", spoken.telephone("0312345678", "ja")),
        ("voicemail_say_date", str(int(MOMENT.timestamp())), spoken.day(MOMENT, "ja")),
    ):
        before = sum(call.incoming for call in phone.calls)
        await say(lab, "ja", macro, data)
        call = await phone.wait_incoming(before + 1, 10)
        await call.wait_hears_prompt(expected("ja", said, tmp_path), 20)
        await call.wait("closed", 15)


async def test_nothing_of_it_was_missing(lab: Lab) -> None:
    box: FreeSwitch | None = lab.box.freeswitch
    assert box is not None
    assert box.faults() == []
