"""An SQLite file as a whole, whole or damaged: what is in it, who has it open, and how it gets out of the way."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.errors import ConfigError, Unavailable
from gateway.store.sqlite import BUSY_TIMEOUT_S

OPEN_ELSEWHERE: Final = "a node or a command has the database open: stop it first"
BESIDE: Final = ("-wal", "-shm", "-journal")
"""Ends of the names of the files that belong to a database file; one that stays is taken for the next file's."""
MOMENT_S: Final = 0.2

_IN_USE: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_NOT_OF_THE_FILE: Final = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
}
"""Reasons that can be put right without the file being another (sqlite.org/rescode.html)."""
_LOCK_BYTES: Final = (0x40000000, 512)
"""Start and length of the bytes that SQLite locks (sqlite.org/fileformat2.html, the lock-byte page)."""


def count_tables(path: str) -> int | None:
    """How many tables a file has; None when it cannot be read. Raises ConfigError when it is in use, or Unavailable."""
    try:
        return _tables(path, BUSY_TIMEOUT_S)
    except sqlite3.Error as error:
        _raise_unless_damage(error)
        return None


def is_open(path: str) -> bool:
    """Whether somebody else has a file open. Raises ConfigError or Unavailable when that cannot be seen.

    Every connection in WAL mode holds a shared lock for as long as it is open, so an exclusive one is refused.
    """
    try:
        _tables(path, MOMENT_S)  # a damaged file is only looked at: the connection below would fold its log
        with closing(sqlite3.connect(path, timeout=MOMENT_S, isolation_level=None)) as conn:
            conn.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
            conn.execute("BEGIN EXCLUSIVE")
            conn.execute("ROLLBACK")
    except sqlite3.Error as error:
        if _code(error) in _IN_USE:
            return True
        _raise_unless_damage(error)
        return _is_locked(path)
    return False


def fold_log(path: str) -> None:
    """Bring a file that nobody has open into one piece, without log files beside it."""
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        conn.execute("PRAGMA journal_mode=DELETE").fetchall()


def fold_if_whole(path: str) -> None:
    """The same for a file that may be damaged: one that cannot be read is left as it is. Raises as ``count_tables``."""
    try:
        if count_tables(path) is not None:
            fold_log(path)
    except sqlite3.Error as error:
        _raise_unless_damage(error)


def move_with_logs(path: Path, target: Path) -> None:
    """Give a file another name, and the files that belong to it, whichever are there; raises OSError."""
    for end in ("", *BESIDE):
        part = path.with_name(path.name + end)
        if part.exists():
            os.replace(part, target.with_name(target.name + end))


def tells_damage(error: BaseException) -> bool:
    """Whether an error of the store's comes from a file whose content cannot be read."""
    cause: BaseException | None = error
    while cause is not None:
        origin = getattr(cause, "orig", cause)
        if isinstance(origin, sqlite3.Error):
            return _code(origin) not in _IN_USE | _NOT_OF_THE_FILE
        cause = cause.__cause__
    return False


def _tables(path: str, timeout: float) -> int:
    with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=timeout)) as conn:
        return int(conn.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])


def _raise_unless_damage(error: sqlite3.Error) -> None:
    if _code(error) in _IN_USE:
        raise ConfigError(OPEN_ELSEWHERE) from error
    if not tells_damage(error):
        raise Unavailable(f"the database cannot be read: {error}") from error


def _code(error: sqlite3.Error) -> int:
    """Primary result code; 0 for an error of Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_locked(path: str) -> bool:
    """What SQLite does not say of a file that it cannot read: it looks at the content first."""
    start, length = _LOCK_BYTES
    try:
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except BlockingIOError:
        return True
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened: {error.strerror}") from error
    return False
