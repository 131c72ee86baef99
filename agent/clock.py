"""ADAPTER. The box's clocks and boot id, as the journal counts them (CLOCK_BOOTTIME, wall time)."""

import functools
import time
from pathlib import Path

from agent.journal_events import Moment

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@functools.cache
def boot_id() -> str:
    """Which boot this is; the same until the machine is started again."""
    return BOOT_ID.read_text("ascii").strip()


def now() -> Moment:
    """This instant."""
    mono_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    return Moment(boot_id(), mono_ms, time.time_ns() // 1_000_000)
