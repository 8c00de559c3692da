"""What is done for one client costs the same however much waits: statements are counted, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.store import Store
from gateway.store.mailbox import (
    AcceptEnvelope,
    Acknowledge,
    AcknowledgeIds,
    CountMailbox,
    DropEnvelope,
    ExpireEnvelopes,
    PickUp,
)
from gateway.store.op import Op
from tests.integration.store.values import ALICE, DAY, NOW, address, encrypted_hash, envelope, message_hash
from tests.support.statements import statements

RECIPIENT = address("bob")
SIZES = (10, 1_000)
"""Envelopes in the mailbox."""


async def fill(store: Store, upto: int) -> None:
    """So many envelopes, of which the first are always the same; one in ten is of a time that is over."""
    present = await store.read(CountMailbox(RECIPIENT))
    ages = ((n, 40 * DAY if n % 10 == 9 else 0) for n in range(present, upto))
    new = (envelope(n, received_at=NOW - age, expires_at=NOW + 30 * DAY - age) for n, age in ages)
    await asyncio.gather(*(store.commit(AcceptEnvelope(each)) for each in new))


def hashes(numbers: range) -> Op[int]:
    """Acknowledged as clients of the reference do, under two senders and by both hashes."""
    pairs = tuple((sender, digest(n)) for sender in (ALICE, "eve.eth") for n in numbers for digest in DIGESTS)
    return Acknowledge(RECIPIENT, pairs)  # type: ignore[arg-type]


DIGESTS = (message_hash, encrypted_hash)


def ids(numbers: range) -> Op[int]:
    return AcknowledgeIds(RECIPIENT, tuple(envelope(n).id for n in numbers))


def repeats(_numbers: range) -> Op[bool]:
    return AcceptEnvelope(envelope(3))


def drops(numbers: range) -> Op[bool]:
    return DropEnvelope(envelope(numbers[0]).id)


def expires(_numbers: range) -> Op[int]:
    return ExpireEnvelopes(NOW, 1)


@pytest.mark.weakness(7)
@pytest.mark.parametrize("work", [hashes, ids, repeats, drops, expires])
async def test_a_write_is_as_many_statements_in_a_full_mailbox_as_in_an_empty_one(
    store: Store, work: Callable[[range], Op[object]]
) -> None:
    counts, results = [], []
    for size, numbers in zip(SIZES, (range(4, 8), range(10, 14)), strict=True):
        await fill(store, size)
        with statements() as seen:
            results.append(await store.commit(work(numbers)))
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert counts[0] <= 12
    assert results[0] == results[1]


@pytest.mark.weakness(7)
async def test_acknowledging_much_at_once_is_a_few_statements(store: Store) -> None:
    """Sets are deleted, not rows: two hundred cost as many statements as one."""
    await fill(store, 1_000)
    counts = []
    for numbers in (range(300, 301), range(400, 500)):
        with statements() as seen:
            await store.commit(hashes(numbers))
        counts.append(len(seen))
    assert counts[1] <= 4 * counts[0]
    assert await store.read(CountMailbox(RECIPIENT)) == 1_000 - 1 - 100


@pytest.mark.weakness(7)
async def test_a_page_is_as_many_statements_in_a_full_mailbox_as_in_an_empty_one(store: Store) -> None:
    counts = []
    for size in SIZES:
        await fill(store, size)
        with statements() as seen:
            assert len(await store.read(PickUp(RECIPIENT, NOW, limit=5))) == 5
        counts.append(len(seen))
    assert counts[0] == counts[1]
