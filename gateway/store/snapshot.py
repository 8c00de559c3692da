"""A consistent copy of the database while nodes write to it: a file of SQLite's, or an archive of pg_dump's."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.errors import ConfigError, Unavailable
from gateway.store.engine import dialect_of, sqlite_path
from gateway.store.postgres_programs import list_archive, run_program
from gateway.store.replacement import VERSION_TABLE, our_tables
from gateway.store.sqlite import BUSY_TIMEOUT_S, file_exists
from gateway.store.sqlite_file import count_tables, is_open

PAGES_AT_ONCE: Final = 1024
"""Copied between two calls of ``progress``."""

Progress = Callable[[int, int], None]
"""Told how many pages are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied."""

    revision: str
    counts: Mapping[str, int]
    """Rows of each table, at the very moment of the copy."""


async def take_snapshot(url: str, target: Path, progress: Progress = lambda done, total: None) -> Snapshot:
    """Copy the database of ``url`` into the new file ``target``.

    Raises ConfigError when there is none, or pg_dump is missing or too old for the server; Unavailable when it does not
    answer.
    """
    if dialect_of(url) == "sqlite":
        return await asyncio.to_thread(_copy_sqlite, sqlite_path(url), target, progress)
    async with _held_snapshot(url) as (conn, name):
        tables, schema = await our_tables(conn), await conn.fetchval("SELECT current_schema()")
        # Ours alone: what else is in the database would stand in the way of a restore into the same one.
        ours = [f'--table="{schema}"."{table}"' for table in tables]
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}", f"--file={target}")
        await run_program("pg_dump", url, *options, "--strict-names", *ours)
        counts = {table: await conn.fetchval(_count(table), timeout=3600) for table in tables}
        return Snapshot(await conn.fetchval("SELECT version_num FROM alembic_version"), _ours(counts))


async def restore_archive(url: str, archive: Path, *, marked: bool = False) -> None:
    """Write an archive of pg_dump's into the database of ``url``, all or nothing.

    ``marked``: without its revision, in whose place there is a mark. Raises ConfigError when pg_restore is missing or
    cannot read it, Unavailable when the database does not take it.
    """
    try:
        entries = await asyncio.to_thread(list_archive, archive)
    except Unavailable:
        raise ConfigError("pg_restore cannot read the database in this backup: is it older than the server?") from None
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    if marked:
        chosen = archive.with_name(f"{archive.name}.list")
        kept = [line for line in entries.splitlines() if f" {VERSION_TABLE} " not in line]
        await asyncio.to_thread(chosen.write_text, "\n".join(kept), encoding="utf-8", errors="surrogateescape")
        options.append(f"--use-list={chosen}")
    await run_program("pg_restore", url, *options, str(archive))


def readable_archive(archive: Path) -> bool:
    """Whether pg_restore can list what is in an archive; raises ConfigError when there is no pg_restore."""
    try:
        list_archive(archive)
    except Unavailable:
        return False
    return True


async def nodes_connected(url: str) -> bool:
    """Whether somebody has the database open; a restore must not take it away under a running node."""
    if dialect_of(url) == "sqlite":
        path = sqlite_path(url)
        return file_exists(path) and await asyncio.to_thread(is_open, path)
    from gateway.store.postgres import connect

    conn = await connect(url)
    try:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return bool(await conn.fetchval(f"{others} AND application_name = 'dm3-gateway'"))
    finally:
        await conn.close()


async def tables_of(url: str) -> int | None:
    """How many tables the database has (PostgreSQL: of ours); 0 for one that is empty or not there.

    None for a file that cannot be read. Raises ConfigError for a file that is in use, Unavailable.
    """
    if dialect_of(url) == "sqlite":
        path = sqlite_path(url)
        return await asyncio.to_thread(count_tables, path) if file_exists(path) else 0
    from gateway.store.postgres import connect

    conn = await connect(url)
    try:
        return len(await our_tables(conn))
    finally:
        await conn.close()


def _copy_sqlite(path: str, target: Path, progress: Progress) -> Snapshot:
    if not file_exists(path):
        raise ConfigError(f"store.url: there is no database {path}")
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with (
            closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as source,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            # One reading transaction around all steps: writers go on, and the copy never has to begin anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, left, total: progress(total - left, total))
            source.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            found = copy.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            tables = sorted(name for (name,) in found)
            counts = {table: copy.execute(_count(table)).fetchone()[0] for table in tables}
            (revision,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"the database cannot be copied: {error}") from error
    return Snapshot(revision, _ours(counts))


def _count(table: str) -> str:
    return f'SELECT count(*) FROM "{table}"'  # noqa: S608 - a name from the database's own catalogue


def _ours(counts: Mapping[str, int]) -> dict[str, int]:
    return {table: count for table, count in counts.items() if table != VERSION_TABLE}


@asynccontextmanager
async def _held_snapshot(url: str) -> AsyncIterator[tuple[Any, str]]:
    """A transaction that reads what pg_dump will read under the same name."""
    from gateway.store.postgres import connect

    conn = await connect(url)
    try:
        await conn.execute("SET idle_in_transaction_session_timeout = 0")
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            yield conn, await conn.fetchval("SELECT pg_export_snapshot()")
    finally:
        await conn.close()
