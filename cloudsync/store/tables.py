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
    Text,
    UniqueConstraint,
)

metadata = MetaData()

SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only `INTEGER PRIMARY KEY`."""

tenant = Table(
    "tenant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_utc", Text, nullable=False),
)

tenant_recipient = Table(
    "tenant_recipient",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.id"), primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("created_utc", Text, nullable=False),
)

site = Table(
    "site",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_utc", Text, nullable=False),
)

box = Table(
    "box",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("site.id"), nullable=False, index=True),
    Column("public_key", Text, nullable=False),
    Column("enrolled_utc", Text, nullable=False),
    Column("revoked_utc", Text),
    Column("versions", Text, nullable=False),
    Column("last_seen_utc", Text),
    Column("telemetry", Text),
    Column("config_version", Integer),
    Column("config_state", Text),
    Column("config_problems", Text),
    Column("config_reported_utc", Text),
)

enrolment_code = Table(
    "enrolment_code",
    metadata,
    Column("code_sha256", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("site.id"), nullable=False),
    Column("created_utc", Text, nullable=False),
    Column("expires_utc", Text, nullable=False),
    Column("used_utc", Text),
    Column("used_by_box", Text),
)

challenge = Table(
    "challenge",
    metadata,
    Column("nonce_sha256", Text, primary_key=True),
    Column("box_id", Text, nullable=False, index=True),
    Column("expires_utc", Text, nullable=False, index=True),
)

access_token = Table(
    "access_token",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("box_id", Text, ForeignKey("box.id"), nullable=False, index=True),
    Column("expires_utc", Text, nullable=False, index=True),
)

config_version = Table(
    "config_version",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("site_id", Text, ForeignKey("site.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("published_utc", Text, nullable=False),
    UniqueConstraint("site_id", "version"),
    sqlite_autoincrement=True,
)

record = Table(
    "record",
    metadata,
    Column("site_id", Text, ForeignKey("site.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("box_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_utc", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("received_utc", Text, nullable=False),
    UniqueConstraint("site_id", "id"),
    Index("record_by_kind", "site_id", "kind", "created_utc"),
)

refused_record = Table(
    "refused_record",
    metadata,
    Column("site_id", Text, ForeignKey("site.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("box_id", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("last_utc", Text, nullable=False),
)

recording = Table(
    "recording",
    metadata,
    Column("site_id", Text, ForeignKey("site.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("box_id", Text, nullable=False),
    Column("call", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("cipher_sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("started_utc", Text, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("format", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),
    Column("offered_utc", Text, nullable=False),
    Column("stored_utc", Text),
    Column("receipt", Text),
    Index("recording_by_start", "started_utc"),
)

audit = Table(
    "audit",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("at_utc", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
