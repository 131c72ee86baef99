"""Schema step 5: recording keys that were retired, a box's next key and its lease, and staged rollouts."""

from sqlalchemy import Column, Connection, ForeignKey, Integer, MetaData, Table, text

from cloudsync.store.types import SERIAL, TEXT

_metadata = MetaData()

Table("site", _metadata, Column("id", TEXT, primary_key=True))

_rollout = Table(
    "rollout",
    _metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("change", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("ring", Integer, nullable=False),
    Column("errors_max", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("soak_s", Integer, nullable=False),
    Column("patience_s", Integer, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("started_utc", TEXT, nullable=False),
    Column("ring_utc", TEXT, nullable=False),
    Column("changed_utc", TEXT, nullable=False),
    sqlite_autoincrement=True,
)

_rollout_site = Table(
    "rollout_site",
    _metadata,
    Column("rollout_id", SERIAL, ForeignKey("rollout.id"), primary_key=True, autoincrement=False),
    Column("site_id", TEXT, ForeignKey("site.id"), primary_key=True),
    Column("ring", Integer, nullable=False),
    Column("version", Integer),
    Column("version_before", Integer),
)

COLUMNS = {
    "tenant_recipient": ("retired_utc",),
    "box": (
        *("key_utc", "next_public_key", "key_wanted_utc"),
        *("lease", "lease_before", "lease_utc", "seen_at", "cloned_utc"),
    ),
}


def apply(connection: Connection) -> None:
    """Add the columns, create the tables."""
    for table, columns in COLUMNS.items():
        for column in columns:
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} {_type(connection)}"))
    _rollout.create(connection)
    _rollout_site.create(connection)


def _type(connection: Connection) -> str:
    return TEXT.compile(dialect=connection.dialect)
