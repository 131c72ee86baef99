"""Work apart from requests: any process of the centre may do it, one at a time each, and any may die at it.

Whatever is done here may be done twice. A worker that dies holds its work until its claim ends; then another takes it.
"""

from collections.abc import Callable

from cloudsync.service import checking, clocks, retention, voicemails
from cloudsync.service.centre import Centre
from cloudsync.service.settling import KIND as SETTLE
from cloudsync.service.settling import settle
from cloudsync.store import jobs
from cloudsync.store.jobs import Job

CLAIM_S = 900.0
"""The largest recording is read in a fifth of this at 10 MB/s."""
RETRY_FIRST_S, RETRY_MOST_S = 60.0, 6 * 3600.0
"""Pauses after a failure double from the first to the most."""

HANDLERS: dict[str, Callable[[Centre, Job], None]] = {
    checking.KIND: checking.check,
    clocks.KIND: clocks.correct,
    SETTLE: settle,
    voicemails.KIND: voicemails.send,
    retention.KIND: retention.look,
    retention.REMOVE: retention.remove,
}


def step(centre: Centre, worker: str) -> bool:
    """Do one piece of work; False when none is due. Blocks. Raises what the store raises."""
    now_s = centre.clock().timestamp()
    with centre.database.read() as connection:
        if not jobs.is_due(connection, now_s):
            return False
    with centre.database.write() as connection:
        claimed = jobs.claim(connection, worker, now_s, now_s + CLAIM_S)
    if claimed is None:
        return False
    try:
        HANDLERS[claimed.kind](centre, claimed)
    except Exception as error:  # whatever it is, the work waits for another try and tells why
        due_s = centre.clock().timestamp() + min(
            RETRY_FIRST_S * 2 ** min(claimed.attempts, 20) / 2, RETRY_MOST_S
        )
        with centre.database.write() as connection:
            jobs.failed(connection, claimed, f"{type(error).__name__}: {error}", due_s)
        return True
    with centre.database.write() as connection:
        jobs.done(connection, claimed)
    return True
