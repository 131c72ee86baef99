"""CORE. What the box still writes as its disk fills: recordings stop first, events of low priority next, call records never.

Three states of the file system that holds `state_dir`. Thresholds are bytes or a share of the disk, whichever is less, so that
one rule fits a 16 GB flash module and a laboratory's few megabytes. A state is left upwards only when there is half as much
room again as its threshold (`RELIEF`), so that a converter that frees one file does not switch recording on for one call.
Opens nothing; the caller reads the file system.
"""

from enum import StrEnum

MIB = 1024 * 1024

LOW_BYTES = 2048 * MIB
"""Below this no new recording begins. Three hundred recorded calls take 6 MB/s: those that are under way may go on for
five minutes before `FULL_BYTES` is reached."""
LOW_SHARE = 0.10
"""The same as a share, for small disks."""

FULL_BYTES = 256 * MIB
"""Below this what is left belongs to call records: at 3 kB a call, room for 80,000 calls."""
FULL_SHARE = 0.03
"""The same as a share, for small disks."""

RELIEF = 1.5
"""A state is left upwards at this many times its threshold."""

LOOK_S = 1.0
"""The file system is looked at this often: one system call."""


class DiskState(StrEnum):
    """How much room there is."""

    AMPLE = "ample"
    LOW = "low"
    FULL = "full"


class Use(StrEnum):
    """What takes room, in the order in which it gives way."""

    NEW_RECORDING = "new_recording"
    RUNNING_RECORDING = "running_recording"
    EVENT = "event"  # of the lowest priority: link changes, statistics
    CALL_RECORD = "call_record"


GIVES_WAY: dict[DiskState, frozenset[Use]] = {
    DiskState.AMPLE: frozenset(),
    DiskState.LOW: frozenset({Use.NEW_RECORDING}),
    DiskState.FULL: frozenset({Use.NEW_RECORDING, Use.RUNNING_RECORDING, Use.EVENT}),
}
"""What is no longer written in each state. Call records stand in no row: they are refused by the disk alone."""

OF_AUDIO = frozenset({Use.NEW_RECORDING, Use.RUNNING_RECORDING})
"""What lies in memory on a box that keeps its audio there: a full memory stops nothing else."""


def allows(state: DiskState, use: Use) -> bool:
    """Whether `use` may still take room."""
    return use not in GIVES_WAY[state]


def low_below(total_bytes: int) -> int:
    """Free bytes under which a disk of that size is LOW."""
    return int(min(LOW_BYTES, total_bytes * LOW_SHARE))


def full_below(total_bytes: int) -> int:
    """Free bytes under which a disk of that size is FULL."""
    return int(min(FULL_BYTES, total_bytes * FULL_SHARE))


def next_state(state: DiskState, free_bytes: int, total_bytes: int) -> DiskState:
    """The state after a look. It falls as far as it must at once, and rises as far as there is relief."""
    low, full = low_below(total_bytes), full_below(total_bytes)
    if free_bytes < full or (state is DiskState.FULL and free_bytes < full * RELIEF):
        return DiskState.FULL
    if free_bytes < low or (state is not DiskState.AMPLE and free_bytes < low * RELIEF):
        return DiskState.LOW
    return DiskState.AMPLE
