"""Once: a repeated event changes nothing, whoever repeats it and however many at a time."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import InvalidInput, LeaseLost, MailboxFull
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.lanes import Enqueue, JobState, LaneJobs, QueueList
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.once import ExpireOnce, Once
from gateway.store.usage import Quota, Usage
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


async def test_many_at_a_time_are_in_order_and_each_once(store: Store) -> None:
    """They share a transaction: units with further operations stand between those that only queue a job."""
    keys = ["1", "2", "1", "3", "2", "4"]
    results = await asyncio.gather(
        *(
            store.commit(once(key, *([PutAlias(EMAIL, key, key)] if key == "3" else []), Enqueue(job(str(number)))))
            for number, key in enumerate(keys)
        )
    )
    assert [result is not None for result in results] == [True, True, False, True, False, True]
    queued = await store.read(LaneJobs(lane(), 10))
    assert [each.payload for each in queued] == [b"0", b"1", b"3", b"5"]
    assert [result[-1] for result in results if result is not None] == [each.id for each in queued]
    assert await store.read(AliasTarget(EMAIL, "3")) == "3"


async def test_one_that_is_refused_costs_its_neighbours_nothing(store: Store) -> None:
    refused = once("2", Enqueue(job("b")), Refuse(LeaseLost("no")))
    results = await asyncio.gather(
        store.commit(once("1", Enqueue(job("a")))),
        store.commit(refused),
        store.commit(once("3", Enqueue(job("c")))),
        return_exceptions=True,
    )
    assert [isinstance(result, LeaseLost) for result in results] == [False, True, False]
    assert [queued.payload for queued in await store.read(LaneJobs(lane(), 10))] == [b"a", b"c"]
    assert await store.commit(once("2")) == ()


async def test_a_refusal_in_the_place_of_a_result_is_one(store: Store) -> None:
    sent = AcceptEnvelope(envelope(1), quota=Quota(Usage(0, 0), Usage(0, 0)))
    with pytest.raises(MailboxFull):
        await store.commit(once("1", sent))
    assert await store.commit(once("1")) == ()


async def test_keys_of_two_scopes_at_a_time(store: Store) -> None:
    results = await asyncio.gather(*(store.commit(once("1", scope=scope)) for scope in ("a", "b", "a")))
    assert results == [(), (), None]
