"""Housekeeping removes what is over and nothing else, on one node at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import LeaseLost
from gateway.ids import EnsName, EnvelopeId, EthAddress, LaneKey, NativeId, Network
from gateway.operations.housekeeping import (
    FAILURES_LIFE_MS,
    LEASE_MS,
    PERIOD_SECONDS,
    REPORT_TIME_MS,
    SETTLE_SECONDS,
    Housekeeping,
)
from gateway.store import Store
from gateway.store.failed import Failure, FailuresOf, KeepFailed
from gateway.store.jobs import Enqueue, JobState, NewJob
from gateway.store.lanes import HoldJob, LeaseLanes, ReleaseLane
from gateway.store.leases import AcquireLease, UnderLease
from gateway.store.mailbox import AcceptEnvelope, CountMailbox, StoredEnvelope
from gateway.store.once import Once
from gateway.store.queue import QueueList, SweepLanes
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


async def test_messages_that_failed_are_forgotten_after_a_week(store: Store, keeper: Housekeeping) -> None:
    network, sender = Network("paper"), EnsName("bob.paper.gw.eth")
    for number, at in enumerate((NOW - FAILURES_LIFE_MS - 1, NOW - FAILURES_LIFE_MS + 1)):
        failure = Failure(network, sender, EnsName("alice.eth"), NativeId(f"n{number}"), "", at)
        await store.commit(KeepFailed(failure, b"x"))
    assert await keeper.clean() == 1
    assert [each.native_id for each in await store.read(FailuresOf(network, sender, 9))] == ["n1"]


async def put_on_hold(store: Store, lane: str, expires_at: int) -> None:
    await store.commit(Enqueue(NewJob(LaneKey(lane), "work", b"payload", NOW - 1000, expires_at)))
    (lease,) = await store.commit(LeaseLanes("worker", NOW - 500, 10_000, 1))
    (job,) = await store.read(QueueList(JobState.READY, 1))
    await store.commit(HoldJob(lease, job.id, NOW - 400, "hopeless"))
    await store.commit(ReleaseLane(lease, NOW - 300))


async def test_held_jobs_that_are_over_go_and_their_lanes_with_them(store: Store, keeper: Housekeeping) -> None:
    await put_on_hold(store, "paper:over", NOW - 1)
    await put_on_hold(store, "paper:kept", NOW + 1)
    await store.commit(Enqueue(NewJob(LaneKey("paper:ready"), "work", b"late", NOW - 1000, NOW - 1)))
    assert await keeper.clean() == 2, "one job, one lane"
    (kept,) = await store.read(QueueList(JobState.HOLD, 10))
    assert kept.lane == "paper:kept"
    (ready,) = await store.read(QueueList(JobState.READY, 10))
    assert ready.lane == "paper:ready", "its sender is yet to be told, by the worker"
    assert await store.commit(SweepLanes(NOW, 10)) == 0


class Clocks:
    """A wall clock and a monotonic clock in the hands of the test."""

    def __init__(self) -> None:
        self.wall, self.passed = NOW, 500.0

    def go(self, seconds: float) -> None:
        """Time passes."""
        self.wall += int(seconds * 1000)
        self.passed += seconds

    def set(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += int(seconds * 1000)

    def keeper(self, store: Store) -> Housekeeping:
        """A housekeeping that goes by these clocks."""
        return Housekeeping(store=store, owner="node-1", clock=lambda: self.wall, monotonic=lambda: self.passed)


YEAR = 365 * 24 * 3600


@pytest.mark.parametrize("step", [YEAR, -3600])
async def test_nothing_is_removed_after_the_clock_was_set(store: Store, step: int) -> None:
    clocks = Clocks()
    keeper = clocks.keeper(store)
    assert await keeper.clean() == 0
    clocks.go(PERIOD_SECONDS)
    clocks.set(step)
    await store.commit(envelope(1, clocks.wall - REPORT_TIME_MS - 1))
    assert await keeper.clean() == 0
    clocks.go(SETTLE_SECONDS - 1)
    assert await keeper.clean() == 0
    clocks.go(1)
    assert await keeper.clean() == 1, "a time that stays is believed in the end"


async def test_a_clock_that_is_put_right_again_costs_nobody_a_message(store: Store) -> None:
    clocks = Clocks()
    keeper = clocks.keeper(store)
    await store.commit(envelope(1, NOW + 30 * 24 * 3600 * 1000))
    await keeper.clean()
    clocks.set(YEAR)
    for _ in range(5):
        clocks.go(PERIOD_SECONDS)
        await keeper.clean()
    clocks.set(-YEAR)
    for _ in range(20):
        clocks.go(PERIOD_SECONDS)
        await keeper.clean()
    assert await store.read(CountMailbox(BOX)) == 1


async def test_a_clock_that_is_drawn_along_slowly_is_believed(store: Store) -> None:
    clocks = Clocks()
    keeper = clocks.keeper(store)
    await keeper.clean()
    clocks.go(PERIOD_SECONDS)
    clocks.set(30)
    await store.commit(envelope(1, clocks.wall - REPORT_TIME_MS - 1))
    assert await keeper.clean() == 1


async def test_a_node_that_lost_the_lease_removes_nothing_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It slept beyond its lease in the middle of a round, and another node took over."""
    monkeypatch.setattr("gateway.operations.housekeeping.ROWS_AT_ONCE", 1)
    clocks = Clocks()
    keeper = clocks.keeper(store)
    for number in range(3):
        await store.commit(envelope(number, NOW - REPORT_TIME_MS - 1))
    commit, steps = store.commit, 0

    async def sleepy(op: Any) -> Any:
        nonlocal steps
        if isinstance(op, UnderLease):
            steps += 1
            if steps == 2:
                clocks.go(LEASE_MS / 1000 + 1)
                assert await commit(AcquireLease("housekeeping", "node-2", clocks.wall, LEASE_MS)) is not None
        return await commit(op)

    monkeypatch.setattr(store, "commit", sleepy)
    with pytest.raises(LeaseLost):
        await keeper.clean()
    assert await store.read(CountMailbox(BOX)) == 2
    clocks.go(PERIOD_SECONDS)
    assert await keeper.clean() == 0, "the other node still holds it"


async def test_a_long_round_keeps_its_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.operations.housekeeping.ROWS_AT_ONCE", 1)
    clocks = Clocks()
    keeper = clocks.keeper(store)
    for number in range(5):
        await store.commit(envelope(number, NOW - REPORT_TIME_MS - 1))
    commit = store.commit

    async def slow(op: Any) -> Any:
        result = await commit(op)
        if isinstance(op, UnderLease):
            clocks.go(LEASE_MS / 1000 * 0.45)
            assert await commit(AcquireLease("housekeeping", "node-2", clocks.wall, 1)) is None
        return result

    monkeypatch.setattr(store, "commit", slow)
    assert await keeper.clean() == 5
