"""What only PostgreSQL has: nodes that wake each other, connections that go away, conflicts of several writers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg  # type: ignore[import-untyped]
import pytest
from structlog.testing import capture_logs

from gateway.errors import Unavailable
from gateway.store import Store, migrate
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.lanes import Enqueue, ReviveJob
from gateway.store.once import Once
from gateway.store.postgres import connect
from tests.integration.store.values import EMAIL, NOW, Sql, job, lane
from tests.support.postgres import PostgresServer, database_of

DEADLINE_S = 60


@pytest.fixture
async def pair(postgres_store_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two nodes on one database."""
    async with await Store.open(postgres_store_url) as one, await Store.open(postgres_store_url) as two:
        yield one, two


async def quiet(store: Store) -> None:
    """Wait until nothing is announced any more, the first look after connecting included."""
    async with asyncio.timeout(DEADLINE_S):
        while await listeners(store) < 2:
            await store.wait_for_work(0.01)
        while await store.wait_for_work(0.2):
            pass


async def listeners(store: Store) -> int:
    [(count,)] = await store.read(
        Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
    )
    [(notifying,)] = await store.read(
        Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'NOTIFY%'")
    )
    return int(count + notifying)


async def woken(store: Store) -> bool:
    """Whether the store hears of work before the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not await store.wait_for_work(1):
                pass
    except TimeoutError:
        return False
    return True


async def test_a_node_hears_of_the_jobs_of_another(pair: tuple[Store, Store]) -> None:
    one, two = pair
    await quiet(two)
    await one.commit(Enqueue(job()))
    assert await woken(two)


async def test_what_makes_no_work_is_not_announced(pair: tuple[Store, Store]) -> None:
    one, two = pair
    await quiet(two)
    await one.commit(PutAlias(EMAIL, "a", "b"))
    await one.commit(ReviveJob(12345))
    assert await two.wait_for_work(0.3) is False


async def test_a_node_does_not_wake_itself_twice(pair: tuple[Store, Store]) -> None:
    one, _ = pair
    await quiet(one)
    await one.commit(Enqueue(job()))
    assert await one.wait_for_work(1) is True
    assert await one.wait_for_work(0.3) is False


async def test_listening_goes_on_after_the_connection_was_cut(pair: tuple[Store, Store]) -> None:
    one, two = pair
    await quiet(two)
    with capture_logs() as logs:
        await one.read(
            Sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query LIKE 'NOTIFY%')"
            )
        )
        # Reconnecting is itself a reason to look.
        assert await woken(two)
        await quiet(two)
    assert "store.announcer_lost" in [entry["event"] for entry in logs]
    await one.commit(Enqueue(job()))
    assert await woken(two)


async def test_a_connection_cut_in_the_middle_of_a_batch(pair: tuple[Store, Store]) -> None:
    """Every unit of that batch is told that nobody knows; nothing of it is there; the next batch goes through."""
    store, other = pair
    cut = Sql("SELECT pg_terminate_backend(pg_backend_pid())")
    results = await asyncio.gather(
        *(store.commit(PutAlias(EMAIL, str(n), "x")) for n in range(5)), store.commit(cut), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable] * 6
    assert [await other.read(AliasTarget(EMAIL, str(n))) for n in range(5)] == [None] * 5
    await store.commit(PutAlias(EMAIL, "after", "x"))
    assert await other.read(AliasTarget(EMAIL, "after")) == "x"


async def test_pooled_connections_that_died_are_replaced(pair: tuple[Store, Store]) -> None:
    store, other = pair
    await asyncio.gather(*(store.read(AliasTarget(EMAIL, "x")) for _ in range(20)))
    await other.read(
        Sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )
    assert await asyncio.gather(*(store.read(AliasTarget(EMAIL, "x")) for _ in range(20))) == [None] * 20


async def test_a_standby_that_cannot_write_is_unavailable(postgres_server: PostgresServer, postgres_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, postgres_url)
    postgres_server.sql(f"ALTER DATABASE {database_of(postgres_url)} SET default_transaction_read_only = on")
    async with await Store.open(postgres_url) as store:
        with pytest.raises(Unavailable):
            await store.commit(PutAlias(EMAIL, "a", "b"))
        assert await store.read(AliasTarget(EMAIL, "a")) is None


async def test_units_that_meet_in_opposite_orders_all_succeed(pair: tuple[Store, Store]) -> None:
    """A deadlock, made for sure: each waits for what the other holds. The loser is tried again."""
    keys = [Once("s", f"k{n}", NOW, ()) for n in range(2)]
    pause = Sql("SELECT pg_sleep(0.2)")
    one, two = await asyncio.gather(
        pair[0].commit_all(keys[0], pause, keys[1]), pair[1].commit_all(keys[1], pause, keys[0])
    )
    assert sorted([one[0::2], two[0::2]], key=str) == [((), ()), (None, None)]


async def test_a_lane_that_is_locked_delays_only_those_who_need_it(pair: tuple[Store, Store]) -> None:
    one, two = pair
    await one.commit(Enqueue(job(lane=lane("busy"))))
    holding = asyncio.create_task(one.commit_all(Enqueue(job(lane=lane("busy"))), Sql("SELECT pg_sleep(0.5)")))
    async with asyncio.timeout(DEADLINE_S):
        while await two.read(Sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.5)%'")) < [(2,)]:
            await two.wait_for_work(0.01)
        waiting = asyncio.create_task(two.commit(Enqueue(job(lane=lane("busy")))))
        await two.commit(PutAlias(EMAIL, "free", "x"))
        await asyncio.gather(holding, waiting)
    assert await two.read(Sql(f"SELECT count(*) FROM jobs WHERE lane = '{lane('busy')}'")) == [(3,)]


async def test_what_a_frozen_node_waits_for_it_does_not_get(postgres_url: str) -> None:
    """Or its transactions would hold what they got one after the other, each until the server ends it."""
    lock, ended = "SELECT pg_advisory_xact_lock(1)", asyncio.Event()
    holder, waiter = await connect(postgres_url), await connect(postgres_url)
    try:
        holder.add_termination_listener(lambda _conn: ended.set())
        for each in (holder, waiter):
            await each.execute("BEGIN")
        await holder.execute(lock)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await waiter.execute(lock)
        assert not ended.is_set(), "those who wait give up first"
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
    finally:
        for each in (holder, waiter):
            await each.close(timeout=1)
