"""The centre's store: SQLAlchemy Core over SQLite now; statements that PostgreSQL takes as well."""
