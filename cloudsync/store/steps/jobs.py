"""Schema step 4: work that is done apart from the request that brought it waits in the store."""

from sqlalchemy import Column, Connection, Float, Integer, MetaData, Table, UniqueConstraint

from cloudsync.store.types import SERIAL, TEXT

_metadata = MetaData()
Table(
    "job",
    _metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("kind", TEXT, nullable=False),
    Column("site_id", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("due_s", Float, nullable=False, index=True),
    Column("claimed_by", TEXT),
    Column("claimed_until_s", Float),
    Column("attempts", Integer, nullable=False),
    Column("error", TEXT),
    UniqueConstraint("kind", "site_id", "subject"),
    sqlite_autoincrement=True,
)


def apply(connection: Connection) -> None:
    """Create the table."""
    _metadata.create_all(connection, checkfirst=False)
