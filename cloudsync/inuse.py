"""ADAPTER. Who works on a data folder: everybody holds a shared lock on a file in it, one who moves it holds it alone."""

import fcntl
import os
from pathlib import Path

from appliance.errors import KyusaiError
from cloudsync import durable


class InUse:
    """A lock that ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Hold it with others. Raises KyusaiError `centre.being_moved`."""
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE_MODE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise KyusaiError(
                "centre.being_moved",
                f"{path.parent} is being moved or restored by another command",
                "Wait for its end.",
                data=path.parent,
            ) from None

    def alone(self) -> None:
        """Hold it alone from now on. Raises KyusaiError `centre.in_use`."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            raise KyusaiError(
                "centre.in_use",
                f"{self._path.parent} is in use by a server or another command",
                "Stop the server (boxes keep what they have and bring it later), then run the same command again.",
                data=self._path.parent,
            ) from None

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)
