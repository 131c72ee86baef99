"""Lets the Python of a box's programs believe in another boot of the machine: its id, and a clock that began with it.

Python imports this by itself from a folder in PYTHONPATH, also inside Kamailio. ``KYUSAI_LAB_BOOT`` names a file with the
boot's id and the nanoseconds of CLOCK_BOOTTIME at which it began; without the file nothing is changed.
"""

import contextlib
import os
import pathlib
import time

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_read_text = pathlib.Path.read_text
_clock_ns = time.clock_gettime_ns


def _pretend(boot_id: str, began_ns: int) -> None:
    def read_text(self: pathlib.Path, *args: object, **kwargs: object) -> str:
        return boot_id + "\n" if str(self) == _BOOT_ID else _read_text(self, *args, **kwargs)  # type: ignore[arg-type]

    def clock_gettime_ns(clock: int) -> int:
        now_ns = _clock_ns(clock)
        return now_ns - began_ns if clock == time.CLOCK_BOOTTIME else now_ns

    pathlib.Path.read_text = read_text  # type: ignore[method-assign,assignment]
    time.clock_gettime_ns = clock_gettime_ns


with contextlib.suppress(KeyError, OSError, ValueError):
    _id, _began = _read_text(pathlib.Path(os.environ["KYUSAI_LAB_BOOT"])).split()
    _pretend(_id, int(_began))
