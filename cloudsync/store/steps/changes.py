"""Schema step 6: changes made at boxes, by how much boxes' clocks were set, and when records were really made."""

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, Table

from cloudsync.store.types import TEXT

_metadata = MetaData()

Table(
    "local_change",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("box_id", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("path", TEXT, nullable=False),
    Column("value", TEXT, nullable=False),
    Column("base", TEXT, nullable=False),
    Column("made_by", TEXT, nullable=False),
    Column("why", TEXT, nullable=False),
    Column("made_utc", TEXT, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("made", Integer, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("told_utc", TEXT, nullable=False),
    Column("decision", TEXT),
    Column("decided_by", TEXT),
    Column("decided_utc", TEXT),
    Column("decided_why", TEXT),
    Column("decided_version", BigInteger),
)

Table(
    "clock_step",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("box_id", TEXT, primary_key=True),
    Column("boot_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("by_ms", BigInteger, nullable=False),
    Column("uptime_ms", BigInteger),
)

Table(
    "record_time",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("month", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("at_utc", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("times", TEXT),
    Index("record_time_by_time", "at_utc"),
    Index("record_time_by_month", "month"),
)


def apply(connection: Connection) -> None:
    """Create the tables."""
    _metadata.create_all(connection, checkfirst=False)
