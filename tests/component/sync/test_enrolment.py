"""A box enrols at the real centre: once, with that centre and no other."""

import asyncio
import ssl
from pathlib import Path

import pytest

from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudUntrusted
from agent.cloud_transport import Transport, pinned
from agent.enrol import EnrolmentError, enrol
from agent.identity import load_enrolled
from tests.helpers.broken_line import (
    SITE,
    Box,
    Centre,
    enrolled_box,
)


async def test_box_enrols_with_the_text_and_remembers_the_centre(centre: Centre, tmp_path: Path) -> None:
    enrolled = await enrolled_box(centre, tmp_path, centre.url, "box-enrols")
    assert load_enrolled(tmp_path / "enrolment.json") == enrolled
    assert (enrolled.enrolment.site_id, enrolled.enrolment.box_id) == (SITE, "box-enrols")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"key.pem": 0o600, "enrolment.json": 0o600}


async def test_code_of_another_centre_is_refused_before_it_is_sent(centre: Centre, tmp_path: Path) -> None:
    text = centre.code()
    other = text[:-1] + ("0" if text[-1] != "0" else "1")
    with pytest.raises(EnrolmentError) as caught:
        await enrol(other, centre.url, "b", {}, key=tmp_path / "k", enrolment=tmp_path / "e")
    assert caught.value.key == "enrolment.other_centre"
    assert not (tmp_path / "k").exists()
    await enrol(text, centre.url, "box-after", {}, key=tmp_path / "k", enrolment=tmp_path / "e")


async def test_code_used_by_another_box_is_refused_and_changes_nothing(
    centre: Centre, tmp_path: Path
) -> None:
    text = centre.code()
    await enrol(text, centre.url, "box-first", {}, key=tmp_path / "k1", enrolment=tmp_path / "e1")
    with pytest.raises(EnrolmentError) as caught:
        await enrol(text, centre.url, "box-second", {}, key=tmp_path / "k2", enrolment=tmp_path / "e2")
    assert caught.value.key == "enrolment.code_used"
    assert not (tmp_path / "e2").exists()


async def test_same_command_again_finishes_an_enrolment_whose_answer_was_lost(
    centre: Centre, tmp_path: Path
) -> None:
    text = centre.code()
    files = {"key": tmp_path / "k", "enrolment": tmp_path / "e"}
    await enrol(text, centre.url, "box-again", {}, **files)
    files["enrolment"].unlink()
    enrolled = await enrol(text, centre.url, "box-again", {}, **files)
    assert enrolled.enrolment.site_id == SITE


@pytest.mark.parametrize("text", ["", "KYU-1234", "hello", "KYU-0000000000000000-zz"])
async def test_text_that_is_none_is_refused_at_once(text: str, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError) as caught:
        await enrol(text, "https://127.0.0.1:1", "b", {}, key=tmp_path / "k", enrolment=tmp_path / "e")
    assert caught.value.key == "enrolment.bad_text"


async def test_centre_with_another_ca_is_not_talked_to(box: Box, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from cloudsync.tls import ServerTls

    tls = ServerTls(tmp_path / "tls")
    (tmp_path / "tls").mkdir()
    tls.ensure(["127.0.0.1"], datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server_pem)
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    impostor = CloudClient(Transport(url, pinned(box.enrolled.ca_pem)), box.id, lambda _: b"")
    with pytest.raises(CloudUntrusted):
        await impostor.enrolment()
    await impostor.close()
    server.close()
    assert not any(seen)
