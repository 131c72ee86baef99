"""Schema step 2: failed enrolments are counted in the store, so that all processes of a centre count together."""

from sqlalchemy import Column, Connection, Float, MetaData, Table

from cloudsync.store.types import TEXT

_metadata = MetaData()
Table(
    "attempt",
    _metadata,
    Column("source", TEXT, primary_key=True),
    Column("failures", TEXT, nullable=False),
    Column("last_s", Float, nullable=False, index=True),
)


def apply(connection: Connection) -> None:
    """Create the table."""
    _metadata.create_all(connection, checkfirst=False)
