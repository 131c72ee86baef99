"""The tables of the centre's store. Times are text as `wire.format_utc` writes it, so they sort and compare.

What makes "exactly once" true are two constraints: the primary key (site, seq) and the unique (site, record id)
of `record`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from cloudsync.store.types import SERIAL, TEXT

metadata = MetaData()

tenant = Table(
    "tenant",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("created_utc", TEXT, nullable=False),
)

tenant_recipient = Table(
    "tenant_recipient",
    metadata,
    Column("tenant_id", TEXT, ForeignKey("tenant.id"), primary_key=True),
    Column("recipient", TEXT, primary_key=True),
    Column("created_utc", TEXT, nullable=False),
)

site = Table(
    "site",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("tenant_id", TEXT, ForeignKey("tenant.id"), nullable=False),
    Column("name", TEXT, nullable=False),
    Column("created_utc", TEXT, nullable=False),
)

box = Table(
    "box",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("site_id", TEXT, ForeignKey("site.id"), nullable=False, index=True),
    Column("public_key", TEXT, nullable=False),
    Column("enrolled_utc", TEXT, nullable=False),
    Column("revoked_utc", TEXT),
    Column("versions", TEXT, nullable=False),
    Column("last_seen_utc", TEXT),
    Column("telemetry", TEXT),
    Column("config_version", Integer),
    Column("config_state", TEXT),
    Column("config_problems", TEXT),
    Column("config_reported_utc", TEXT),
)

enrolment_code = Table(
    "enrolment_code",
    metadata,
    Column("code_sha256", TEXT, primary_key=True),
    Column("site_id", TEXT, ForeignKey("site.id"), nullable=False),
    Column("created_utc", TEXT, nullable=False),
    Column("expires_utc", TEXT, nullable=False),
    Column("used_utc", TEXT),
    Column("used_by_box", TEXT),
)

challenge = Table(
    "challenge",
    metadata,
    Column("nonce_sha256", TEXT, primary_key=True),
    Column("box_id", TEXT, nullable=False, index=True),
    Column("expires_utc", TEXT, nullable=False, index=True),
)

access_token = Table(
    "access_token",
    metadata,
    Column("token_sha256", TEXT, primary_key=True),
    Column("box_id", TEXT, ForeignKey("box.id"), nullable=False, index=True),
    Column("expires_utc", TEXT, nullable=False, index=True),
)

config_version = Table(
    "config_version",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("site_id", TEXT, ForeignKey("site.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", TEXT, nullable=False),
    Column("key_id", TEXT, nullable=False),
    Column("signature", TEXT, nullable=False),
    Column("published_utc", TEXT, nullable=False),
    UniqueConstraint("site_id", "version"),
    sqlite_autoincrement=True,
)

record = Table(
    "record",
    metadata,
    Column("site_id", TEXT, ForeignKey("site.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", TEXT, nullable=False),
    Column("box_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_utc", TEXT, nullable=False),
    Column("boot_id", TEXT, nullable=False),
    Column("body", TEXT, nullable=False),
    Column("prev_hash", TEXT, nullable=False),
    Column("hash", TEXT, nullable=False),
    Column("received_utc", TEXT, nullable=False),
    UniqueConstraint("site_id", "id"),
    Index("record_by_kind", "site_id", "kind", "created_utc"),
)

refused_record = Table(
    "refused_record",
    metadata,
    Column("site_id", TEXT, ForeignKey("site.id"), primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("hash", TEXT, primary_key=True),
    Column("reason", TEXT, primary_key=True),
    Column("box_id", TEXT, nullable=False),
    Column("times", Integer, nullable=False),
    Column("last_utc", TEXT, nullable=False),
)

recording = Table(
    "recording",
    metadata,
    Column("site_id", TEXT, ForeignKey("site.id"), primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("box_id", TEXT, nullable=False),
    Column("call", TEXT, nullable=False),
    Column("sha256", TEXT, nullable=False),
    Column("cipher_sha256", TEXT, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("started_utc", TEXT, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("format", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),
    Column("offered_utc", TEXT, nullable=False),
    Column("stored_utc", TEXT),
    Column("receipt", TEXT),
    Index("recording_by_start", "started_utc"),
)

audit = Table(
    "audit",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("at_utc", TEXT, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("action", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("detail", TEXT, nullable=False),
    sqlite_autoincrement=True,
)

attempt = Table(
    "attempt",
    metadata,
    Column("source", TEXT, primary_key=True),
    Column("failures", TEXT, nullable=False),
    Column("last_s", Float, nullable=False, index=True),
)
"""Failed enrolments by source: `failures` is a JSON list of times (seconds since 1970), the newest last."""
