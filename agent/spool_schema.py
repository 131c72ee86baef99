"""The spool's tables and their history. Each migration commits together with the note that it was applied.

record      what must reach the centre; deleted only after the centre said that it has it
cursor      named positions and other small values that must move in the same transaction as the records
open_call   documents of calls that are not finished or not yet forgotten
recording   encrypted recordings that wait to be uploaded
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("spool")

PAGE_BYTES = 1024
"""Of a new spool; one that is there keeps its own. An append changes four pages, and all of each goes into the log before the
sync: with SQLite's 4,096 it took 1.3 to 1.4 times a bare insert, so it takes 1.1 to 1.2, and wears flash a third as much."""


@migrations()
def m001_tables(db: Database) -> None:
    """The first shape."""
    db.table("record").create(
        {
            "seq": int,
            "id": str,
            "kind": str,
            "priority": int,
            "created_utc": str,
            "boot_id": str,
            "body": str,
            "prev_hash": str,
            "hash": str,
            "state": str,
            "reason": str,
        },
        pk="seq",
        not_null={"id", "kind", "priority", "created_utc", "boot_id", "body", "prev_hash", "hash", "state"},
        defaults={"state": "waiting", "reason": ""},
    )
    db.table("record").create_index(["id"], unique=True)
    db.table("record").create_index(["state", "priority", "seq"])
    db.table("cursor").create({"name": str, "value": str}, pk="name", not_null={"value"})
    db.table("open_call").create({"call": str, "doc": str}, pk="call", not_null={"doc"})
    db.table("recording").create(
        {
            "id": str,
            "call": str,
            "path": str,
            "sha256": str,
            "cipher_sha256": str,
            "bytes": int,
            "started_utc": str,
            "duration_s": float,
            "format": str,
            "state": str,
            "reason": str,
            "uploaded_bytes": int,
        },
        pk="id",
        not_null={"call", "path", "sha256", "cipher_sha256", "bytes", "started_utc", "duration_s", "format"},
        defaults={"state": "waiting", "reason": "", "uploaded_bytes": 0},
    )


def migrate(path: str) -> None:
    """Bring the file to the newest shape, in WAL mode. Blocks; raises sqlite3.Error."""
    db = Database(path)
    try:
        db.conn.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.conn.execute("PRAGMA journal_mode = WAL")
        db.conn.execute("PRAGMA synchronous = FULL")
        migrations.apply(db)
    finally:
        db.conn.close()
