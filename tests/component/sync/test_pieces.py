"""A recording goes to the real centre in pieces, over several connections, and goes on where a line broke."""

from typing import Any

import pytest

from agent.cloud_errors import CloudConfused, CloudError
from agent.recording_table import RecordingTable
from agent.senders import take_in
from agent.slices import NoLimit, Sliced
from cloudsync.wire import (
    RecordingOffer,
    UploadStands,
)
from tests.helpers.broken_line import (
    Box,
    Centre,
    Line,
    record_audio,
    stored_bytes,
)


async def test_upload_goes_on_where_the_broken_line_left_it(centre: Centre, line: Line, box: Box) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 4_000_000)
    table = RecordingTable(box.spool)
    take_in(table, box.folder / "recordings")
    sender = box.recordings(piece_bytes=256 * 1024)
    line.break_after_bytes = 400_000
    failures = 0
    while True:
        try:
            await sender.upload()
            break
        except CloudError:
            failures += 1
            assert (box.folder / "recordings" / f"{name}.age").exists()
            assert failures < 20
    assert failures >= 2
    assert stored_bytes(centre, name) == [data]
    assert sender.counters.recording_bytes <= len(data)  # no piece that was there went twice


async def test_pieces_of_one_recording_go_over_several_connections(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 1_000_000)
    take_in(RecordingTable(box.spool), box.folder / "recordings")
    put_piece, under_way, most = box.cloud.put_piece, 0, 0

    async def counted(offer: RecordingOffer, begin: int, piece: bytes, pace: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await put_piece(offer, begin, piece, pace)
        under_way -= 1

    monkeypatch.setattr(box.cloud, "put_piece", counted)
    assert await box.recordings(piece_bytes=64 * 1024, connections=5).upload()
    assert most == 5
    assert stored_bytes(centre, name) == [data]


@pytest.mark.parametrize("begun_bytes", [0, 65_536])
async def test_centre_that_knows_no_pieces_gets_one_stream(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch, begun_bytes: int
) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 300_000)
    take_in(RecordingTable(box.spool), box.folder / "recordings")
    (waiting,) = RecordingTable(box.spool).waiting(1)
    offer = box.cloud.offer
    if begun_bytes:  # by the release that was here before
        await offer(waiting.offer)
        await box.cloud.piece(name, 0, data[:begun_bytes])
    else:  # over there

        async def older(offered: RecordingOffer) -> UploadStands:
            return UploadStands((await offer(offered)).offset)

        monkeypatch.setattr(box.cloud, "offer", older)

    async def never(*_: object) -> None:
        raise AssertionError("a piece was sent")

    monkeypatch.setattr(box.cloud, "put_piece", never)
    sender = box.recordings()
    assert await sender.upload()
    assert sender.counters.recording_bytes == 300_000 - begun_bytes
    assert stored_bytes(centre, name) == [data]


async def test_piece_that_was_damaged_on_the_way_is_sent_again(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 300_000)
    take_in(RecordingTable(box.spool), box.folder / "recordings")
    transport, request, damaged = box.cloud._transport, box.cloud._transport.request, []

    async def through_bad_memory(method: Any, path: str, **options: Any) -> Any:
        if method == "PUT" and not damaged:
            damaged.append(path)
            options["content"] = Sliced(bytes(len(options["content"])), NoLimit())
        return await request(method, path, **options)

    monkeypatch.setattr(transport, "request", through_bad_memory)
    sender = box.recordings(piece_bytes=100_000)
    with pytest.raises(CloudConfused, match="hash"):
        await sender.upload()
    assert await sender.upload()
    assert len(damaged) == 1
    assert stored_bytes(centre, name) == [data]
