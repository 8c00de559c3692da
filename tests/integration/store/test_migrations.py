"""Migrations: every revision up and down with data, on both databases, and the schema they build."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from gateway.errors import SchemaMismatch, Unavailable
from gateway.store import Store, migrate
from gateway.store.identities import IdentityOf, IssueIdentity
from gateway.store.lanes import Enqueue, LaneJobs
from gateway.store.mailbox import AcceptEnvelope, PickUp
from gateway.store.once import Once
from gateway.store.schema import HISTORY, REVISION, metadata
from tests.integration.store.values import BOB_ADDRESS, EMAIL, NOW, envelope, identity, job, lane

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody migrated, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gateway.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def tables(conn: Connection) -> set[str]:
    return set(inspect(conn).get_table_names())


async def fill(url: str) -> None:
    async with await Store.open(url) as store:
        await store.commit(AcceptEnvelope(envelope(1), job("j")))
        await store.commit(Once("s", "k", NOW, (IssueIdentity(identity("ann")), Enqueue(job("k")))))


def test_up_and_down_and_up_again_with_data(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    for revision in HISTORY:
        migrate.upgrade(empty_url, revision)
        assert migrate.current(empty_url) == revision
    asyncio.run(fill(empty_url))
    for revision in (*reversed(HISTORY[:-1]), "base"):
        migrate.downgrade(empty_url, revision)
        assert migrate.current(empty_url) == (None if revision == "base" else revision)
    assert migrate.run(empty_url, tables) == {"alembic_version"}
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == REVISION
    asyncio.run(fill(empty_url))


def test_upgrading_twice_keeps_the_data(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    asyncio.run(fill(empty_url))
    migrate.upgrade(empty_url)

    async def look() -> None:
        async with await Store.open(empty_url) as store:
            assert len(await store.read(PickUp(BOB_ADDRESS, NOW, 10))) == 1
            assert [queued.payload for queued in await store.read(LaneJobs(lane(), 10))] == [b"j", b"k"]
            assert await store.read(IdentityOf(EMAIL, identity("ann").canonical_id)) is not None

    asyncio.run(look())


def test_the_migrations_build_the_tables_of_the_program(empty_url: str) -> None:
    migrate.upgrade(empty_url)

    def differences(conn: Connection) -> list[Any]:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert migrate.run(empty_url, differences) == []


def test_numbers_are_not_reused_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    migrate.upgrade(url)

    def counted(conn: Connection) -> set[str]:
        rows = conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        return {name for (name,) in rows}

    assert migrate.run(url, counted) == {"envelopes", "jobs", "identities"}


def test_names_are_compared_by_bytes_on_postgresql(postgres_url: str) -> None:
    """Whatever the locale of the cluster: pages of a listing are ranges of bytes."""
    migrate.upgrade(postgres_url)

    def collations(conn: Connection) -> set[tuple[str, str]]:
        rows = conn.exec_driver_sql(
            "SELECT table_name || '.' || column_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'text'"
        )
        return {tuple(row) for row in rows}

    free_text = {
        "message_links.reply_instruction",
        "accounts.profile",
        "accounts.rules",
        "channels.recipient",
        "jobs.reason",
        "identities.display_name",
        "names.coins",
        "names.texts",
        "statuses.reason",
    }
    assert {column for column, collation in migrate.run(postgres_url, collations) if collation != "C"} == free_text


def test_two_nodes_that_start_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(migrate.upgrade, empty_url) for _ in range(4)]:
            done.result()
    assert migrate.current(empty_url) == REVISION


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    create = Operations.create_table

    def fail_late(self: Operations, name: str, *columns: Any, **options: Any) -> Any:
        if name == "tokens":
            raise OSError("the lights went out")
        return create(self, name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_table", fail_late)
        with pytest.raises(Unavailable):
            migrate.upgrade(empty_url)
    assert migrate.run(empty_url, tables) == set()
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == REVISION


def test_a_revision_that_does_not_exist(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch):
        migrate.upgrade(empty_url, "7777")


def test_a_newer_database_is_not_touched(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.run(empty_url, lambda conn: conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == "9999"


def test_the_developers_command(empty_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-x", f"url={empty_url}", "upgrade", "head"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert migrate.current(empty_url) == REVISION


def test_importing_the_store_loads_only_what_sqlite_needs() -> None:
    """Start-up time: alembic, asyncpg and SQLAlchemy's asynchronous side come when they are needed."""
    slow = ("alembic", "asyncpg", "sqlalchemy.ext.asyncio")
    code = f"import sys, gateway.store, gateway.store.migrate; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
