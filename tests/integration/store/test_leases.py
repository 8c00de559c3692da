"""Leases of singletons and their fencing tokens; aliases, which must not change hands either."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import InvalidInput, LeaseLost
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.lanes import Enqueue, LaneJobs
from gateway.store.leases import AcquireLease, Fence, ReleaseLease, RenewLease, UnderLease
from tests.integration.store.values import EMAIL, MATRIX, NOW, job, lane

TTL = 15_000


async def acquire(store: Store, owner: str = "n1", *, now: int = NOW, name: str = "xmpp:example.org") -> Fence | None:
    return await store.commit(AcquireLease(name, owner, now, TTL))


async def held(store: Store, owner: str = "n1", *, now: int = NOW) -> Fence:
    fence = await acquire(store, owner, now=now)
    assert fence is not None
    return fence


async def test_one_holder_at_a_time(store: Store) -> None:
    assert await acquire(store) == Fence("xmpp:example.org", "n1", 1, NOW + TTL)
    assert await acquire(store, "n2", now=NOW + TTL - 1) is None
    assert await acquire(store, "n2", name="expiry") == Fence("expiry", "n2", 1, NOW + TTL)


async def test_take_over_when_time_is_over_raises_the_token(store: Store) -> None:
    first = await held(store)
    second = await held(store, "n2", now=NOW + TTL)
    assert (second.owner, second.token) == ("n2", first.token + 1)
    assert await acquire(store, "n1", now=NOW + TTL) is None


async def test_forty_candidates_on_two_nodes(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        for round_ in range(3):
            now = NOW + round_ * TTL
            fences = await asyncio.gather(*(acquire((one, two)[n % 2], f"n{n}", now=now) for n in range(40)))
            [winner] = [fence for fence in fences if fence is not None]
            assert winner.token == round_ + 1


async def test_the_same_owner_gets_it_again_after_a_restart(store: Store) -> None:
    first = await held(store)
    second = await held(store, now=NOW + 1)
    assert (second.token, second.until) == (first.token + 1, NOW + 1 + TTL)
    with pytest.raises(LeaseLost):
        await store.commit(RenewLease(first, NOW + 2, TTL))


async def test_renewing(store: Store) -> None:
    fence = await held(store)
    renewed = await store.commit(RenewLease(fence, NOW + TTL - 1, TTL))
    assert renewed == replace(fence, until=NOW + 2 * TTL - 1)
    assert await acquire(store, "n2", now=NOW + TTL) is None


@pytest.mark.parametrize("case", ["over", "taken", "released", "never"])
async def test_renewing_what_is_lost(store: Store, case: str) -> None:
    fence = await held(store)
    now = NOW + 1
    if case == "over":
        now = fence.until
    elif case == "taken":
        await held(store, "n2", now=fence.until)
    elif case == "released":
        await store.commit(ReleaseLease(fence))
    else:
        fence = replace(fence, name="other")
    with pytest.raises(LeaseLost):
        await store.commit(RenewLease(fence, now, TTL))


async def test_release_frees_at_once_and_the_token_goes_on_rising(store: Store) -> None:
    fence = await held(store)
    assert await store.commit(ReleaseLease(fence)) is True
    assert await store.commit(ReleaseLease(replace(fence, token=99))) is False
    assert (await held(store, "n2")).token == fence.token + 1
    assert await store.commit(ReleaseLease(fence)) is False
    assert await acquire(store, "n1") is None


async def test_writes_under_a_lease(store: Store) -> None:
    fence = await held(store)
    number, nothing = await store.commit(UnderLease(fence, NOW, (Enqueue(job()), PutAlias(EMAIL, "a", "b"))))
    assert ([queued.id for queued in await store.read(LaneJobs(lane(), 10))], nothing) == ([number], None)


async def test_a_paused_holder_writes_nothing(store: Store) -> None:
    fence = await held(store)
    await held(store, "n2", now=fence.until)
    with pytest.raises(LeaseLost):
        await store.commit(UnderLease(fence, NOW + 1, (Enqueue(job()),)))
    assert await store.read(LaneJobs(lane(), 10)) == []


async def test_an_alias_stands_for_one_name(store: Store) -> None:
    assert await store.read(AliasTarget(EMAIL, "a-1")) is None
    await store.commit(PutAlias(EMAIL, "a-1", "long.eth"))
    await store.commit(PutAlias(EMAIL, "a-1", "long.eth"))
    await store.commit(PutAlias(MATRIX, "a-1", "other.eth"))
    with pytest.raises(InvalidInput, match="another name"):
        await store.commit(PutAlias(EMAIL, "a-1", "evil.eth"))
    assert await store.read(AliasTarget(EMAIL, "a-1")) == "long.eth"
    assert await store.read(AliasTarget(MATRIX, "a-1")) == "other.eth"
