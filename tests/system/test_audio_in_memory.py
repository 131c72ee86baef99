"""A box as it comes: its disk is not encrypted and nobody has set anything. What people say is not on that disk, calls are
recorded all the same, and what the power takes is told."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box import Audio
from tests.helpers.disk_image import Missing, make_image, mounted, pieces, seen, settle
from tests.helpers.fault_lab import LOCAL, cdrs_of, heard_both_ways, recordings_of, wait_event
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import extension

IMAGE_BYTES = 128 * 1024 * 1024
CAPTURE_BYTES = 40_000
"""A second of both sides."""
PARTS = Parts(phones=2, centre=True, agent=True, media=True, audio=Audio.AUTO, **LOCAL)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The raw image, and a folder on it."""
    try:
        image = make_image(tmp_path, size_bytes=IMAGE_BYTES)
        with mounted(image, tmp_path / "disk") as root:
            (root / "kyusai").mkdir()
            yield image, root
    except Missing as error:
        pytest.skip(str(error))


async def test_a_stolen_disk_of_a_box_as_it_comes_plays_nothing(disk: tuple[Path, Path]) -> None:
    image, root = disk
    lab = Lab(PARTS)
    lab.document["extensions"] = [
        extension(number, password, record="all") for number, password in lab.passwords.items()
    ]
    (lab.folder / "box").mkdir()
    (lab.folder / "box" / "state").symlink_to(root / "kyusai")
    async with lab:
        layout = lab.box.layout

        async def talk() -> tuple[object, list[bytes]]:
            call = await lab.phones["201"].call("202")
            await heard_both_ways(lab, call, "202")
            await wait_until(lambda: captured(layout.pcaps_dir) > CAPTURE_BYTES, "enough is captured", 30)
            await asyncio.to_thread(settle, root)
            (path,) = layout.pcaps_dir.glob("*.pcap")
            return call, pieces(path.read_bytes())

        ended, first = await talk()
        await ended.hangup()
        (recording,) = (await recordings_of(lab, [ended]))[ended.call_id]
        assert recording.hash_ok
        up, second = await talk()
        status = await lab.box.status()
        assert (status["disk_encryption"], status["audio_encryption"]) == ("none", "memory")
        number = lab.document["extensions"][0]["public_number"].encode()
        assert seen(image, [number]) > 0, "the disk is in the clear, and this search finds what is there"
        assert seen(image, first + second) == 0
        path = root / "copy.pcap"
        path.write_bytes(b"".join(second))
        await asyncio.to_thread(settle, root)
        assert seen(image, second) > 0.8 * len(second), "written to the disk it would be found"

        await asyncio.sleep(2)  # what lies in memory is noted
        await lab.box.cut_power()
        await lab.box.render()
        await lab.box.start("rtpengine", "kamailio", "agent", "media")
        lost = await wait_event(lab, "recording_given_up")
        assert (lost["call_id"], lost["reason"], lost["was"]) == (up.call_id, "power", "in_memory")
        cdr = (await cdrs_of(lab, [up]))[up.call_id]
        assert (cdr["cause"], cdr["incomplete"]) == ("box_restart", True)
        assert lost["recording"].startswith(tuple(cdr["recordings"]))
        states = {
            row["body"]["call_id"]: [one["held"] for one in row["recordings_held"]]
            for row in await lab.centre.records("cdr")
        }
        assert states == {ended.call_id: [["stored"]], up.call_id: [["given_up"]]}
        call, _ = await talk()
        await call.hangup()
        assert (await recordings_of(lab, [call]))[call.call_id][0].hash_ok, "and it records again"


def captured(folder: Path) -> int:
    return max((path.stat().st_size for path in folder.glob("*.pcap")), default=0)
