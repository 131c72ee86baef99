"""Whether a disk is called encrypted. A failure tells an operator that a thief would find nothing, or hides who is exposed."""

import pytest

from agent.at_rest import Device, Place, encrypted, judge, weakest
from cloudsync.wire import AtRest

LUKS = Device("CRYPT-LUKS2-3d8a6a4fcd3f4f5b9c8c0a1f2b3c4d5e-kyusai", (Device(),))
DISK = Device()


def lvm(*below: Device) -> Device:
    return Device("LVM-PyzZ0oGgAbCd", below)


@pytest.mark.parametrize(
    ("device", "found"),
    [
        pytest.param(LUKS, True, id="luks2"),
        pytest.param(Device("CRYPT-LUKS1-00-x", (DISK,)), True, id="luks1"),
        pytest.param(Device("CRYPT-PLAIN-swap", (DISK,)), True, id="plain dm-crypt"),
        pytest.param(DISK, False, id="a disk"),
        pytest.param(lvm(LUKS), True, id="lvm on luks"),
        pytest.param(lvm(LUKS, DISK), False, id="lvm of which a part is in the clear"),
        pytest.param(Device("", (LUKS, LUKS)), True, id="raid of encrypted disks"),
        pytest.param(Device("", (LUKS, DISK)), False, id="raid with one disk in the clear"),
        pytest.param(Device("CRYPT-LUKS2-00-x", (lvm(DISK, DISK),)), True, id="luks on lvm"),
        pytest.param(Device("CRYPT-VERITY-00-root", (DISK,)), False, id="verity encrypts nothing"),
        pytest.param(Device("CRYPT-INTEGRITY-00-x", (DISK,)), False, id="integrity encrypts nothing"),
        pytest.param(Device("CRYPT-VERITY-00-root", (LUKS,)), True, id="verity on luks"),
        pytest.param(Device("CRYPT-SUBDEV-00-x", (DISK,)), False, id="a part of something else"),
        pytest.param(Device("CRYPT-"), False, id="no kind"),
        pytest.param(Device("LVM-CRYPT-LUKS2-00-x", (DISK,)), False, id="a volume that is called so"),
    ],
)
def test_a_device_is_encrypted_when_nothing_below_reaches_a_disk_in_the_clear(
    device: Device, found: bool
) -> None:
    assert encrypted(device) is found


@pytest.mark.parametrize(
    ("place", "found"),
    [
        pytest.param(Place("ext4", device=LUKS), AtRest.DM_CRYPT, id="ext4 on luks"),
        pytest.param(Place("xfs", "rw,noquota", device=LUKS), AtRest.DM_CRYPT, id="xfs on luks"),
        pytest.param(
            Place("xfs", "rw,rtdev=/dev/sdb", device=LUKS), AtRest.UNKNOWN, id="xfs with files elsewhere"
        ),
        pytest.param(Place("ext4", device=DISK), AtRest.NONE, id="ext4 on a disk"),
        pytest.param(Place("ext4", has_policy=True, device=DISK), AtRest.FSCRYPT, id="fscrypt on a disk"),
        pytest.param(Place("tmpfs"), AtRest.MEMORY, id="tmpfs"),
        pytest.param(Place("btrfs"), AtRest.UNKNOWN, id="btrfs"),
        pytest.param(Place("overlay"), AtRest.UNKNOWN, id="overlay"),
        pytest.param(Place("zfs"), AtRest.UNKNOWN, id="zfs"),
        pytest.param(Place("nfs4"), AtRest.UNKNOWN, id="somebody else's disk"),
        pytest.param(Place("f2fs", device=LUKS), AtRest.UNKNOWN, id="may lie on more disks than one"),
        pytest.param(Place("f2fs", device=DISK), AtRest.NONE, id="one of them is in the clear"),
    ],
)
def test_a_place_is_called_encrypted_only_when_it_is_for_sure(place: Place, found: AtRest) -> None:
    assert judge(place) is found


def test_a_box_is_as_good_as_its_weakest_folder() -> None:
    assert weakest([AtRest.DM_CRYPT, AtRest.NONE, AtRest.MEMORY]) is AtRest.NONE
    assert weakest([AtRest.DM_CRYPT, AtRest.UNKNOWN]) is AtRest.UNKNOWN
    assert weakest([AtRest.DM_CRYPT, AtRest.FSCRYPT, AtRest.MEMORY]) is AtRest.FSCRYPT
    assert weakest([AtRest.MEMORY, AtRest.DM_CRYPT]) is AtRest.DM_CRYPT
    assert weakest([]) is AtRest.UNKNOWN
