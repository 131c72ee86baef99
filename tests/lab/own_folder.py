"""A folder of one's own in a place that many share, such as /tmp: it goes with its owner, at the latest when the next one comes.

Its owner holds a lock in it. Who is killed removes nothing; the folder is then there without anybody who holds the lock, and
the next to make one of that name removes it. A folder without such a lock is somebody else's and stays.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

LOCK = "owner.lock"


class OwnFolder:
    """Made at once; ``path`` is it. A context manager, or call ``remove``."""

    def __init__(self, prefix: str, where: str | None = None) -> None:
        """``prefix``: how its name begins; ``where``: the place, else the system's for temporary files."""
        place = Path(where or tempfile.gettempdir())
        _sweep(place, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        fresh = self.path / f"{LOCK}.fresh"
        self._lock = os.open(fresh, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / LOCK)  # it is never there without being held

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)

    def __enter__(self) -> Self:
        """As made."""
        return self

    def __exit__(self, *_: object) -> None:
        """``remove``."""
        self.remove()


def _sweep(place: Path, prefix: str) -> None:
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError):
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
