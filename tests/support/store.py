"""Fixtures: a migrated database without rows for each test, on SQLite and on PostgreSQL, and an open store on it.

They are there for every test (tests/conftest.py). Migrating once, and copying or emptying after, keeps a test at some
milliseconds.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.store import Store, migrate
from gateway.store.schema import metadata
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest revision, to be copied."""
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """Name of a database at the newest revision."""
    name = postgres_server.fresh_database()
    migrate.upgrade(postgres_server.url(name))
    return name


@pytest.fixture
def sqlite_store_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of this test's own."""
    path = tmp_path / "gateway.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_store_url(postgres_server: PostgresServer, migrated_postgres: str) -> Iterator[str]:
    """The migrated PostgreSQL database of this run, emptied after the test: much quicker than a new one."""
    yield postgres_server.url(migrated_postgres)
    tables = ", ".join(metadata.tables)
    postgres_server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND pid <> pg_backend_pid(); TRUNCATE {tables} RESTART IDENTITY",
        migrated_postgres,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A migrated database without rows, once of each kind."""
    name = "sqlite_store_url" if request.param == "sqlite" else "postgres_store_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def own_store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database, once of each kind, for a test that changes the database itself."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store_url")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.fresh_database()
    migrate.upgrade(server.url(name))
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store on a database of this test's own, once of each kind."""
    async with await Store.open(store_url) as opened:
        yield opened
