"""The tables of the centre's store. Times are text as `wire.format_utc` writes it, so they sort and compare.

What makes "exactly once" true are two constraints: the primary key (site, seq) and the unique (site, record id)
of `ledger`. It is apart from `record` because that is cut into months, across which PostgreSQL keeps no key unique.
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
    Column("retired_utc", TEXT),
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
    Column("key_utc", TEXT),
    Column("next_public_key", TEXT),
    Column("key_wanted_utc", TEXT),
    Column("lease", TEXT),
    Column("lease_before", TEXT),
    Column("lease_utc", TEXT),
    Column("seen_at", TEXT),
    Column("cloned_utc", TEXT),
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

rollout = Table(
    "rollout",
    metadata,
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
"""A change that is brought to sites ring by ring. `ring`: the one under way; `ring_utc`: when it was published."""

rollout_site = Table(
    "rollout_site",
    metadata,
    Column("rollout_id", SERIAL, ForeignKey("rollout.id"), primary_key=True, autoincrement=False),
    Column("site_id", TEXT, ForeignKey("site.id"), primary_key=True),
    Column("ring", Integer, nullable=False),
    Column("version", Integer),
    Column("version_before", Integer),
)
"""Which ring a site is in, and the version that it got; none yet while its ring waits."""

ledger = Table(
    "ledger",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", TEXT, nullable=False),
    Column("hash", TEXT, nullable=False),
    Column("prev_hash", TEXT, nullable=False),
    Column("month", TEXT, nullable=False),
    UniqueConstraint("site_id", "id"),
)
"""One row for each record that was ever taken; it stays when the record's month is dropped. `month`: empty for one that its
box gave up before it came; all that is known of it is its place in the chain."""

record = Table(
    "record",
    metadata,
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
"""What the records say. `month` (2026-11) is that of their arrival, by the centre's clock alone."""

sequence = Table(
    "sequence",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_hash", TEXT, nullable=False),
    Column("given_up", BigInteger, nullable=False, server_default="0"),
)
"""How far each site is. Whoever adds to a site's ledger locks its row here."""

month = Table(
    "month",
    metadata,
    Column("month", TEXT, primary_key=True),
    Column("exported_utc", TEXT),
    Column("exported_sha256", TEXT),
    Column("exported_records", BigInteger),
    Column("dropped_utc", TEXT),
)
"""What became of a month's records; a month without a row was never exported."""

local_change = Table(
    "local_change",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("box_id", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("path", TEXT, nullable=False),
    Column("value", TEXT, nullable=False),
    Column("base", TEXT, nullable=False),
    Column("made_by", TEXT, nullable=False),
    Column("why", TEXT, nullable=False),
    Column("made_utc", TEXT, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("made", Integer, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("told_utc", TEXT, nullable=False),
    Column("decision", TEXT),
    Column("decided_by", TEXT),
    Column("decided_utc", TEXT),
    Column("decided_why", TEXT),
    Column("decided_version", BigInteger),
)
"""Changes that people made at boxes, as their events told. `value`, `base`: JSON. `state`, `reason`: by the event with the
highest number, which is `seq`. `decision`: merged or refused, once somebody here has decided."""

clock_step = Table(
    "clock_step",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("box_id", TEXT, primary_key=True),
    Column("boot_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("by_ms", BigInteger, nullable=False),
    Column("uptime_ms", BigInteger),
)
"""By how much a box's clock was set, as its event number `seq` told. `wall_ms`: the clock then, set already."""

record_time = Table(
    "record_time",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("month", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("at_utc", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("times", TEXT),
    Index("record_time_by_time", "at_utc"),
    Index("record_time_by_month", "month"),
)
"""When a record was made, where its own `created_utc` is wrong; the record stays as it was signed. `source`: how that is
known, see `cloudsync.clocks`. `times`: of the call, JSON, where those that its record tells are wrong. `month`: of the
record's arrival."""

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
    Column("given_up_utc", TEXT),
)
"""What was refused. `given_up_utc`: when the centre heard that a person at its box gave it up."""

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
    Column("at_utc", TEXT),
    Column("time_source", TEXT),
    Column("retention", TEXT),
    Column("held_utc", TEXT),
    Column("deleted_utc", TEXT),
    Index("recording_by_start", "started_utc"),
    Index("recording_by_true_start", "at_utc"),
    Index("recording_by_retention", "site_id", "retention", "state", "stored_utc"),
)
"""`at_utc`: when it began, where the box's clock was wrong about it (`started_utc`); `time_source`: how that is known, see
`cloudsync.clocks`. `retention`: its class, as the record of its call told. `held_utc`: since when it must not be deleted.
`deleted_utc`: when its class had run out; the row stays."""

recording_class = Table(
    "recording_class",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("retention", TEXT, nullable=False),
)
"""Which class records of calls gave to the recordings that they name; those may come later. `name`: how their ids begin."""

recording_call = Table(
    "recording_call",
    metadata,
    Column("site_id", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("box_id", TEXT, nullable=False),
    Column("boot_id", TEXT, nullable=False),
    Column("created_utc", TEXT, nullable=False),
)
"""Of boots whose clock was doubted: which record of a call names which recordings. `name`: the beginning of their ids."""

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

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False, unique=True),
    Column("hash", TEXT, nullable=False),
)
"""The chain over the lines of `audit`, in the order in which they were sealed, see `cloudsync.audit_chain`."""

attempt = Table(
    "attempt",
    metadata,
    Column("source", TEXT, primary_key=True),
    Column("failures", TEXT, nullable=False),
    Column("last_s", Float, nullable=False, index=True),
)
"""Failed enrolments by source: `failures` is a JSON list of times (seconds since 1970), the newest last."""

job = Table(
    "job",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("kind", TEXT, nullable=False),
    Column("site_id", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("due_s", Float, nullable=False, index=True),
    Column("claimed_by", TEXT),
    Column("claimed_until_s", Float),
    Column("attempts", Integer, nullable=False),
    Column("error", TEXT),
    UniqueConstraint("kind", "site_id", "subject"),
    sqlite_autoincrement=True,
)
"""Work that waits. `claimed_until_s`: until then its worker is believed to be alive (seconds since 1970)."""
