"""Schema step 9: the retention class of a recording, a hold on it, and when its audio was deleted."""

from sqlalchemy import Column, Connection, MetaData, Table, text

from cloudsync.store.types import TEXT

_metadata = MetaData()

Table(
    "recording_class",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("retention", TEXT, nullable=False),
)


def apply(connection: Connection) -> None:
    """Add the columns and the index, create the table."""
    kind = TEXT.compile(dialect=connection.dialect)
    for column in ("retention", "held_utc", "deleted_utc"):
        connection.execute(text(f"ALTER TABLE recording ADD COLUMN {column} {kind}"))
    connection.execute(
        text("CREATE INDEX recording_by_retention ON recording (site_id, retention, state, stored_utc)")
    )
    _metadata.create_all(connection, checkfirst=False)
