"""Column types that mean the same on both databases. What they are must not change: released schema steps use them."""

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects import postgresql

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Compared byte by byte on both: times sort as text, and an upgrade of the C library cannot break an index."""

SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only `INTEGER PRIMARY KEY`."""
