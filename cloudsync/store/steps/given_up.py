"""Schema step 8: records that a box gave up, and when recordings of a box with a wrong clock began."""

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, text

from cloudsync.store.types import TEXT

_metadata = MetaData()

Table(
    "recording_call",
    _metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("box_id", TEXT, nullable=False),
    Column("boot_id", TEXT, nullable=False),
    Column("created_utc", TEXT, nullable=False),
)


def apply(connection: Connection) -> None:
    """Add the columns, create the table."""
    kind = TEXT.compile(dialect=connection.dialect)
    connection.execute(text("ALTER TABLE sequence ADD COLUMN given_up BIGINT NOT NULL DEFAULT 0"))
    for column in ("at_utc", "time_source"):
        connection.execute(text(f"ALTER TABLE recording ADD COLUMN {column} {kind}"))
    connection.execute(text("CREATE INDEX recording_by_true_start ON recording (at_utc)"))
    _metadata.create_all(connection, checkfirst=False)
