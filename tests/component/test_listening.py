"""Hearing recordings at the centre. A failure means somebody hears what he may not, or a judge hears something else."""

import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyrage
import pytest
import soundfile

from cloudsync import ogg, wire
from cloudsync.http.api import create_app
from cloudsync.service.centre import Centre
from cloudsync.service.listening import allow
from cloudsync.service.sites import add_site
from cloudsync.store import audit
from tests.helpers.centre_box import ROOT, opened
from tests.helpers.centre_contents import WHO, put_recording

KEY = pyrage.x25519.Identity.generate()
ADMIN = "admin:test"


def speech(seconds: int) -> bytes:
    """An Ogg/Opus recording as a box makes it: silence with a beep in each second, higher each time."""
    rate = 16_000
    moment = np.arange(rate) / rate
    beeps = [0.4 * np.sin(2 * np.pi * (300 + 50 * second) * moment) for second in range(seconds)]
    made = io.BytesIO()
    soundfile.write(made, np.concatenate(beeps), rate, format="OGG", subtype="OPUS")
    return made.getvalue()


AUDIO = speech(12)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    with opened(tmp_path / "data") as made:
        add_site(made, WHO.site_id, "Tokyo", "acme", [str(KEY.to_public())], ADMIN)
        put_recording(made, "rec-1", AUDIO)
        yield made


@pytest.fixture
async def client(centre: Centre) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(centre, []), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as made:
        yield made


def token(centre: Centre, minutes: int = 15) -> str:
    return allow(centre, "rec-1", "", "inspector", minutes, ADMIN)[0]


def headers(text: str, key: object = KEY, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}", "Kyusai-Key": str(key), **more}


async def test_listener_hears_the_whole_and_any_part(centre: Centre, client: httpx.AsyncClient) -> None:
    given = token(centre)
    whole = await client.get(wire.PATH_LISTEN, headers=headers(given))
    assert (whole.status_code, whole.content) == (200, AUDIO)
    assert (whole.headers["content-type"], whole.headers["accept-ranges"]) == ("audio/ogg", "bytes")
    size = len(AUDIO)
    parts = {
        "bytes=0-99": (AUDIO[:100], f"bytes 0-99/{size}"),
        "bytes=100-": (AUDIO[100:], f"bytes 100-{size - 1}/{size}"),
        "bytes=-10": (AUDIO[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        f"bytes=5-{size * 2}": (AUDIO[5:], f"bytes 5-{size - 1}/{size}"),
    }
    for asked, (content, told) in parts.items():
        answer = await client.get(wire.PATH_LISTEN, headers=headers(given, Range=asked))
        assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, content, told)
    head = await client.head(wire.PATH_LISTEN, headers=headers(given))
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=99999999-", 416),
        ("bytes=-0", 416),
        ("bytes=9-3", 416),
        ("bytes=0-1,5-6", 200),
        ("lines=1-2", 200),
    ],
)
async def test_range_that_cannot_be_given_is_said_so(
    centre: Centre, client: httpx.AsyncClient, asked: str, status: int
) -> None:
    answer = await client.get(wire.PATH_LISTEN, headers=headers(token(centre), Range=asked))
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(AUDIO)}"


async def test_without_the_right_token_and_key_nothing_is_heard(
    centre: Centre, client: httpx.AsyncClient
) -> None:
    given = token(centre)
    said, _, signature = given.partition(".")
    stranger = pyrage.x25519.Identity.generate()
    tries: dict[str, dict[str, str]] = {
        "no token": headers(""),
        "another text": headers("x" + said[1:] + "." + signature),
        "no signature": headers(said + "."),
        "another key": headers(given, stranger),
        "no key": headers(given, "AGE-SECRET-KEY-1"),
    }
    answers = {what: (await client.get(wire.PATH_LISTEN, headers=given)) for what, given in tries.items()}
    assert {what: (one.status_code, one.json()["key"]) for what, one in answers.items()} == {
        "no token": (401, "listener.refused"),
        "another text": (401, "listener.refused"),
        "no signature": (401, "listener.refused"),
        "another key": (403, "recording.sealed"),
        "no key": (403, "recording.sealed"),
    }
    assert not any(AUDIO[:50] in one.content for one in answers.values())


async def test_token_ends_and_every_listening_is_in_the_audit_trail(
    centre: Centre, client: httpx.AsyncClient
) -> None:
    given = token(centre, minutes=1)
    for _ in range(3):  # as a player seeks
        await client.get(wire.PATH_LISTEN, headers=headers(given, Range="bytes=0-9"))
    later = datetime.now(UTC) + timedelta(minutes=2)
    object.__setattr__(centre, "clock", lambda: later)
    assert (await client.get(wire.PATH_LISTEN, headers=headers(given))).status_code == 401
    with centre.database.read() as connection:
        lines = [(row["actor"], row["action"], row["subject"]) for row in audit.newest(connection, 2)]
    assert lines == [
        ("listener:inspector", "recording.listen", "rec-1"),
        (ADMIN, "recording.allow", "rec-1"),
    ]


async def test_recording_altered_on_the_disk_is_not_given_as_audio(
    centre: Centre, client: httpx.AsyncClient
) -> None:
    (path,) = (centre.layout.recordings_dir / WHO.site_id).iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    answer = await client.get(wire.PATH_LISTEN, headers=headers(token(centre)))
    assert (answer.status_code, answer.json()["key"]) == (403, "recording.sealed")


def decoded(data: bytes) -> Any:
    return soundfile.read(io.BytesIO(data))


@pytest.mark.parametrize(("begin", "end"), [(3, 6), (0, 2), (10, 60), (0, 1e9)])
def test_part_by_seconds_is_a_recording_of_its_own(begin: float, end: float) -> None:
    part = b"".join(ogg.cut(ogg.pages([AUDIO[:1000], AUDIO[1000:]]), begin, end))
    samples, rate = decoded(part)
    whole, _ = decoded(AUDIO)
    expected = min(end, 12) - begin
    assert expected - 0.2 <= len(samples) / rate <= expected + 2.2
    assert len(part) < len(AUDIO) or expected == 12
    if begin == 0 and end > 12:
        assert len(samples) == len(whole)


@pytest.mark.parametrize(("begin", "end"), [(5, 1.5), (3, 3), (12.5, 1e9), (0, 0)])
def test_part_in_which_nothing_lies_is_told_before_a_byte_is_given(begin: float, end: float) -> None:
    with pytest.raises(ogg.NoAudioError) as told:
        next(ogg.cut(ogg.pages([AUDIO]), begin, end))
    assert 11.9 < told.value.duration_s < 12.1


def test_what_is_no_ogg_is_said_to_be_none() -> None:
    for spoilt in (b"RIFF" + bytes(100), AUDIO[:-1], AUDIO + b"x" * 40):
        with pytest.raises(ogg.NotOggError):
            list(ogg.pages([spoilt]))


def kyusai(*words: str, data: Path, key: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, str(ROOT / "kyusai_cli.py"), *words, "--data", str(data)],
        capture_output=True,
        input=key,
        timeout=60,
        cwd=ROOT,
    )


def test_commands_play_export_and_allow_with_a_key_file_alone(centre: Centre, tmp_path: Path) -> None:
    data, key = centre.layout.data_dir, tmp_path / "acme.key"
    key.write_text(f"# made by hand\n{KEY}\n")
    with_key = ("--key", str(key))
    assert kyusai("recordings", "play", "rec-1", *with_key, data=data).stdout == AUDIO
    part = kyusai("recordings", "play", "rec-1", "--from", "3", "--to", "6", *with_key, data=data).stdout
    assert 2.5 < len(decoded(part)[0]) / decoded(part)[1] < 5.5
    target = tmp_path / "part.ogg"
    made = kyusai("recordings", "export", "rec-1", "-o", str(target), "--to", "2", *with_key, data=data)
    assert (made.returncode, target.stat().st_mode & 0o777) == (0, 0o600)
    assert b"hash" not in made.stdout  # of a part nobody can say that
    nowhere = tmp_path / "nothing.ogg"
    empty = kyusai("recordings", "export", "rec-1", "-o", str(nowhere), "--from", "99", *with_key, data=data)
    assert (empty.returncode, nowhere.exists(), b"12.0 s" in empty.stderr) == (1, False, True)
    whole = kyusai("recordings", "export", "rec-1", "-o", str(nowhere), *with_key, data=data)
    assert (whole.returncode, nowhere.read_bytes() == AUDIO, b"hash" in whole.stdout) == (0, True, True)
    refused = kyusai("recordings", "play", "rec-1", data=data)
    assert (refused.returncode, refused.stdout) == (1, b"")
    allowed = json.loads(
        kyusai("recordings", "token", "rec-1", "--name", "inspector", "--json", data=data).stdout
    )
    assert allowed["listener"] == "inspector"


def test_new_tenants_key_is_given_away_and_not_kept(tmp_path: Path) -> None:
    data, key = tmp_path / "data", tmp_path / "acme.key"
    assert (
        kyusai("centre", "site", "add", "a-1", "--tenant", "acme", "--key", str(key), data=data).returncode
        == 0
    )
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_text().splitlines()[-1]
    shown = kyusai("centre", "site", "add", "b-1", "--tenant", "other", data=data)
    other = next(line for line in shown.stdout.decode().splitlines() if line.startswith("AGE-SECRET-KEY-1"))
    again = kyusai("centre", "site", "add", "c-1", "--tenant", "third", "--key", str(key), data=data)
    assert (again.returncode, key.read_text().splitlines()[-1]) == (1, secret)
    rotated = kyusai("centre", "recipients", "rotate", "acme", "--key", str(tmp_path / "new.key"), data=data)
    assert rotated.returncode == 0, rotated.stderr
    held = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    new = (tmp_path / "new.key").read_text().splitlines()[-1]
    for text in (secret, other, new):
        assert text.encode() not in held


def test_protected_key_file_opens_with_its_passphrase() -> None:
    from appliance.errors import KyusaiError
    from cloudsync.sealing import read_identities

    protected = pyrage.passphrase.encrypt(f"{KEY}\n".encode(), "only for tests")
    assert read_identities(protected, lambda: "only for tests") == [str(KEY)]
    for data, passphrase in ((protected, "wrong"), (b"nothing", ""), (b"\xff\xfe", "")):
        with pytest.raises(KyusaiError) as caught:
            read_identities(data, lambda passphrase=passphrase: passphrase)  # type: ignore[misc]
        assert caught.value.key == "key.unusable"
