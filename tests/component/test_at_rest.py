"""Reading what a folder lies on, from a made-up /sys and from this machine. The other half, real encryption, is in
test_stolen_disk.py: a machine that runs the tests need not know dm-crypt."""

from pathlib import Path

import pytest

from agent.at_rest import Device, encrypted
from agent.at_rest_watch import look, look_at, read_device, unescaped
from appliance.layout import Layout
from cloudsync.wire import AtRest

LUKS = "CRYPT-LUKS2-3d8a6a4fcd3f4f5b9c8c0a1f2b3c4d5e-kyusai"
LVM = "LVM-PyzZ0oGgAbCd"


class Sys:
    """A tree as /sys has it: devices by name, `dev/block/MAJ:MIN` pointing at them."""

    def __init__(self, root: Path) -> None:
        self.devices, self.numbers = root / "devices", root / "dev" / "block"
        self.numbers.mkdir(parents=True)

    def disk(self, name: str, number: str, partitions: tuple[tuple[str, str], ...] = ()) -> None:
        folder = self.devices / name
        (folder / "slaves").mkdir(parents=True)
        self._point(number, folder)
        for part, its_number in partitions:
            (folder / part).mkdir()
            (folder / part / "partition").write_text("1\n")
            self._point(its_number, folder / part)

    def mapped(self, name: str, number: str, uuid: str, *below: Path) -> None:
        self.disk(name, number)
        folder = self.devices / name
        if uuid:
            (folder / "dm").mkdir()
            (folder / "dm" / "uuid").write_text(uuid + "\n")
        for one in below:
            (folder / "slaves" / one.name).symlink_to(one)

    def _point(self, number: str, folder: Path) -> None:
        (self.numbers / number).symlink_to(folder)


@pytest.fixture
def tree(tmp_path: Path) -> Sys:
    """A disk with two partitions: LUKS on the first, LVM on that; the other in the clear; an array of the two."""
    made = Sys(tmp_path)
    made.disk("nvme0n1", "259:0", (("nvme0n1p1", "259:1"), ("nvme0n1p2", "259:2")))
    first, second = made.devices / "nvme0n1" / "nvme0n1p1", made.devices / "nvme0n1" / "nvme0n1p2"
    made.mapped("dm-0", "253:0", LUKS, first)
    made.mapped("dm-1", "253:1", LVM, made.devices / "dm-0")
    made.mapped("dm-2", "253:2", LVM, made.devices / "dm-0", second)
    made.mapped("md0", "9:0", "", made.devices / "dm-0", made.devices / "dm-1")
    made.mapped("dm-3", "253:3", "CRYPT-VERITY-00-root", second)
    return made


@pytest.mark.parametrize(
    ("number", "found"),
    [
        pytest.param("253:0", True, id="luks on a partition"),
        pytest.param("253:1", True, id="lvm on luks"),
        pytest.param("253:2", False, id="lvm, half of it in the clear"),
        pytest.param("9:0", True, id="an array of what is encrypted"),
        pytest.param("253:3", False, id="verity on a partition"),
        pytest.param("259:2", False, id="a partition"),
        pytest.param("259:0", False, id="a disk"),
    ],
)
def test_a_stack_of_devices_is_read_down_to_its_disks(tree: Sys, number: str, found: bool) -> None:
    device = read_device(number, tree.numbers)
    assert device is not None
    assert encrypted(device) is found


def test_the_whole_stack_is_read(tree: Sys) -> None:
    luks = Device(LUKS, (Device(),))
    assert read_device("253:2", tree.numbers) == Device(LVM, (luks, Device()))


def test_a_partition_of_an_array_is_what_the_array_is(tree: Sys) -> None:
    part = tree.devices / "md0" / "md0p1"
    part.mkdir()
    (part / "partition").write_text("1\n")
    (tree.numbers / "259:9").symlink_to(part)
    device = read_device("259:9", tree.numbers)
    assert device is not None
    assert encrypted(device)


@pytest.mark.parametrize("number", ["0:42", "8:77"])
def test_what_is_no_block_device_is_none(tree: Sys, number: str) -> None:
    assert read_device(number, tree.numbers) is None


def test_a_stack_that_leads_nowhere_says_nothing(tree: Sys) -> None:
    tree.mapped("dm-9", "253:9", LVM, tree.devices / "gone")
    assert read_device("253:9", tree.numbers) is None


def test_a_ring_of_devices_is_left(tree: Sys) -> None:
    tree.mapped("dm-8", "253:8", LVM, tree.devices / "dm-8")
    device = read_device("253:8", tree.numbers)
    assert device is not None
    assert not encrypted(device)


def test_a_mount_option_is_read_as_it_was_written() -> None:
    assert unescaped(r"rw,rtdev=/dev/my\040disk") == "rw,rtdev=/dev/my disk"


SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, nothing is written there


def test_a_folder_in_memory_is_on_no_disk() -> None:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    if [str(SHARED_MEMORY), "tmpfs"] not in mounts:
        pytest.skip(f"{SHARED_MEMORY} is no tmpfs here")
    assert look_at(SHARED_MEMORY) is AtRest.MEMORY


def test_a_folder_that_leads_to_another_disk_counts_as_that_one(tmp_path: Path) -> None:
    """A capture folder that is linked elsewhere: what a box is called goes by the weakest of its folders."""
    layout = Layout(tmp_path / "state", tmp_path / "run")
    layout.state_dir.mkdir()
    here = look(layout)
    assert here is look_at(layout.state_dir)
    layout.audio_dir.mkdir()
    layout.capture_dir.symlink_to("/proc")
    assert look(layout) is (AtRest.NONE if here is AtRest.NONE else AtRest.UNKNOWN)


def test_a_folder_that_is_not_there_is_nothing_and_one_that_cannot_be_opened_is_unknown(
    tmp_path: Path,
) -> None:
    assert look_at(tmp_path / "gone") is None
    (tmp_path / "ring").symlink_to("ring")
    assert look_at(tmp_path / "ring") is AtRest.UNKNOWN
