"""The wall clock of a box's programs, which a test may let jump; compiled when first needed."""

import subprocess
from pathlib import Path

from tests.lab.box import Box

SOURCE = Path(__file__).with_name("shim.c")
NS = 1_000_000_000
PROGRAMS = ("kamailio", "agent", "media")
"""rtpengine is left out: its own timers follow the wall clock, and after a step back it finishes captures that much later."""


class Clock:
    """The clock of one box that has not been started. `jump` acts at once, on all of `PROGRAMS`."""

    def __init__(self, box: Box) -> None:
        """Raises FileNotFoundError or CalledProcessError where nothing can be compiled."""
        library = box.folder / "clock.so"
        words = ["gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(words, check=True, capture_output=True)
        self._file = box.folder / "clock"
        self.jump(0)
        for name in PROGRAMS:
            process = box.programs()[name]
            process.env |= {"LD_PRELOAD": str(library), "KYUSAI_LAB_CLOCK": str(self._file)}

    def jump(self, off_s: float) -> None:
        """From now on the box believes in a time that is `off_s` seconds late (or early)."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(int(off_s * NS).to_bytes(8, "little", signed=True))
