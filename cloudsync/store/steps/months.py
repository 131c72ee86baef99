"""Schema step 3: records are cut into months of arrival; the ledger that says which ones came stays whole."""

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from cloudsync.store.types import TEXT

_metadata = MetaData()

Table(
    "ledger",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", TEXT, nullable=False),
    Column("hash", TEXT, nullable=False),
    Column("prev_hash", TEXT, nullable=False),
    Column("month", TEXT, nullable=False),
    UniqueConstraint("site_id", "id"),
)

Table(
    "record",
    _metadata,
    Column("month", TEXT, primary_key=True),
    Column("site_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("box_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_utc", TEXT, nullable=False),
    Column("boot_id", TEXT, nullable=False),
    Column("body", TEXT, nullable=False),
    Column("received_utc", TEXT, nullable=False),
    Index("record_by_site_kind", "site_id", "kind", "created_utc"),
    Index("record_by_time", "created_utc", "seq"),
    postgresql_partition_by="LIST (month)",
)

Table(
    "sequence",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_hash", TEXT, nullable=False),
)

Table(
    "month",
    _metadata,
    Column("month", TEXT, primary_key=True),
    Column("exported_utc", TEXT),
    Column("exported_sha256", TEXT),
    Column("exported_records", BigInteger),
    Column("dropped_utc", TEXT),
)


def apply(connection: Connection) -> None:
    """Create the tables and move over what is there."""
    connection.execute(text("ALTER TABLE record RENAME TO record_whole"))
    _metadata.create_all(connection, checkfirst=False)
    months = (
        connection.execute(text("SELECT DISTINCT substr(received_utc, 1, 7) FROM record_whole"))
        .scalars()
        .all()
    )
    if connection.dialect.name == "postgresql":
        for month in months:
            name = f"record_{month.replace('-', '_')}"
            connection.execute(text(f"CREATE TABLE {name} PARTITION OF record FOR VALUES IN ('{month}')"))
    for statement in _MOVES:
        connection.execute(text(statement))
    connection.execute(text("DROP TABLE record_whole"))


_MOVES = (
    "INSERT INTO ledger (site_id, seq, id, hash, prev_hash, month)"
    " SELECT site_id, seq, id, hash, prev_hash, substr(received_utc, 1, 7) FROM record_whole",
    "INSERT INTO record (month, site_id, seq, box_id, kind, priority, created_utc, boot_id, body, received_utc)"
    " SELECT substr(received_utc, 1, 7), site_id, seq, box_id, kind, priority, created_utc, boot_id, body,"
    " received_utc FROM record_whole",
    "INSERT INTO sequence (site_id, received, last_seq, last_hash)"
    " SELECT ended.site_id, ended.received, ended.last_seq, last.hash"
    " FROM (SELECT site_id, count(*) AS received, max(seq) AS last_seq FROM record_whole GROUP BY site_id) ended"
    " JOIN record_whole last ON last.site_id = ended.site_id AND last.seq = ended.last_seq",
)
