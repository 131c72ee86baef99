"""A campaign: worker processes with a share of the runs each, what they say added up, and how far they are meanwhile."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash import progress, shim
from tests.crash.share import WORDS, Share
from tests.lab.own_folder import OwnFolder

PROGRESS_EVERY_S = 10.0
FAULTS_SHOWN = 10
END_S = 30.0
"""How long a worker that is sent away may take to end what it started."""
OPEN_TO_PASS = 0o711
"""PostgreSQL runs as another user below the campaign's folder; nobody else finds anything there by name."""


@dataclass(frozen=True, slots=True)
class Workers:
    """module: what they run. environment: beside this process's own. folder: how their common folder's name begins."""

    module: str
    number: int
    folder: str
    environment: Mapping[str, str]


def campaign(workers: Workers, variants: Sequence[str], runs: int, seed: int) -> list[dict[str, Any]]:
    """All runs of all variants, the product first; what each worker printed. What they started and made is gone afterwards."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with OwnFolder(workers.folder, shim.memory()) as own:
        folder = own.path
        folder.chmod(OPEN_TO_PASS)
        over = threading.Event()
        teller = threading.Thread(target=_tell_progress, args=(folder, runs, over))
        shares = [
            Share(folder, number, workers.number, runs, seed, tuple(variants))
            for number in range(workers.number)
        ]
        processes = [_start(workers, share) for share in shares]
        teller.start()
        try:
            told = [process.communicate()[0] for process in processes]
        finally:
            _send_away(processes)
            over.set()
            teller.join()
    if not all(told):
        raise SystemExit("a worker failed; its error is above")
    return [json.loads(one) for one in told]


def _start(workers: Workers, share: Share) -> "subprocess.Popen[bytes]":
    """A worker that is told to end when this process does, however it does."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", workers.module, *share.words()],
        env={**os.environ, "TMPDIR": str(share.folder), **workers.environment},
        stdout=subprocess.PIPE,
    )


def _send_away(processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tell_progress(folder: Path, runs: int, over: threading.Event) -> None:
    """How far it is, on standard error, until `over`."""
    began_s, set_up = time.monotonic(), False
    while not over.wait(PROGRESS_EVERY_S):
        tally = b"".join(path.read_bytes() for path in folder.glob(f"{progress.TALLY}*"))
        now_s = time.monotonic()
        if tally and not set_up:  # until then the workers made their ground, which tells nothing of the runs
            began_s, set_up = now_s - PROGRESS_EVERY_S, True
        print(progress.line(tally, runs, now_s - began_s), file=sys.stderr, flush=True)


def total(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sums over all workers of one variant."""
    killed: Counter[str] = Counter()
    for part in parts:
        killed.update(part["killed"])
    numbers = ("runs", *WORDS, "at_fault", "caught", "kills", "power_cuts")
    faults = [fault for part in parts for fault in part["faults"]]
    return {
        **{word: sum(part.get(word, 0) for part in parts) for word in numbers},
        "killed": dict(sorted(killed.items())),
        "faults": faults[:FAULTS_SHOWN],
    }
