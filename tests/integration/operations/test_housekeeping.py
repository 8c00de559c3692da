"""Housekeeping removes what is over and nothing else, on one node at a time."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ids import EnsName, EnvelopeId, EthAddress
from gateway.operations.housekeeping import REPORT_TIME_MS, Housekeeping
from gateway.store import Store
from gateway.store.leases import AcquireLease
from gateway.store.mailbox import AcceptEnvelope, CountMailbox, StoredEnvelope
from gateway.store.once import Once
from gateway.store.sessions import ConsumeChallenge, IssueChallenge

NOW = 1_727_000_000_000
BOX = EthAddress("0x" + "ab" * 20)


def envelope(number: int, expires_at: int) -> AcceptEnvelope:
    stored = StoredEnvelope(
        id=EnvelopeId(f"{number:064x}"),
        recipient=BOX,
        sender=EnsName("alice.eth"),
        verified=True,
        message_hash=f"0x{number:064x}",
        encrypted_hash=f"0x{number:064x}",
        body=b"{}",
        received_at=NOW - 1000,
        expires_at=expires_at,
    )
    return AcceptEnvelope(stored)


@pytest.fixture
def keeper(store: Store) -> Housekeeping:
    return Housekeeping(store=store, owner="node-1", clock=lambda: NOW)


async def test_only_what_is_over_is_removed(store: Store, keeper: Housekeeping) -> None:
    await store.commit(envelope(1, NOW - REPORT_TIME_MS - 1))
    await store.commit(envelope(2, NOW - 1))
    await store.commit(envelope(3, NOW + 1))
    await store.commit(Once("in:email", "old", NOW - 1, ()))
    await store.commit(Once("in:email", "new", NOW + 1, ()))
    await store.commit(IssueChallenge(b"o" * 32, "alice.eth", "login", NOW - 1))
    await store.commit(IssueChallenge(b"n" * 32, "alice.eth", "login", NOW + 1))
    assert await keeper.clean() > 0
    assert await store.read(CountMailbox(BOX)) == 2
    assert await store.commit(Once("in:email", "old", NOW + 1, ())) == (), "forgotten"
    assert await store.commit(Once("in:email", "new", NOW + 1, ())) is None, "still known"
    assert await store.commit(ConsumeChallenge(b"n" * 32, "alice.eth", "login", NOW)) is True
    assert await keeper.clean() == 0


async def test_another_node_s_lease_is_respected(store: Store, keeper: Housekeeping) -> None:
    await store.commit(envelope(1, NOW - REPORT_TIME_MS - 1))
    await store.commit(AcquireLease("housekeeping", "node-2", NOW, 60_000))
    assert await keeper.clean() == 0
    assert await store.read(CountMailbox(BOX)) == 1


async def test_more_than_one_step_is_done(store: Store, keeper: Housekeeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.operations.housekeeping.ROWS_AT_ONCE", 3)
    await asyncio.gather(*(store.commit(envelope(number, NOW - REPORT_TIME_MS - 1)) for number in range(10)))
    await keeper.clean()
    assert await store.read(CountMailbox(BOX)) == 0
