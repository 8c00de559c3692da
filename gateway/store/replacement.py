"""How a restore takes a PostgreSQL database's place: what was there is kept until the new one is fit to be opened.

The tables that are replaced wait in a schema of their own. Meanwhile the mark ``RESTORING`` stands where the revision
does, so that nobody opens what is not done; it goes in the transaction that drops what was replaced. Whenever the
process ends, the database is either of the two, or unfinished, and then the next restore learns from what waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final
from urllib.parse import quote

from gateway.errors import ConfigError, GatewayError, Unavailable
from gateway.store.schema import RESTORING, REVISION, metadata

VERSION_TABLE: Final = "alembic_version"
OURS: Final = (*metadata.tables, VERSION_TABLE)
"""Every table that is the gateway's; others in the same schema are somebody else's."""
RESTORE_LOCK: Final = 0x646D34
"""Key of the advisory lock that a restore holds all the while."""
CLOSE_S: Final = 5.0


@asynccontextmanager
async def replacement(url: str) -> AsyncIterator[None]:
    """Within it the database of ``url`` has none of our tables but the mark; what was there comes back if it raises.

    Raises ConfigError when another restore is under way, or the role may not make a schema; Unavailable when the
    database does not answer, or what was there could not be put back: then it still waits beside.
    """
    async with _connection(url) as holder:
        with _named():
            if not await holder.fetchval("SELECT pg_try_advisory_lock($1)", RESTORE_LOCK):
                raise ConfigError("another restore of this database is under way")
        try:
            with _named():
                await _put_aside(holder)
            yield
        except BaseException:
            await _put_back_or_say(url)
            raise
        try:
            await _finish(url)
        except BaseException as error:
            if await _put_back_or_say(url) or not isinstance(error, Unavailable):
                raise
            # The mark is gone: it was committed, and only the answer got lost.


async def replaced_url(url: str) -> str | None:
    """Where to read what a restore into ``url`` replaces: there, or beside it when an earlier one was not finished.

    None when that one replaced nothing. Raises Unavailable.
    """
    with _named():
        return await _replaced_url(url)


async def our_tables(conn: Any) -> list[str]:
    """Those of our tables that are in the current schema of an asyncpg connection."""
    return await _tables_in(conn, await conn.fetchval("SELECT current_schema()"))


async def _replaced_url(url: str) -> str | None:
    async with _connection(url) as conn:
        if not await _is_unfinished(conn):
            return url
        aside = await _aside(conn)
        if not await _has_schema(conn, aside):
            return None
    # asyncpg hands what it does not know to the server as a setting.
    return f"{url}{'&' if '?' in url else '?'}search_path={quote(_quoted(aside))}"


async def _put_aside(conn: Any) -> None:
    """Moving is a matter of names; no row is touched."""
    async with conn.transaction():
        schema, aside, tables = (
            await conn.fetchval("SELECT current_schema()"),
            await _aside(conn),
            await our_tables(conn),
        )
        if await _is_unfinished(conn):
            await _drop(conn, schema, tables)
        elif tables:
            if await _has_schema(conn, aside):
                raise ConfigError(f"the database has a schema {aside}, which a restore needs: rename it")
            await conn.execute(f"CREATE SCHEMA {_quoted(aside)}")
            await _move(conn, tables, schema, aside)
        await conn.execute(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
            f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
        await conn.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('{RESTORING}')")  # noqa: S608 - names of ours


async def _finish(url: str) -> None:
    async with _unlimited(url) as conn:
        await conn.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{REVISION}'")  # noqa: S608 - names of ours
        # CASCADE for views of somebody's over our tables, which would keep them.
        await conn.execute(f"DROP SCHEMA IF EXISTS {_quoted(await _aside(conn))} CASCADE")


async def _put_back_or_say(url: str) -> bool:
    try:
        return await _put_back(url)
    except GatewayError as error:
        raise Unavailable(
            f"the restore failed, and what it replaced could not be put back ({error.detail}). It waits beside: run"
            " `dm3-gateway restore --replace` again, or put it back as deploy/README.md says (Restore)"
        ) from error


async def _put_back(url: str) -> bool:
    """Undo ``_put_aside``; False when the restore was finished."""
    async with _unlimited(url) as conn:
        if not await _is_unfinished(conn):
            return False
        schema, aside = await conn.fetchval("SELECT current_schema()"), await _aside(conn)
        await _drop(conn, schema, await our_tables(conn))
        if await _has_schema(conn, aside):
            await _move(conn, await _tables_in(conn, aside), aside, schema)
            await conn.execute(f"DROP SCHEMA {_quoted(aside)}")
        return True


async def _is_unfinished(conn: Any) -> bool:
    if await conn.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
        return False
    return bool(await conn.fetchval(f"SELECT version_num FROM {VERSION_TABLE}") == RESTORING)  # noqa: S608 - ours


async def _aside(conn: Any) -> str:
    return f"{await conn.fetchval('SELECT current_schema()')}_replaced"


async def _has_schema(conn: Any, name: str) -> bool:
    return bool(await conn.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", name))


async def _tables_in(conn: Any, schema: str) -> list[str]:
    rows = await conn.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename = ANY($2) ORDER BY 1", schema, list(OURS)
    )
    return [row[0] for row in rows]


async def _move(conn: Any, tables: list[str], source: str, target: str) -> None:
    """With their indexes and the sequences of their columns."""
    for table in tables:
        await conn.execute(f"ALTER TABLE {_quoted(source)}.{_quoted(table)} SET SCHEMA {_quoted(target)}")


async def _drop(conn: Any, schema: str, tables: list[str]) -> None:
    if tables:
        await conn.execute(f"DROP TABLE {', '.join(f'{_quoted(schema)}.{_quoted(each)}' for each in tables)} CASCADE")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@asynccontextmanager
async def _unlimited(url: str) -> AsyncIterator[Any]:
    """One transaction that waits as long as it takes: a program that was ended may still hold what it made."""
    from gateway.store.postgres import NO_LIMITS

    with _named():
        async with _connection(url) as conn, conn.transaction():
            await conn.execute(NO_LIMITS)
            yield conn


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Any]:
    from gateway.store.postgres import connect

    conn = await connect(url, patient=True)
    try:
        yield conn
    finally:
        with suppress(Exception):  # it may be lost already, and what it was for is told by another error
            await conn.close(timeout=CLOSE_S)


@contextmanager
def _named() -> Iterator[None]:
    import asyncpg  # type: ignore[import-untyped]

    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(
            f"PostgreSQL: {error}: the gateway's role needs CREATE on its database, and to own its tables"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise Unavailable(f"database: {type(error).__name__} {getattr(error, 'sqlstate', '') or ''}".strip()) from error
