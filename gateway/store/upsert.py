"""INSERT ... ON CONFLICT, which both databases have but SQLAlchemy spells per dialect."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite


def insert(conn: Connection, table: Table) -> sqlite.Insert:
    """An insert into ``table`` with ``on_conflict_do_nothing`` and ``on_conflict_do_update`` for this database."""
    return insert_for(conn.dialect.name, table)


def insert_for(dialect: str, table: Table) -> sqlite.Insert:
    """As ``insert``, for statements that are made once per dialect: making one costs more than running it.

    The two classes share these methods but no base class; the type says SQLite so that callers stay checked.
    """
    if dialect == "postgresql":
        # Two megabytes that a node on SQLite has no use for.
        from sqlalchemy.dialects import postgresql

        return cast("sqlite.Insert", postgresql.insert(table))
    return sqlite.insert(table)
