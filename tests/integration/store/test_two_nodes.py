"""Two nodes on one database doing their house-keeping, and overload: what was accepted stays accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import LeaseLost, LimitExceeded
from gateway.ids import EnvelopeId
from gateway.store import Store
from gateway.store.leases import AcquireLease, Fence, UnderLease
from gateway.store.mailbox import AcceptEnvelope, Acknowledge, CountMailbox, DropEnvelope, ExpireEnvelopes, PickUp
from tests.integration.store.values import ALICE, BOB_ADDRESS, DAY, NOW, Sql, envelope, job, lane, message_hash

TTL = 15_000


@pytest.fixture
async def nodes(store_url: str) -> AsyncIterator[tuple[Store, Store]]:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        yield one, two


async def test_expiry_runs_on_one_node_and_moves_when_that_node_is_gone(nodes: tuple[Store, Store]) -> None:
    for number in range(20):
        await nodes[0].commit(AcceptEnvelope(envelope(number, expires_at=NOW + number)))

    async def expire(node: int, fence: Fence | None, now: int) -> int:
        if fence is None:
            return 0
        [removed] = await nodes[node].commit(UnderLease(fence, now, (ExpireEnvelopes(now, 100),)))
        return int(removed)

    fences = await asyncio.gather(*(nodes[n].commit(AcquireLease("expiry", f"n{n}", NOW, TTL)) for n in range(2)))
    assert sum(fence is not None for fence in fences) == 1
    assert sorted(await asyncio.gather(*(expire(n, fences[n], NOW + 9) for n in range(2)))) == [0, 10]
    [(dead, old)] = [(n, fence) for n, fence in enumerate(fences) if fence is not None]
    later = NOW + TTL
    new = await nodes[1 - dead].commit(AcquireLease("expiry", f"n{1 - dead}", later, TTL))
    with pytest.raises(LeaseLost):
        await expire(dead, old, NOW + 10)
    assert await expire(1 - dead, new, later) == 10


async def test_expiry_beside_traffic_removes_only_what_is_over(nodes: tuple[Store, Store]) -> None:
    """One node takes and acknowledges while the other expires; every envelope ends in exactly one way."""
    short, long = range(60), range(100, 160)
    for number in short:
        await nodes[0].commit(AcceptEnvelope(envelope(number, expires_at=NOW + 1)))
    expired, *taken = await asyncio.gather(
        nodes[1].commit(ExpireEnvelopes(NOW + 1, 1000)),
        *(nodes[0].commit(AcceptEnvelope(envelope(number, expires_at=NOW + DAY))) for number in long),
    )
    assert (expired, taken) == (60, [True] * 60)
    half = tuple((ALICE, message_hash(number)) for number in long[:30])
    acknowledged, again = await asyncio.gather(
        nodes[0].commit(Acknowledge(BOB_ADDRESS, half)), nodes[1].commit(ExpireEnvelopes(NOW + 2, 1000))
    )
    assert (acknowledged, again) == (30, 0)
    assert await nodes[1].read(CountMailbox(BOB_ADDRESS)) == 30


@pytest.mark.weakness(22)
async def test_two_devices_that_acknowledge_the_same_mail(nodes: tuple[Store, Store]) -> None:
    for number in range(50):
        await nodes[0].commit(AcceptEnvelope(envelope(number)))
    pairs = tuple((ALICE, message_hash(number)) for number in range(50))
    removed = await asyncio.gather(
        *(nodes[n % 2].commit(Acknowledge(BOB_ADDRESS, pairs[::step])) for n, step in enumerate((1, -1, 1, -1)))
    )
    assert sum(removed) == 50
    assert await nodes[0].read(CountMailbox(BOB_ADDRESS)) == 0


async def test_a_repeat_that_meets_the_deletion_of_its_original(nodes: tuple[Store, Store]) -> None:
    """Submitted again at the very moment it is delivered and dropped: never a second time in the mailbox."""
    for number in range(40):
        await nodes[0].commit(AcceptEnvelope(envelope(number)))
        repeated, dropped = await asyncio.gather(
            nodes[0].commit(AcceptEnvelope(envelope(number), job())), nodes[1].commit(DropEnvelope(envelope(number).id))
        )
        assert (repeated, dropped) == (False, True)
    assert await nodes[0].read(CountMailbox(BOB_ADDRESS)) == 0
    assert await nodes[0].read(Sql("SELECT count(*) FROM jobs")) == [(0,)]


@pytest.mark.weakness(22)
@pytest.mark.attack(4)
async def test_one_envelope_submitted_to_both_nodes(nodes: tuple[Store, Store]) -> None:
    taken = await asyncio.gather(*(nodes[n % 2].commit(AcceptEnvelope(envelope(n // 2), job(n))) for n in range(100)))
    assert [sum(pair) for pair in zip(taken[::2], taken[1::2], strict=True)] == [1] * 50
    assert len(await nodes[0].read(PickUp(BOB_ADDRESS, NOW, 1000))) == 50
    assert await nodes[0].read(Sql("SELECT count(*) FROM jobs")) == [(50,)]


async def test_overload_is_refused_and_what_was_accepted_stays(store_url: str) -> None:
    async with await Store.open(store_url, queue_limit=50, batch_limit=10) as store:
        sent = [envelope(number) for number in range(400)]
        results = await asyncio.gather(
            *(
                store.commit(AcceptEnvelope(each, job(lane=lane(n % 5), envelope=each.id)))
                for n, each in enumerate(sent)
            ),
            return_exceptions=True,
        )
        refused = [result for result in results if result is not True]
        assert refused
        assert {type(error) for error in refused} == {LimitExceeded}
        accepted = {each.id for each, result in zip(sent, results, strict=True) if result is True}
        assert len(accepted) >= 50
        stored = {EnvelopeId(id_) for (id_,) in await store.read(Sql("SELECT id FROM envelopes"))}
        assert stored == accepted
        assert await store.commit(AcceptEnvelope(envelope("later"))) is True
