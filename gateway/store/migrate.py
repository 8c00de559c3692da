"""Bringing a database to another revision of the schema. Alembic is imported only when one of these is called.

The functions block and start an event loop of their own for PostgreSQL: call them from a thread when one is running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Connection, text

from gateway.errors import ConfigError, RestoreUnfinished, SchemaMismatch
from gateway.store.engine import dialect_of, sqlite_path
from gateway.store.faults import reraise
from gateway.store.schema import RESTORING, REVISION
from gateway.store.sqlite import create_file, file_exists, sqlite_engine
from gateway.store.store import stored_revision

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")

MIGRATION_LOCK: Final = 0x646D33
"""Key of the advisory lock under which one node migrates while the others wait."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database of ``url`` up to ``revision``.

    All steps are one transaction. Raises ``SchemaMismatch`` when the revision asked for, or the one the database
    has, is unknown to this program.
    """
    from alembic import command

    run(url, lambda conn: _command(conn, command.upgrade, revision))


def downgrade(url: str, revision: str) -> None:
    """Bring the database of ``url`` down to ``revision`` (``base`` removes every table). Raises as ``upgrade``."""
    from alembic import command

    run(url, lambda conn: _command(conn, command.downgrade, revision))


def bring_to(url: str, revision: str) -> None:
    """Bring the database of ``url`` up or down to ``revision``, whichever way it lies. Raises as ``upgrade``."""
    from alembic import command

    def work(conn: Connection) -> None:
        _command(conn, command.downgrade if _is_below(conn, revision) else command.upgrade, revision)

    run(url, work)


def upgrade_restored(url: str, revision: str) -> None:
    """Bring to the newest revision what a restore put into the database of ``url`` at ``revision``.

    It stays marked as unfinished, for all who look. Raises as ``upgrade``, and ``SchemaMismatch`` for one without mark.
    """
    from alembic import command

    def work(conn: Connection) -> None:
        _put_revision(conn, revision, instead=RESTORING)
        _command(conn, command.upgrade, "head")
        _put_revision(conn, RESTORING, instead=REVISION)

    run(url, work)


def current(url: str) -> str | None:
    """Revision of the database, None when it has none."""
    if dialect_of(url) == "sqlite" and not file_exists(sqlite_path(url)):
        return None
    return run(url, stored_revision)


def run(url: str, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in one transaction of the database of ``url``, alone among those who migrate, without time limit.

    An SQLite file that is missing is made, readable by its owner only. Raises ``Unavailable`` or ``ConfigError``.
    """
    try:
        if dialect_of(url) == "sqlite":
            create_file(sqlite_path(url))
            return _run_sqlite(sqlite_path(url), work)
        return asyncio.run(_run_postgres(url, work))
    except Exception as error:
        reraise(error)


def script_folder() -> Path:
    """Where the revisions are: in an installed package beside this module, else at the root of the repository."""
    here = Path(__file__).resolve().parent
    for folder in (here / "_alembic", here.parents[1] / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigError("the folder of migrations is missing from this installation")


def _command(conn: Connection, step: Callable[[Config, str], None], revision: str) -> None:
    from alembic.util import CommandError

    if stored_revision(conn) == RESTORING:
        raise RestoreUnfinished
    try:
        step(_config(conn), revision)
    except CommandError as error:
        raise SchemaMismatch(str(error)) from error


def _is_below(conn: Connection, revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    stored = stored_revision(conn)
    if stored == RESTORING:
        raise RestoreUnfinished
    if revision == "base" or revision.startswith("-"):
        return True
    if stored is None or revision.startswith(("+", "head")):
        return False
    script = ScriptDirectory.from_config(_config(conn))
    try:
        target = script.get_revision(revision)
        passed = {each.revision for each in script.iterate_revisions(stored, "base")}
    except (CommandError, RevisionError) as error:
        raise SchemaMismatch(str(error)) from error
    return target is not None and target.revision != stored and target.revision in passed


def _put_revision(conn: Connection, revision: str, *, instead: str) -> None:
    """In one statement, so that it cannot hit a database that was put back a moment ago."""
    put = text("UPDATE alembic_version SET version_num = :revision WHERE version_num = :instead")
    if not conn.execute(put, {"revision": revision, "instead": instead}).rowcount:
        raise SchemaMismatch(f"the database is not at {instead}: no restore is at work on it")


def _config(conn: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(script_folder()).replace("%", "%%"))
    config.attributes["connection"] = conn
    return config


def _run_sqlite(path: str, work: Callable[[Connection], T]) -> T:
    engine = sqlite_engine(path, begin="BEGIN IMMEDIATE", connections=1)
    try:
        with engine.begin() as conn:
            return work(conn)
    finally:
        engine.dispose()


async def _run_postgres(url: str, work: Callable[[Connection], T]) -> T:
    from gateway.store.postgres import NO_LIMITS, postgres_engine

    # The limits of a node are for statements that are in a hurry; the index of a large table takes what it takes.
    engine = postgres_engine(url, patient=True)
    try:
        async with engine.begin() as conn:
            await conn.exec_driver_sql(NO_LIMITS)
            await conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            return await conn.run_sync(work)
    finally:
        await engine.dispose()
