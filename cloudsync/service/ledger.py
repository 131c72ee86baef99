"""How much of a site's sequence the centre holds, signed: "4,411 of 4,411" as a word that it can be held to."""

from cloudsync.service.centre import Centre
from cloudsync.service.sites import require_site
from cloudsync.store import records, sites
from cloudsync.wire import MISSING_RUNS_MAX, LedgerReceipt, Missing


def receipt(centre: Centre, site_id: str) -> LedgerReceipt:
    """The signed receipt as of now: everything that it counts is committed. Raises NotFound `site.unknown`."""
    with centre.database.read() as connection:
        require_site(sites.find(connection, site_id), site_id)
        found = records.ledger(connection, site_id)
    return centre.keys.sign_ledger(
        LedgerReceipt(
            site_id=site_id,
            seq=found.last_seq,
            count=found.received,
            hash=found.last_hash,
            utc=centre.now_utc(),
            key_id="",
            given_up=found.given_up,
        )
    )


def missing(centre: Centre, site_id: str, after: int) -> Missing:
    """Which numbers behind `after` have not come though higher ones have. Walks the site's ledger. Raises NotFound."""
    with centre.database.read() as connection:
        require_site(sites.find(connection, site_id), site_id)
        last_seq = records.ledger(connection, site_id).last_seq
        runs = records.missing_runs(connection, site_id, after, MISSING_RUNS_MAX)
    return Missing(last_seq, tuple(runs))
