"""SQLite's one writer: its connection stays, and a fault costs only what met it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.errors import InvalidInput, Unavailable
from gateway.store import Store
from gateway.store.engine import sqlite_path
from gateway.store.mailbox import AcceptEnvelope, CountMailbox
from tests.integration.store.values import BOB_ADDRESS, envelope


@pytest.fixture
async def store(sqlite_store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """A store that does not wait long for others."""
    monkeypatch.setattr("gateway.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    async with await Store.open(sqlite_store_url) as opened:
        yield opened


@pytest.fixture
def other(sqlite_store_url: str) -> Iterator[sqlite3.Connection]:
    """Another program with the same file open."""
    conn = sqlite3.connect(sqlite_path(sqlite_store_url), isolation_level=None)
    yield conn
    conn.close()


async def waiting(store: Store) -> int:
    return await store.read(CountMailbox(BOB_ADDRESS))


async def test_somebody_else_holds_the_file(store: Store, other: sqlite3.Connection) -> None:
    assert await store.commit(AcceptEnvelope(envelope(1)))
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(Unavailable, match="SQLITE_BUSY"):
            await store.commit(AcceptEnvelope(envelope(2)))
    assert await waiting(store) == 1, "who reads does not wait"
    other.execute("ROLLBACK")
    assert await store.commit(AcceptEnvelope(envelope(2)))
    assert await waiting(store) == 2


async def test_a_refused_unit_leaves_nothing_to_the_next(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.commit_all(AcceptEnvelope(envelope(1)), AcceptEnvelope(envelope(2, expires_at=2**63)))
    assert await store.commit(AcceptEnvelope(envelope(1)))
    assert await waiting(store) == 1


async def test_what_was_written_is_in_the_file_once_the_store_is_closed(
    sqlite_store_url: str, other: sqlite3.Connection
) -> None:
    async with await Store.open(sqlite_store_url) as store:
        await store.commit(AcceptEnvelope(envelope(1)))
    assert other.execute("SELECT count(*) FROM envelopes").fetchone() == (1,)
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0), "nobody else has the log open"
