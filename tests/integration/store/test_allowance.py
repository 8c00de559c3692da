"""Allowances: bounded however many ask at once, and over restarts."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import LeaseLost, LimitExceeded
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.allowance import Allowance, WithAllowances
from gateway.store.lanes import Enqueue, LaneJobs
from gateway.store.once import ExpireOnce
from tests.integration.store.values import EMAIL, NOW, Refuse, Sql, job, lane

FEW = Allowance("few", 3, 1000)
MANY = Allowance("many", 100, 1000)


async def use(store: Store, *allowances: Allowance, now: int = NOW) -> object:
    return await store.commit(WithAllowances(allowances, now, ()))


async def test_uses_come_back_when_their_time_is_over(store: Store) -> None:
    for n in range(3):
        assert await use(store, FEW, now=NOW + n) == ()
    assert await use(store, FEW, now=NOW + 999) == FEW
    assert await use(store, FEW, now=NOW + 1000) == ()
    assert await use(store, FEW, now=NOW + 1000) == FEW
    assert [await use(store, FEW, now=NOW + 2500) for _ in range(4)] == [(), (), (), FEW]


async def test_scopes_are_apart(store: Store) -> None:
    assert [await use(store, FEW) for _ in range(4)] == [(), (), (), FEW]
    assert await use(store, Allowance("few:2", 3, 1000)) == ()


async def test_results_of_the_operations_come_back_in_order(store: Store) -> None:
    done = await store.commit(WithAllowances((FEW,), NOW, (PutAlias(EMAIL, "a", "x"), Enqueue(job()))))
    assert isinstance(done, tuple)
    assert [queued.id for queued in await store.read(LaneJobs(lane(), 10))] == [done[1]]


async def test_nothing_is_done_and_nothing_used_when_one_allowance_is_used_up(store: Store) -> None:
    for _ in range(3):
        await use(store, FEW)
    refused = await store.commit(WithAllowances((MANY, FEW), NOW, (PutAlias(EMAIL, "a", "x"),)))
    assert refused == FEW
    assert await store.read(AliasTarget(EMAIL, "a")) is None
    assert await store.read(Sql("SELECT count(*) FROM once WHERE scope = 'allowance:many'")) == [(0,)]


async def test_a_use_is_given_back_when_an_operation_fails(store: Store) -> None:
    for _ in range(5):
        with pytest.raises(LeaseLost):
            await store.commit(WithAllowances((FEW,), NOW, (Refuse(LeaseLost("no")),)))
    assert await use(store, FEW) == ()


async def test_places_are_cleared_with_the_other_keys(store: Store) -> None:
    await use(store, FEW)
    assert await store.commit(ExpireOnce(NOW + 999, 10)) == 0
    assert await store.commit(ExpireOnce(NOW + 1000, 10)) == 1


async def test_many_at_a_time_on_two_nodes_get_no_more(store_url: str) -> None:
    async def ask(store: Store) -> object:
        try:
            return await use(store, FEW)
        except LimitExceeded:
            return FEW

    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        results = await asyncio.gather(*(ask((one, two)[n % 2]) for n in range(40)))
        assert results.count(()) == 3
        assert results.count(FEW) == 37
