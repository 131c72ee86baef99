"""What a box says that it gave up takes its place in the site's ledger, by number and hash: the chain has no hole, and the centre
can still say "n of n" without pretending to hold what it never had. In the transaction that stores the box's event.
"""

import json

from sqlalchemy import Connection

from cloudsync.merge import Sound, given_up_link, merge
from cloudsync.service.access import BoxIdentity
from cloudsync.store import audit, records
from cloudsync.wire import EVENT_GIVEN_UP, WireError, given_up_ids, given_up_runs

MARK = f'"event":"{EVENT_GIVEN_UP}"'
"""As it stands in canonical JSON."""


def notice(connection: Connection, who: BoxIdentity, item: Sound, now_utc: str) -> None:
    """Take the records that an event names as given up into the ledger, but for those that came all the same and those that do
    not fit what is there: numbers that another record has, or hashes that their neighbours contradict. Refused records that it
    names wait for nobody any more."""
    body = json.loads(item.body)
    try:
        runs = given_up_runs(body)
    except WireError:
        runs = []
    told = [given_up_link(seq, *link) for run in runs for seq, *link in run.links() if seq < item.seq]
    judged = merge(told, records.held(connection, who.site_id, told))
    records.add_given_up(connection, who.site_id, judged.to_store)
    records.note_given_up(connection, who.site_id, given_up_ids(body), now_utc)
    audit.add(
        connection,
        now_utc,
        f"box:{who.box_id}",
        "records.given_up",
        who.site_id,
        record=item.seq,
        count=len(judged.to_store),
        not_taken=len(told) - len(judged.to_store),
    )
