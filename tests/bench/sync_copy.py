"""The limit that PostgreSQL itself sets: the same rows, ready as text, into the same tables by a bare COPY, 500 to a commit."""

import time

import psycopg

from cloudsync.store import months
from cloudsync.store.postgresql import open_postgresql
from cloudsync.wire import canonical_json
from tests.bench.sync_centre import Load
from tests.lab.postgres import PostgresServer

NOW_UTC = "2026-11-21T09:30:00.000Z"
LEDGER = "COPY ledger (site_id, seq, id, hash, prev_hash, month) FROM STDIN"
RECORD = (
    "COPY record (month, site_id, seq, box_id, kind, priority, created_utc, boot_id, body, received_utc)"
    " FROM STDIN"
)


def measured(work: list[Load]) -> dict[str, float]:
    """Microseconds of CPU per record (this client's, and the database's), and records a second."""
    blocks = [_blocks(load, batch) for batch in range(len(work[0].batches)) for load in work]
    server = PostgresServer(durable=True).start()
    try:
        url = server.create_database("bench")
        database = open_postgresql(url)
        months.ensure(database, NOW_UTC[:7])
        database.close()
        with psycopg.connect(url) as connection:
            database_s, cpu_s, began_s = server.cpu_s(), time.process_time(), time.monotonic()
            for links, rows in blocks:
                with connection.cursor() as cursor:
                    for statement, block in ((LEDGER, links), (RECORD, rows)):
                        with cursor.copy(statement) as copy:
                            copy.write(block)
                connection.commit()
            took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
            database_s = server.cpu_s() - database_s
    finally:
        server.stop()
    records = sum(load.records for load in work)
    return {
        "cpu_us_per_record": cpu_s * 1e6 / records,
        "database_cpu_us_per_record": database_s * 1e6 / records,
        "records_per_s": records / took_s,
    }


def _blocks(load: Load, batch: int) -> tuple[bytes, bytes]:
    links, rows, month = [], [], NOW_UTC[:7]
    for r in load.batches[batch]:
        links.append(f"{load.site}\t{r.seq}\t{r.id}\t{r.hash}\t{r.prev_hash}\t{month}\n")
        body = canonical_json(r.body).replace("\\", "\\\\")
        rows.append(
            f"{month}\t{load.site}\t{r.seq}\t{load.box}\t{r.kind}\t{r.priority}\t{r.created_utc}\t{r.boot_id}\t"
            f"{body}\t{NOW_UTC}\n"
        )
    return "".join(links).encode(), "".join(rows).encode()
