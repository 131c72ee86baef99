"""The centre's process in a run: `kyusai centre serve` as it is, in a forked child."""

from pathlib import Path

from cloudsync.app import Settings, serve


def run(folder: Path, listen: str) -> None:
    """Serve until killed."""
    serve(Settings(folder, listen))
