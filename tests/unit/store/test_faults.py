"""What database errors mean, case by case."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import exc

from gateway.errors import GatewayError, InvalidInput, LeaseLost, Unavailable
from gateway.store.faults import Fault, diagnose


def sqlite_error(code: int, name: str = "SQLITE_X") -> exc.OperationalError:
    cause = sqlite3.OperationalError("text with a secret")
    cause.sqlite_errorcode = code
    cause.sqlite_errorname = name
    return exc.OperationalError("INSERT secret", {"body": "secret"}, cause)


class DriverError(Exception):
    """Has what SQLAlchemy's wrapper of asyncpg's errors has."""

    def __init__(self, sqlstate: str | None = None) -> None:
        super().__init__("text with a secret")
        self.sqlstate = sqlstate


def postgres_error(
    sqlstate: str | None, kind: type[exc.DBAPIError] = exc.DBAPIError, *, lost: bool = False
) -> exc.DBAPIError:
    return kind("INSERT secret", {"body": "secret"}, DriverError(sqlstate), connection_invalidated=lost)


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error(sqlite3.SQLITE_BUSY),
        sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT),
        sqlite_error(sqlite3.SQLITE_LOCKED),
        sqlite_error(sqlite3.SQLITE_FULL),
        sqlite_error(sqlite3.SQLITE_IOERR_FSYNC),
        sqlite_error(sqlite3.SQLITE_IOERR_WRITE),
        sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED),
        sqlite_error(sqlite3.SQLITE_CANTOPEN),
        sqlite_error(sqlite3.SQLITE_CORRUPT),
        postgres_error("08006"),
        postgres_error("25006"),
        postgres_error("53100"),
        postgres_error("53300"),
        postgres_error("3D000"),
        postgres_error("57P01"),
        postgres_error("58030"),
        postgres_error(None, exc.InterfaceError),
        postgres_error("23505", exc.IntegrityError, lost=True),
        exc.TimeoutError("pool"),
        ConnectionResetError("peer"),
        OSError("disk"),
        TimeoutError(),
        Unavailable("cannot connect"),
    ],
)
def test_the_database_is_away(error: Exception) -> None:
    fault, told = diagnose(error)
    assert fault is Fault.OUTAGE
    assert isinstance(told, Unavailable)


@pytest.mark.parametrize("sqlstate", ["55P03", "57014"])
def test_one_statement_took_too_long(sqlstate: str) -> None:
    fault, told = diagnose(postgres_error(sqlstate))
    assert fault is Fault.OWN
    assert isinstance(told, Unavailable)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_writers_met(sqlstate: str) -> None:
    fault, told = diagnose(postgres_error(sqlstate))
    assert fault is Fault.CONFLICT
    assert isinstance(told, Unavailable)


def unencodable() -> exc.DBAPIError:
    error = postgres_error(None, exc.InterfaceError)
    assert error.orig is not None
    error.orig.__cause__ = ValueError("value out of int64 range")
    return error


@pytest.mark.parametrize(
    "error",
    [
        postgres_error("22021"),
        postgres_error("22P05"),
        postgres_error("23505", exc.IntegrityError),
        postgres_error("54000"),
        exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        exc.DataError("INSERT", {}, sqlite3.DataError("string or blob too big")),
        unencodable(),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
    ],
)
def test_a_value_is_refused(error: Exception) -> None:
    fault, told = diagnose(error)
    assert fault is Fault.OWN
    assert isinstance(told, InvalidInput)


@pytest.mark.parametrize(
    "error", [postgres_error("42P01", exc.ProgrammingError), sqlite_error(sqlite3.SQLITE_ERROR), postgres_error(None)]
)
def test_a_wrong_statement_is_an_internal_error(error: Exception) -> None:
    fault, told = diagnose(error)
    assert fault is Fault.OWN
    assert type(told) is GatewayError


@pytest.mark.parametrize("error", [LeaseLost("lane"), ValueError("bug"), ZeroDivisionError()])
def test_errors_of_operations_are_passed_on(error: Exception) -> None:
    assert diagnose(error) == (Fault.OWN, error)


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error(sqlite3.SQLITE_FULL),
        sqlite_error(sqlite3.SQLITE_ERROR),
        postgres_error("23505", exc.IntegrityError),
        postgres_error("57P01"),
        postgres_error("40001"),
        OSError("secret"),
        UnicodeEncodeError("utf-8", "secret", 0, 1, "surrogates not allowed"),
    ],
)
def test_no_value_leaks_into_what_callers_get(error: Exception) -> None:
    assert "secret" not in str(diagnose(error)[1])
