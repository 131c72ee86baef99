"""CORE. Whether what a box writes is encrypted on its disk. Pure.

It is told from facts that `at_rest_watch` reads. In doubt nothing is claimed: a box that calls its disk encrypted keeps people
from encrypting it. What cannot be seen from here (a drive or a host that encrypts by itself, a mapping with the null cipher) is
taken as it looks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cloudsync.wire import AtRest

ENCRYPTING = frozenset({"LUKS1", "LUKS2", "PLAIN", "LOOPAES", "TCRYPT", "BITLK", "FVAULT2"})
"""Kinds of device-mapper devices by cryptsetup that are encrypted (`CRYPT-<kind>-[<uuid>-]<name>`, its lib/libdevmapper.c).
VERITY and INTEGRITY bear the same prefix and encrypt nothing; SUBDEV and TEMP are parts of something else."""

ONE_DEVICE = frozenset({"ext2", "ext3", "ext4", "xfs"})
"""File systems whose files lie on the device that is mounted. Others (btrfs, f2fs, bcachefs, zfs) may hold more than that one."""
OTHER_DEVICES = ("rtdev=", "logdev=", "journal_path=", "journal_dev=")
"""Mount options by which these, too, write elsewhere."""

IN_MEMORY = frozenset({"tmpfs", "ramfs"})

WEAKEST_FIRST = (AtRest.NONE, AtRest.UNKNOWN, AtRest.FSCRYPT, AtRest.DM_CRYPT, AtRest.MEMORY)
"""A box is as good as its weakest folder."""


PROTECTED = frozenset({AtRest.FSCRYPT, AtRest.DM_CRYPT, AtRest.MEMORY})
"""Where what is written is of no use to whoever takes the disk. In doubt it is."""


@dataclass(frozen=True, slots=True)
class Device:
    """A block device. dm_uuid: of a device-mapper device, "" for others. below: what it is made of (LVM, RAID, partitions)."""

    dm_uuid: str = ""
    below: tuple["Device", ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder lies. filesystem, options: of its mount. has_policy: fscrypt encrypts what is in it. device: None for a file
    system without one that could be found."""

    filesystem: str
    options: str = ""
    has_policy: bool = False
    device: Device | None = None


def judge(place: Place) -> AtRest:
    """What becomes of a file there."""
    if place.has_policy:
        return AtRest.FSCRYPT
    if place.filesystem in IN_MEMORY:
        return AtRest.MEMORY
    if place.device is None:
        return AtRest.UNKNOWN
    if not encrypted(place.device):
        return AtRest.NONE
    elsewhere = any(option.startswith(OTHER_DEVICES) for option in place.options.split(","))
    return AtRest.DM_CRYPT if place.filesystem in ONE_DEVICE and not elsewhere else AtRest.UNKNOWN


def encrypted(device: Device) -> bool:
    """Whether nothing reaches a disk below it unencrypted: it encrypts by itself, or all that it is made of does."""
    prefix, _, rest = device.dm_uuid.partition("-")
    if prefix == "CRYPT" and rest.partition("-")[0] in ENCRYPTING:
        return True
    return bool(device.below) and all(encrypted(one) for one in device.below)


def weakest(found: Iterable[AtRest]) -> AtRest:
    """Of several folders the one that a thief would read. UNKNOWN for none."""
    return min(found, key=WEAKEST_FIRST.index, default=AtRest.UNKNOWN)
