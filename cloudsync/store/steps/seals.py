"""Schema step 7: the audit trail is chained, so that a line that was altered or removed shows."""

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table

from cloudsync.store.types import TEXT

_metadata = MetaData()

Table(
    "audit_seal",
    _metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False, unique=True),
    Column("hash", TEXT, nullable=False),
)


def apply(connection: Connection) -> None:
    """Create the table; lines of before are sealed as they are, by the next process that seals."""
    _metadata.create_all(connection, checkfirst=False)
