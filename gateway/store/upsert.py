"""INSERT ... ON CONFLICT, which both databases have but SQLAlchemy spells per dialect."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(conn: Connection, table: Table) -> sqlite.Insert:
    """An insert into ``table`` with ``on_conflict_do_nothing`` and ``on_conflict_do_update`` for this database.

    The two classes share these methods but no base class; the type says SQLite so that callers stay checked.
    """
    if conn.dialect.name == "postgresql":
        return cast("sqlite.Insert", postgresql.insert(table))
    return sqlite.insert(table)
