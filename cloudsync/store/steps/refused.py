"""Schema step 10: when the centre heard that a refused record was given up at its box."""

from sqlalchemy import Connection, text

from cloudsync.store.types import TEXT


def apply(connection: Connection) -> None:
    """Add the column."""
    kind = TEXT.compile(dialect=connection.dialect)
    connection.execute(text(f"ALTER TABLE refused_record ADD COLUMN given_up_utc {kind}"))
