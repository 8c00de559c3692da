"""Once: a repeated event changes nothing, whoever repeats it and however many at a time."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import InvalidInput, LeaseLost
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.lanes import Enqueue, JobState, LaneJobs, QueueList
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.once import ExpireOnce, Once
from tests.integration.store.values import EMAIL, NOW, Refuse, Sql, envelope, job, lane


def once(key: str, *ops: object, scope: str = "matrix.transaction", expires_at: int = NOW + 1000) -> Once:
    return Once(scope, key, expires_at, ops)  # type: ignore[arg-type]


async def test_results_come_back_in_order(store: Store) -> None:
    results = await store.commit(once("1", PutAlias(EMAIL, "a", "x"), AcceptEnvelope(envelope(1)), Enqueue(job())))
    assert results is not None
    assert results[:2] == (None, True)
    assert [queued.id for queued in await store.read(LaneJobs(lane(), 10))] == [results[2]]


async def test_a_repeat_does_nothing(store: Store) -> None:
    assert await store.commit(once("1", Enqueue(job("a")))) is not None
    assert await store.commit(once("1", Enqueue(job("b")))) is None
    assert [queued.payload for queued in await store.read(LaneJobs(lane(), 10))] == [b"a"]


async def test_keys_are_apart_by_scope(store: Store) -> None:
    assert await store.commit(once("1", scope="matrix.transaction")) == ()
    assert await store.commit(once("1", scope="email.message-id")) == ()
    assert await store.commit(once("1", scope="matrix.transaction")) is None


async def test_when_an_operation_fails_the_key_is_free_again(store: Store) -> None:
    with pytest.raises(LeaseLost):
        await store.commit(once("1", PutAlias(EMAIL, "a", "x"), Refuse(LeaseLost("no"))))
    assert await store.read(AliasTarget(EMAIL, "a")) is None
    assert await store.commit(once("1", PutAlias(EMAIL, "a", "x"))) == (None,)


async def test_fifty_at_a_time_on_two_nodes(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        results = await asyncio.gather(
            *((one, two)[n % 2].commit(once(f"k{n % 5}", Enqueue(job(n)))) for n in range(50))
        )
        assert sum(result is not None for result in results) == 5
        assert len(await one.read(QueueList(JobState.READY, 100))) == 5


async def test_within_a_larger_unit(store: Store) -> None:
    assert await store.commit_all(once("1", Enqueue(job())), PutAlias(EMAIL, "a", "x")) != (None, None)
    repeated = await store.commit_all(once("1", Enqueue(job())), PutAlias(EMAIL, "b", "y"))
    assert repeated == (None, None)
    assert await store.read(AliasTarget(EMAIL, "b")) == "y"


async def test_nested(store: Store) -> None:
    inner = once("inner", Enqueue(job()))
    first = await store.commit(once("outer-1", inner))
    assert first is not None
    assert first[0] is not None
    assert await store.commit(once("outer-2", inner)) == (None,)


async def test_keys_are_forgotten_after_their_time_in_bounded_steps(store: Store) -> None:
    for n in range(5):
        await store.commit(once(str(n), expires_at=NOW + n))
    assert await store.commit(ExpireOnce(NOW + 3, limit=3)) == 3
    assert await store.commit(ExpireOnce(NOW + 3, limit=3)) == 1
    assert await store.commit(ExpireOnce(NOW + 3, limit=3)) == 0
    assert await store.commit(once("0")) == ()
    assert await store.commit(once("4")) is None


async def test_a_key_counts_until_it_is_removed(store: Store) -> None:
    await store.commit(once("1", expires_at=NOW - 1))
    assert await store.commit(once("1")) is None


async def test_a_key_that_the_database_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.commit(once("\ud800"))
    assert await store.read(Sql("SELECT count(*) FROM once")) == [(0,)]
