"""The operator's view of the queue."""

from __future__ import annotations

from gateway.store import Store
from gateway.store.lanes import (
    DropJob,
    Enqueue,
    ExpireJobs,
    Finished,
    FinishJob,
    HoldJob,
    JobState,
    LaneJobs,
    LaneLease,
    LeaseLanes,
    QueueCount,
    QueueCounts,
    QueueList,
    ReleaseLane,
    RetryJob,
    ReviveJob,
    SweepLanes,
)
from tests.integration.store.values import NOW, Sql, job, lane


async def lease_one(store: Store, now: int = NOW) -> LaneLease:
    [lease] = await store.commit(LeaseLanes("w", now, 1000, 1))
    return lease


async def hold(store: Store, *, expires_at: int = NOW + 1000, which: str = "main") -> int:
    """Put a job on hold and return its id."""
    number = await store.commit(Enqueue(job("bad", lane=lane(which), expires_at=expires_at)))
    lease = await lease_one(store)
    await store.commit_all(HoldJob(lease, number, NOW, "no such user"), ReleaseLane(lease, NOW))
    return number


async def lanes_in_table(store: Store) -> list[str]:
    return [name for (name,) in await store.read(Sql("SELECT name FROM lanes ORDER BY name"))]


async def test_lists_by_state_in_pages(store: Store) -> None:
    held = await hold(store)
    ready = [await store.commit(Enqueue(job(n))) for n in range(5)]
    assert [queued.id for queued in await store.read(QueueList(JobState.HOLD, 10))] == [held]
    assert [queued.id for queued in await store.read(QueueList(JobState.READY, 3))] == ready[:3]
    assert [queued.id for queued in await store.read(QueueList(JobState.READY, 3, after=ready[2]))] == ready[3:]


async def test_counts_by_destination_and_state(store: Store) -> None:
    assert await store.read(QueueCounts()) == []
    await hold(store)
    for conversation, destination, at in [("a", "email", 5), ("b", "email", 3), ("a", "ds.gw.eth", 7)]:
        await store.commit(Enqueue(job(lane=lane(conversation, destination), created_at=NOW + at)))
    assert await store.read(QueueCounts()) == [
        QueueCount("ds.gw.eth", JobState.READY, 1, NOW + 7),
        QueueCount("email", JobState.HOLD, 1, NOW),
        QueueCount("email", JobState.READY, 2, NOW + 3),
    ]


async def test_a_revived_job_is_due_at_once_and_forgets_its_tries(store: Store) -> None:
    number = await hold(store)
    assert await store.commit(LeaseLanes("w", NOW, 1000, 1)) == []
    assert await store.commit(ReviveJob(number)) is True
    lease = await lease_one(store)
    [queued] = await store.read(LaneJobs(lease.lane, 10))
    assert (queued.id, queued.state, queued.attempts) == (number, JobState.READY, 0)


async def test_reviving_ends_a_back_off(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    await store.commit_all(RetryJob(lease, number, NOW, 3_600_000, "later"), ReleaseLane(lease, NOW))
    assert await store.commit(ReviveJob(number)) is True
    assert len(await store.commit(LeaseLanes("w", NOW, 1000, 1))) == 1


async def test_reviving_does_not_take_a_lane_from_its_holder(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    await store.commit(ReviveJob(number))
    assert await store.commit(LeaseLanes("other", NOW, 1000, 1)) == []
    assert await store.commit(FinishJob(lease, number, NOW)) == Finished(None)


async def test_dropping_the_only_job_idles_its_lane(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    assert await store.commit(DropJob(number)) is True
    assert await store.commit(LeaseLanes("w", NOW, 1000, 1)) == []
    await store.commit(Enqueue(job()))
    assert len(await store.commit(LeaseLanes("w", NOW, 1000, 1))) == 1


async def test_dropping_one_job_leaves_the_others_due(store: Store) -> None:
    first, second = [await store.commit(Enqueue(job(n))) for n in range(2)]
    assert await store.commit(DropJob(first)) is True
    lease = await lease_one(store)
    assert [queued.id for queued in await store.read(LaneJobs(lease.lane, 10))] == [second]


async def test_dropping_keeps_a_back_off(store: Store) -> None:
    first, second = [await store.commit(Enqueue(job(n))) for n in range(2)]
    lease = await lease_one(store)
    await store.commit_all(RetryJob(lease, first, NOW, 5000, "later"), ReleaseLane(lease, NOW))
    await store.commit(DropJob(second))
    assert await store.commit(LeaseLanes("w", NOW + 4999, 1000, 1)) == []
    assert len(await store.commit(LeaseLanes("w", NOW + 5000, 1000, 1))) == 1


async def test_a_held_job_can_be_dropped(store: Store) -> None:
    number = await hold(store)
    assert await store.commit(DropJob(number)) is True
    assert await store.read(QueueList(JobState.HOLD, 10)) == []


async def test_absent_jobs(store: Store) -> None:
    assert await store.commit(ReviveJob(12345)) is False
    assert await store.commit(DropJob(12345)) is False


async def test_only_held_jobs_expire_here(store: Store) -> None:
    held = [await hold(store, expires_at=NOW + n, which=f"h{n}") for n in (3, 1, 2)]
    ready = await store.commit(Enqueue(job(expires_at=NOW + 1)))
    assert await store.commit(ExpireJobs(NOW, 10)) == []
    expired = await store.commit(ExpireJobs(NOW + 2, 10))
    assert [(gone.id, gone.reason) for gone in expired] == [(held[1], "no such user"), (held[2], "no such user")]
    assert [queued.id for queued in await store.read(QueueList(JobState.READY, 10))] == [ready]
    assert [gone.id for gone in await store.commit(ExpireJobs(NOW + 3, 10))] == [held[0]]


async def test_expiry_goes_in_bounded_steps(store: Store) -> None:
    for n in range(5):
        await hold(store, which=f"h{n}")
    assert [len(await store.commit(ExpireJobs(NOW + 5000, 2))) for _ in range(4)] == [2, 2, 1, 0]


async def test_sweeping_removes_only_lanes_without_jobs_and_holder(store: Store) -> None:
    await hold(store, which="held")
    done = await store.commit(Enqueue(job(lane=lane("done"))))
    lease = await lease_one(store)
    await store.commit(FinishJob(lease, done, NOW))
    leased = await store.commit(Enqueue(job(lane=lane("leased"))))
    assert (await lease_one(store)).lane == lane("leased")
    await store.commit(DropJob(leased))
    await store.commit(Enqueue(job(lane=lane("ready"))))
    assert await store.commit(SweepLanes(NOW, 10)) == 1
    assert await lanes_in_table(store) == [lane("held"), lane("leased"), lane("ready")]
    assert await store.commit(SweepLanes(NOW + 1000, 10)) == 1
    assert await lanes_in_table(store) == [lane("held"), lane("ready")]


async def test_sweeping_goes_in_bounded_steps(store: Store) -> None:
    for n in range(5):
        number = await store.commit(Enqueue(job(lane=lane(n))))
        await store.commit(DropJob(number))
    assert [await store.commit(SweepLanes(NOW, 2)) for _ in range(4)] == [2, 2, 1, 0]
