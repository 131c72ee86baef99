"""One worker: a PostgreSQL server of its own, and its share of the runs of a centre on it. Prints JSON."""

import asyncio
from typing import Any

from tenacity.wait import wait_random

from agent import cloud_transport, records, senders, upload
from tests.crash import postgres
from tests.crash.share import Outcome, Share, work
from tests.crash.variants import PRODUCT

ADDRESS = "127.0.98.{}"
FIRST = 100
"""Worker 0's last octet."""


def main(share: Share) -> dict[str, Any]:
    """The figures of this worker's runs, by variant."""
    _hurry()
    own = share.folder / f"worker-{share.number}"
    own.mkdir()
    with postgres.Ground(own, ADDRESS.format(FIRST + share.number)) as ground:

        def once(number: int) -> Outcome:
            kills = postgres.plan(share.seed, number)
            name = f"{'product' if spoil is None else 'spoilt'}-{number}"
            verdict, killed = asyncio.run(postgres.run(ground, name, kills, spoil))
            return Outcome(verdict, killed, str(kills))

        done = {}
        for variant in share.variants:
            spoil = None if variant == PRODUCT.name else postgres.commits_unsynced
            done[variant] = share.go(variant, once)
    return {"variants": done}


def _hurry() -> None:
    """Shorter pauses and smaller batches than at a site."""
    senders.IDLE_S = 0.02
    senders.RECORDINGS_EVERY_S = 0.05
    senders.REFUSED_PAUSE_S = 0.1
    cloud_transport.RETRY_AFTER_MAX_S = 0.05  # a centre that misses its store asks for 5 s
    senders._spread = wait_random(0.01, 0.05)  # type: ignore[assignment]
    records.BATCH_RECORDS_MAX = upload.BATCH_RECORDS_MAX = postgres.BATCH_RECORDS
    records.NEWEST_RECORDS = postgres.NEWEST_RECORDS


if __name__ == "__main__":
    work(main)
