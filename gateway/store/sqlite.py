"""SQLite: one thread that owns the write connection, a few readers beside it.

Settings are those under which a power cut was measured to lose nothing that was committed: write-ahead log and
``synchronous=FULL``. Group commit makes the flush per transaction nearly free.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc

from gateway.errors import ConfigError
from gateway.store.engine import Dialect
from gateway.store.faults import Fault, diagnose, of_driver

T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 5.0
"""How long to wait for a writer of another process (a command of the operator beside the service)."""
BUSY_PAUSE_S: Final = 0.02

READERS: Final = 4
WRITER_CACHE: Final = "-16000"
"""KB of pages of the writer. A transaction that does not fit is written to the log twice, some of it."""

SETTINGS: Final = {
    # Of a new file. Envelopes of some KB lie in one page; with larger pages large messages cost less, small ones more.
    "page_size": "8192",
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "fullfsync": "ON",  # macOS: fsync alone does not reach the platter there; no effect elsewhere
    "checkpoint_fullfsync": "ON",
    "foreign_keys": "ON",
    "secure_delete": "ON",  # a shredded salt must not stay in a free page
    # Pages of log, 16 MB, before they are folded into the file: pages of indexes are written again and again.
    "wal_autocheckpoint": "2000",
    "journal_size_limit": str(64 * 1024 * 1024),
    "cell_size_check": "ON",
    "trusted_schema": "OFF",
}


class SqliteEngine:
    """Transactions on one database file. The constructor opens nothing."""

    dialect: Dialect = "sqlite"
    flushers = 1

    def __init__(self, path: str) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._write_engine = sqlite_engine(path, begin="BEGIN IMMEDIATE", connections=1)
        self._writing: Connection | None = None
        self._read_engine = sqlite_engine(path, begin="BEGIN", connections=READERS, read_only=True)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the writer thread inside BEGIN IMMEDIATE ... COMMIT."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._write, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a reader thread on one snapshot."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    def _write(self, work: Callable[[Connection], T]) -> T:
        # The writer keeps its connection: taking one and giving it back takes as long as an insert.
        if self._writing is None:
            self._writing = self._write_engine.connect()
        return _transact(self._writing, work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._read_engine.connect() as conn:
            return _transact(conn, work)

    async def check(self) -> None:
        """Nothing to ask: every connection is set up by us."""

    def listen(self, on_work: Callable[[], None]) -> None:
        """There are no other nodes."""

    def announce(self) -> None:
        """There are no other nodes."""

    async def close(self) -> None:
        """Wait for what is under way, then close the file."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._read_engine.dispose()
        if self._writing is not None:
            self._writing.close()
        # The writer goes last: closing the last connection folds the log into the file, which a reader may not do.
        self._write_engine.dispose()


def sqlite_engine(path: str, *, begin: str, connections: int, read_only: bool = False) -> Engine:
    """An SQLAlchemy engine with our settings on every connection; ``begin`` is the statement that opens transactions.

    The driver is told to leave transactions alone, because its own idea of when to begin one is not IMMEDIATE.
    """
    engine = create_engine(
        "sqlite://",
        creator=partial(sqlite3.connect, path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(dbapi: Any, _record: Any) -> None:
        for name, value in SETTINGS.items():
            _set(dbapi, name, value)
        if read_only:
            dbapi.execute("PRAGMA query_only=ON").fetchall()
        else:
            dbapi.execute(f"PRAGMA cache_size={WRITER_CACHE}").fetchall()

    @event.listens_for(engine, "begin")
    def begin_transaction(conn: Connection) -> None:
        driver: Any = conn.connection.driver_connection
        try:
            driver.execute(begin)
        except sqlite3.Error as error:
            raise of_driver(error, begin, conn.dialect) from error

    return engine


def _set(dbapi: Any, name: str, value: str) -> None:
    """One setting. SQLite itself does not wait for another process that is just changing the mode of the journal."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            dbapi.execute(f"PRAGMA {name}={value}").fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(BUSY_PAUSE_S)


def create_file(path: str) -> None:
    """Make an empty database file that only its owner can read, unless it is there; raises ``ConfigError``.

    SQLite gives its log files the mode of the database file.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise ConfigError(f"store.url: cannot write {path}: {error.strerror}") from error


def file_exists(path: str) -> bool:
    """Whether there is a database file; opening one that is missing would make it."""
    return Path(path).is_file()


def _transact(conn: Connection, work: Callable[[Connection], T]) -> T:
    try:
        with conn.begin():
            return work(conn)
    except Exception as error:
        # After an I/O error or a full disk a new connection is the one state we know.
        if isinstance(error, exc.DBAPIError) and diagnose(error)[0] is Fault.OUTAGE:
            conn.invalidate()
        raise
