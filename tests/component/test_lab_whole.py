"""The lab as one value: it starts, calls are heard at the site and through the cloud, a cut is felt, all of it goes away."""

from pathlib import Path

from tests.lab import processes
from tests.lab.lab import Lab, Parts


async def test_lab_with_a_box_carries_calls_and_leaves_nothing_behind() -> None:
    async with Lab(Parts(phones=2)) as lab:
        one, two = lab.phones["201"], lab.phones["202"]
        await lab.box.set_link_state("UP")
        out = await one.call("901")
        cloud_phone = lab.cloud_phones["901"].current()
        await out.wait_hears(lab.cloud_phones["901"].tone_hz)
        await cloud_phone.wait_hears(one.tone_hz)
        await lab.link.cut("drop")
        await out.wait_hears()
        await lab.box.set_link_state("DOWN")
        inside = await two.call("201")
        await inside.wait_hears(one.tone_hz)
        outside = await two.call("0312345678")
        await outside.wait_hears(lab.gateway.tone_hz)
        assert lab.gateway.calls[-1].number == "0312345678"
        pids = [process.pid for process in lab.box.programs().values() if process.running]
        folder = lab.folder
    assert len(pids) == 2
    assert not any(processes.alive(pid) for pid in pids)
    assert not folder.exists()


async def test_files_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    async with Lab(Parts(phones=0, cloud=False, cloud_phones=0, gateway=False, carrier=False), keep=tmp_path):
        pass
    assert (tmp_path / "box-kamailio.log").stat().st_size > 0
