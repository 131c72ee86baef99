"""ADAPTER. The store in a PostgreSQL database, for several processes side by side.

`synchronous_commit=on` is asked for on every connection, whatever the server's default: an answer must not come
before the disk. Whether the server itself syncs (`fsync`) is the server's to say; `syncs` tells.
"""

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from appliance.errors import KyusaiError
from cloudsync.store.database import BUSY_TIMEOUT_S, Database

POOL_CONNECTIONS = 12
"""Per process. Two cores of a database server are busy with fewer; four processes stay below its usual 100."""
CONNECT_TIMEOUT_S = 5
"""A database server that does not answer within this is away; boxes keep everything and come again."""
IDLE_IN_TRANSACTION_S = 60
"""A process that stopped within a transaction must not keep its locks; none of ours lasts longer."""


def open_postgresql(url: str) -> Database:
    """Open the store at `url` (postgresql://…) and bring its schema up to date. Blocks on the network.

    The database itself has to exist. Raises KyusaiError `store.bad_url`, `store.unreachable`.
    """
    settings = {
        "synchronous_commit": "on",
        "timezone": "UTC",
        "lock_timeout": f"{BUSY_TIMEOUT_S:g}s",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
    }
    engine = create_engine(
        _checked(url),
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            "application_name": "kyusai-centre",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "client_encoding": "utf8",
        },
        pool_size=POOL_CONNECTIONS,
        max_overflow=0,
    )
    database = Database(engine)
    try:
        database.migrate()
    except OperationalError as error:
        reason = str(error.orig).partition("\n")[0]
        raise KyusaiError(
            "store.unreachable",
            f"{database.name}: {reason}",
            "Start the database, or correct centre.toml in the data folder.",
            database=database.name,
            reason=reason,
        ) from error
    return database


def syncs(database: Database) -> bool:
    """Whether the server flushes what it commits; without, a power cut takes acknowledged records away."""
    with database.read() as connection:
        return bool(connection.execute(text("SHOW fsync")).scalar_one() == "on")


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise KyusaiError(
            "store.bad_url",
            "the database is not named by a URL that begins with postgresql://",
            "Write postgresql://USER@HOST/DATABASE, or postgresql://USER@/DATABASE?host=/run/postgresql.",
        )
    return parsed.set(drivername="postgresql+psycopg")
