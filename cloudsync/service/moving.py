"""The way from the embedded store to PostgreSQL and S3: copied while the centre serves, switched while it stands.

Nothing is removed at the source, and nothing is in force before everything was compared: the last act is to replace
`centre.toml`. Whatever ended a move before that, the same command takes it up: what is there already is skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from appliance.errors import KyusaiError
from cloudsync import settings
from cloudsync.service import prompts
from cloudsync.service.centre import Centre, open_database, open_storage
from cloudsync.service.copies import Copied, Held, copy
from cloudsync.settings import StoreSettings
from cloudsync.storage import Storage
from cloudsync.store import audit, copying, recordings
from cloudsync.store.database import Database
from cloudsync.store.tables import ledger, sequence


@dataclass(frozen=True, slots=True)
class Moved:
    """What holds afterwards."""

    records: int
    recordings: Copied


def move(centre: Centre, to: StoreSettings, actor: str) -> Moved:
    """Copy everything to where `to` says (an empty field: it stays) and let the data folder's settings say so too.

    Copies as much as it can while others work on the folder; the rest needs it alone. Raises KyusaiError
    `move.nowhere`, `centre.in_use`, `move.not_empty`, `move.differs`, `move.recordings_wrong`, `store.bad_url`,
    `store.bad_bucket`.
    """
    if not to.database and not to.recordings:
        raise KyusaiError(
            "move.nowhere", "nothing is said of where to move", "Name --database, --recordings or both."
        )
    storage = open_storage(to.recordings, centre.layout) if to.recordings else centre.blobs
    database = open_database(to.database, centre.layout) if to.database else centre.database
    try:
        if database is not centre.database:
            _require_own(centre.database, database)
            _copy_records(centre.database, database)
        began_utc = centre.now_utc()
        _copy_recordings(centre.database, centre.blobs, storage)
        centre.in_use.alone()
        copied = _copy_recordings(centre.database, centre.blobs, storage)
        _remove_deleted(centre, storage, began_utc)
        if copied.wrong:
            raise KyusaiError(
                "move.recordings_wrong",
                f"{len(copied.wrong)} recordings are missing or altered here: {', '.join(copied.wrong[:5])}",
                "Restore them from a backup, then run the same command again.",
                count=len(copied.wrong),
                first=", ".join(copied.wrong[:5]),
            )
        with centre.database.write() as connection:
            audit.add(
                connection,
                centre.now_utc(),
                actor,
                "centre.move",
                database.name,
                recordings=bool(to.recordings),
            )
        if database is not centre.database:
            _copy_records(centre.database, database)
            _copy_rest(centre.database, database)
        records = _compare(centre.database, database)
    finally:
        if database is not centre.database:
            database.close()
    known = settings.load(centre.layout.settings, {})
    settings.save(
        centre.layout.settings,
        replace(known, database=to.database or known.database, recordings=to.recordings or known.recordings),
    )
    return Moved(records, copied)


def _require_own(source: Database, target: Database) -> None:
    """A target with sites that the source does not know is another centre's."""
    with source.read() as here, target.read() as there:
        known = set(copying.sites_with_records(here))
        strange = set(copying.sites_with_records(there)) - known
        if strange or copying.count(there, ledger) > copying.count(here, ledger):
            raise KyusaiError(
                "move.not_empty",
                f"{target.name} holds records that are not from this centre",
                "Name an empty database.",
                database=target.name,
            )


def _copy_records(source: Database, target: Database) -> None:
    """Ledger and records, site by site; a site of which as many are there is done."""
    with source.read() as here:
        for site_id in copying.sites_with_records(here):
            for table in copying.GROWING:
                with target.read() as there:
                    have = copying.count(there, table, site_id)
                if have == copying.count(here, table, site_id):
                    continue
                for rows in copying.batches(here, table, site_id):
                    copying.make_months(target, rows)
                    with target.write() as connection:
                        copying.put(connection, table, rows)


def _copy_rest(source: Database, target: Database) -> None:
    """Everything else anew, in one transaction: these rows change."""
    with source.read() as here, target.write() as there:
        copying.empty(there, copying.small_tables())
        for table in copying.small_tables():
            for rows in copying.batches(here, table):
                copying.put(there, table, rows)
        copying.count_on(there)


def _copy_recordings(source: Database, here: Storage, there: Storage) -> Copied:
    if here is there:
        return Copied(0, 0, [])
    with source.read() as connection:
        found: list[Held] = [*recordings.stored_ones(connection), *prompts.stored(connection, here)]
    return copy(found, here, there)


def _remove_deleted(centre: Centre, there: Storage, since_utc: str) -> None:
    """What was copied and then deleted, because its class had run out, is not to stay at the new place for ever."""
    if there is centre.blobs:
        return
    with centre.database.read() as connection:
        gone = recordings.deleted_since(connection, since_utc)
    for one in gone:
        there.remove_whole(one.site_id, one.id, one.cipher_sha256)


def _compare(source: Database, target: Database) -> int:
    """Row by row where it counts, by number elsewhere; gives the number of records. Raises `move.differs`."""
    with source.read() as here, target.read() as there:
        for table in copying.tables():
            if copying.count(here, table) != copying.count(there, table):
                raise _differs(table.name)
        if list(here.execute(select(sequence).order_by(sequence.c.site_id))) != list(
            there.execute(select(sequence).order_by(sequence.c.site_id))
        ):
            raise _differs(sequence.name)
        for mine, other in zip(_ledger(here), _ledger(there), strict=True):
            if mine != other:
                raise _differs(ledger.name)
        return copying.count(here, ledger)


def _ledger(connection: Connection) -> Iterator[list[copying.Row]]:
    return copying.batches(connection, ledger)


def _differs(table: str) -> KyusaiError:
    return KyusaiError(
        "move.differs",
        f"table {table} is not the same at both ends",
        "Nothing was switched. Run the same command again, or name an empty database.",
        table=table,
    )
