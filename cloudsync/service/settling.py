"""A recording whose last piece has come is completed also when its box never asks again: it burnt down, or was replaced.

Each upload waits as work from its offer on. The piece at its end lets it be looked at after `SOON_S`; one that is not whole then
is looked at less and less often, for as long as it is open.
"""

from cloudsync.service import recordings
from cloudsync.service.centre import Centre
from cloudsync.store import jobs
from cloudsync.store import recordings as store
from cloudsync.store.jobs import Job

KIND = recordings.SETTLE
AGAIN_MOST_S = 6 * 3600.0
"""An upload may rest for as long as its box has no line."""


def settle(centre: Centre, job: Job) -> None:
    """Complete the upload if all of it is here; else let it wait. Blocks for as long as it takes to read it."""
    with centre.database.read() as connection:
        known = store.find(connection, job.site_id, job.subject)
    if known is None or known.complete:
        return
    if recordings.settled(centre, known):
        return
    pause_s = min(recordings.FIRST_LOOK_S * 2 ** min(job.attempts - 1, 20), AGAIN_MOST_S)
    with centre.database.write() as connection:
        jobs.put_off(connection, job, centre.clock().timestamp() + pause_s)
