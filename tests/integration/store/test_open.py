"""Opening a store: what is checked before anything is written, and what an operator is told."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from gateway.errors import ConfigError, SchemaMismatch, Unavailable
from gateway.store import Store, migrate, now_ms
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.schema import HISTORY
from tests.integration.store.values import EMAIL, Sql
from tests.support.postgres import PostgresServer, database_of


def modes(folder: Path) -> dict[str, int]:
    """Files of a folder and their permissions."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_the_dialect_is_known(store: Store, store_url: str) -> None:
    assert store_url.startswith(store.dialect)


async def test_the_clock_is_that_of_the_caller(store_url: str) -> None:
    async with await Store.open(store_url, clock=lambda: 42) as store:
        assert store.clock() == 42
    async with await Store.open(store_url) as store:
        assert abs(store.clock() - now_ms()) < 60_000


async def test_a_closed_store_can_be_opened_again(store_url: str) -> None:
    for n in range(3):
        async with await Store.open(store_url) as store:
            await store.commit(PutAlias(EMAIL, str(n), "x"))
    async with await Store.open(store_url) as store:
        assert [await store.read(AliasTarget(EMAIL, str(n))) for n in range(4)] == ["x", "x", "x", None]


async def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="dm3-gateway migrate"):
        await Store.open(f"sqlite:///{tmp_path / 'new.db'}")
    assert modes(tmp_path) == {}


async def test_an_empty_file_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(SchemaMismatch, match="empty"):
        await Store.open(f"sqlite:///{tmp_path / 'empty.db'}")


async def test_an_empty_database_is_not_a_store(postgres_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="empty"):
        await Store.open(postgres_url)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a letter and no database" * 1000)
    with pytest.raises(Unavailable):
        await Store.open(f"sqlite:///{tmp_path / 'text.db'}")


@pytest.mark.parametrize(("found", "advice"), [("9999", "newer"), ("0000", "newer")])
async def test_an_unknown_schema_is_refused_and_left_alone(own_store_url: str, found: str, advice: str) -> None:
    async with await Store.open(own_store_url) as store:
        await store.commit(Sql(f"UPDATE alembic_version SET version_num = '{found}'"))
    with pytest.raises(SchemaMismatch, match=advice):
        await Store.open(own_store_url)
    assert await asyncio.to_thread(migrate.current, own_store_url) == found


async def test_an_older_schema_is_refused(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.store.HISTORY", (*HISTORY, "9999"))
    with pytest.raises(SchemaMismatch, match="needs 9999: run `dm3-gateway migrate`"):
        await Store.open(store_url)


async def test_a_version_table_without_a_version(own_store_url: str) -> None:
    async with await Store.open(own_store_url) as store:
        await store.commit(Sql("DELETE FROM alembic_version"))
    with pytest.raises(SchemaMismatch):
        await Store.open(own_store_url)


@pytest.mark.parametrize("url", ["mysql://h/db", "sqlite:///:memory:"])
async def test_other_databases(url: str) -> None:
    with pytest.raises(ConfigError):
        await Store.open(url)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "/nowhere"])
async def test_a_server_that_does_not_answer(host: str) -> None:
    url = f"postgresql://u:hunter2@{host}/db" if ":" in host else f"postgresql://u:hunter2@/db?host={host}"
    with pytest.raises(Unavailable) as caught:
        await Store.open(url)
    assert "hunter2" not in repr(caught.value)


async def test_a_database_that_is_not_there(postgres_server: PostgresServer) -> None:
    with pytest.raises(Unavailable):
        await Store.open(postgres_server.url("nothing"))


async def test_a_database_of_another_encoding(postgres_server: PostgresServer) -> None:
    postgres_server.sql("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    with pytest.raises(ConfigError, match="UTF8"):
        await Store.open(postgres_server.url("ascii"))
    postgres_server.drop_database("ascii")


async def test_commits_that_do_not_wait_are_refused(postgres_server: PostgresServer, postgres_url: str) -> None:
    postgres_server.sql(f"ALTER DATABASE {database_of(postgres_url)} SET synchronous_commit = off")
    with pytest.raises(ConfigError, match="synchronous_commit"):
        await Store.open(postgres_url)


SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
    "secure_delete": 1,
    "busy_timeout": 5000,
    "fullfsync": 1,
    "checkpoint_fullfsync": 1,
    "cell_size_check": 1,
    "trusted_schema": 0,
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_the_settings_that_promises_rest_on_are_in_force(sqlite_store_url: str, name: str) -> None:
    """Read back on the connections themselves: the write connection inside its transaction, and a reader."""
    written: list[object] = []

    class Pragma(Sql):
        def apply(self, conn: object) -> None:
            written.extend(self.run(conn))  # type: ignore[arg-type]

    async with await Store.open(sqlite_store_url) as store:
        await store.commit(Pragma(f"PRAGMA {name}"))
        assert written == [(SETTINGS[name],)]
        assert await store.read(Sql(f"PRAGMA {name}")) == [(SETTINGS[name],)]


async def test_readers_cannot_write(sqlite_store_url: str) -> None:
    async with await Store.open(sqlite_store_url) as store:
        assert await store.read(Sql("PRAGMA query_only")) == [(1,)]
        with pytest.raises(Unavailable):
            await store.read(Sql("DELETE FROM aliases"))


async def test_writers_take_the_lock_at_once(sqlite_store_url: str) -> None:
    """BEGIN IMMEDIATE: a transaction that reads first must not find at its write that another was faster."""
    look = Sql("SELECT count(*) FROM aliases")
    async with await Store.open(sqlite_store_url) as one, await Store.open(sqlite_store_url) as two:
        stores = one, two
        for n in range(100):
            await asyncio.gather(*(store.commit_all(look, PutAlias(EMAIL, f"{n}-{store}", "x")) for store in stores))
        assert await one.read(look) == [(200,)]


def test_a_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    before = os.umask(0)
    try:
        migrate.upgrade(f"sqlite:///{path}")
    finally:
        os.umask(before)
    assert modes(tmp_path) == {"new.db": 0o600}


async def test_the_log_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    await asyncio.to_thread(migrate.upgrade, url)
    async with await Store.open(url) as store:
        await store.commit(PutAlias(EMAIL, "a", "b"))
        found = modes(tmp_path)
    assert found == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


async def test_closing_leaves_one_file(sqlite_store_url: str, tmp_path: Path) -> None:
    async with await Store.open(sqlite_store_url) as store:
        await store.commit(PutAlias(EMAIL, "a", "b"))
        await store.read(AliasTarget(EMAIL, "a"))
    assert list(modes(tmp_path)) == ["gateway.db"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        migrate.upgrade(f"sqlite:///{tmp_path / 'nowhere' / 'new.db'}")
