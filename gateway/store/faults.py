"""What a database error means: the database is away, writers met, the value is refused, or the program is wrong."""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import Final, NoReturn

from sqlalchemy import Dialect, exc

from gateway.errors import GatewayError, InvalidInput, Unavailable


class Fault(Enum):
    """What to do with the units of a transaction that failed."""

    OUTAGE = "outage"
    """The database did not do it, or we cannot know: every unit is answered Unavailable, none is tried again here."""
    CONFLICT = "conflict"
    """Two writers met (deadlock, serialisation); nothing was written and the same unit can succeed at once."""
    OWN = "own"
    """One unit is at fault."""


SQLITE_OUTAGES: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes that tell about the file and not about the statement (sqlite.org/rescode.html)."""

POSTGRES_OUTAGES: Final = ("08", "25006", "28", "3D000", "53", "57P", "58", "XX001", "XX002")
"""SQLSTATE prefixes: connection, read-only standby, log-in, no database, resources, shutdown, system and file."""

POSTGRES_TIMEOUTS: Final = ("55P03", "57014")
"""One statement waited too long for a lock or ran too long; others of its batch may do well without it."""

POSTGRES_CONFLICTS: Final = ("40001", "40P01")
"""Serialisation failure and deadlock."""

POSTGRES_REFUSALS: Final = ("22", "23", "54")
"""Data exceptions, integrity violations, program limits."""


def diagnose(error: Exception) -> tuple[Fault, Exception]:
    """Kind of ``error`` and the error that callers of the store get instead (a ``GatewayError`` where it can be).

    Texts of the database are not passed on: they may quote values of a row.
    """
    if isinstance(error, GatewayError):
        return (Fault.OUTAGE if isinstance(error, Unavailable) else Fault.OWN), error
    if isinstance(error, exc.TimeoutError | OSError | TimeoutError):
        return Fault.OUTAGE, Unavailable(f"database: {type(error).__name__}")
    if isinstance(error, exc.DBAPIError):
        return _diagnose_driver(error)
    if isinstance(error, UnicodeError | OverflowError):
        return Fault.OWN, InvalidInput(f"a value cannot be stored: {type(error).__name__}")
    return Fault.OWN, error


def _diagnose_driver(error: exc.DBAPIError) -> tuple[Fault, Exception]:
    cause = error.orig
    what = type(cause).__name__
    if error.connection_invalidated:
        return Fault.OUTAGE, Unavailable(f"database connection lost: {what}")
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        what = f"{what} {getattr(cause, 'sqlite_errorname', '')}".strip()
        if code in SQLITE_OUTAGES:
            return Fault.OUTAGE, Unavailable(f"database: {what}")
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        what = f"{what} {state}"
        if state.startswith(POSTGRES_CONFLICTS):
            return Fault.CONFLICT, Unavailable(f"database: {what}")
        if state.startswith(POSTGRES_TIMEOUTS):
            return Fault.OWN, Unavailable(f"database: {what}")
        if state.startswith(POSTGRES_OUTAGES):
            return Fault.OUTAGE, Unavailable(f"database: {what}")
    if (
        isinstance(error, exc.IntegrityError | exc.DataError)
        or (state or "").startswith(POSTGRES_REFUSALS)
        # asyncpg refuses a value that it cannot encode with an InterfaceError that is a ValueError as well.
        or isinstance(getattr(cause, "__cause__", None), ValueError)
    ):
        return Fault.OWN, InvalidInput(f"the database refused a value: {what}")
    if isinstance(error, exc.InterfaceError) and not isinstance(cause, sqlite3.Error):
        return Fault.OUTAGE, Unavailable(f"database: {what}")
    internal = GatewayError(f"database: {what}")
    internal.__cause__ = error  # a mistake of ours; its statement helps, and its parameters are hidden
    return Fault.OWN, internal


def of_driver(error: sqlite3.Error, statement: str, dialect: Dialect) -> exc.DBAPIError:
    """What SQLAlchemy would have raised for an error of SQLite's driver that we asked directly; values are hidden."""
    raised = exc.DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect)
    assert isinstance(raised, exc.DBAPIError)
    return raised


def reraise(error: Exception) -> NoReturn:
    """Raise what callers of the store get instead of ``error``, or ``error`` itself when that is it."""
    told = diagnose(error)[1]
    if told is error:
        raise error
    raise told from (told.__cause__ or error)
