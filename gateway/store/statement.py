"""Inserts that run for every envelope: made once for each database, on SQLite without SQLAlchemy in between.

SQLAlchemy takes longer to hand a small row to SQLite than SQLite to write it. On PostgreSQL, where a round trip costs
more than either, it puts the rows of a batch into one statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Connection, Insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.store.faults import of_driver


class Statement:
    """An INSERT that is always run with the same columns."""

    def __init__(self, columns: Sequence[str], make: Callable[[str], Insert]) -> None:
        """``make`` builds it for a dialect when it is first used there."""
        self._columns = columns
        self._made = cache(make)

    def run(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
        """Execute it for each row; gives what its RETURNING returns, in no order unless it was asked for one."""
        if not rows:
            return []
        if conn.dialect.name != "sqlite":
            result = conn.execute(self._made(conn.dialect.name), rows)
            return list(result) if result.returns_rows else []
        text, names = self._for_sqlite
        driver: Any = conn.connection.driver_connection
        values = ([row[name] for name in names] for row in rows)
        try:
            if not self._made("sqlite").returning_column_descriptions:
                # One statement object for all rows: a third of the time of one each.
                driver.executemany(text, values)
                return []
            found = [driver.execute(text, each).fetchone() for each in values]
        except sqlite3.Error as error:
            raise of_driver(error, text, conn.dialect) from error
        return [row for row in found if row is not None]

    @cached_property
    def _for_sqlite(self) -> tuple[str, Sequence[str]]:
        """The text, and the columns in the order of its placeholders."""
        compiled = self._made("sqlite").compile(dialect=sqlite.dialect(), column_keys=list(self._columns))
        assert isinstance(compiled, SQLCompiler)
        assert compiled.positiontup is not None
        return str(compiled), compiled.positiontup
