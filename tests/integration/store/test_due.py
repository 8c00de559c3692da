"""Jobs that are not to be done before their time, and how many there are of one destination."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.ids import LaneKey
from gateway.store import Store
from gateway.store.lanes import (
    DropJob,
    Enqueue,
    FinishJob,
    HoldJob,
    LaneJobs,
    LaneLease,
    LeaseLanes,
    ReleaseLane,
    RetryJob,
)
from gateway.store.once import ExpireOnce, Once, OnceUsed
from gateway.store.queue import QueueSize
from tests.integration.store.values import NOW, Sql, job, lane

LEASE = 30_000


async def due_lanes(store: Store, now: int) -> list[LaneLease]:
    return await store.commit(LeaseLanes("w", now, LEASE, 100))


async def due_of(store: Store, of: LaneKey) -> int | None:
    [(due,)] = await store.read(Sql(f"SELECT due FROM lanes WHERE name = '{of}'"))
    return due  # type: ignore[no-any-return]


async def test_a_job_is_not_leased_before_it_is_due(store: Store) -> None:
    await store.commit(Enqueue(replace(job("later"), due_at=NOW + 5000)))
    assert await due_lanes(store, NOW + 4999) == []
    [lease] = await due_lanes(store, NOW + 5000)
    assert lease.lane == lane()


async def test_jobs_with_different_times_do_not_wait_for_each_other(store: Store) -> None:
    for number, wait in enumerate((3000, 1000, 2000)):
        await store.commit(Enqueue(replace(job(lane=lane(number)), due_at=NOW + wait)))
    assert [lease.lane for lease in await due_lanes(store, NOW + 1999)] == [lane(1)]
    assert [lease.lane for lease in await due_lanes(store, NOW + 2999)] == [lane(2)]
    assert [lease.lane for lease in await due_lanes(store, NOW + 3000)] == [lane(0)]


async def test_what_follows_in_the_lane_waits_behind_it(store: Store) -> None:
    first = await store.commit(Enqueue(replace(job("first"), due_at=NOW + 5000)))
    second = await store.commit(Enqueue(job("second")))
    assert await due_lanes(store, NOW + 4999) == []
    [lease] = await due_lanes(store, NOW + 5000)
    assert [each.id for each in await store.read(LaneJobs(lease.lane, 10))] == [first, second]


async def test_the_same_in_one_batch(store: Store) -> None:
    """As if one had been written after the other, whatever their order of time."""
    late, soon = replace(job("late"), due_at=NOW + 5000), job("soon")
    await asyncio.gather(store.commit(Enqueue(late)), store.commit(Enqueue(soon)))
    assert await due_of(store, lane()) == NOW + 5000
    other = lane("other")
    await asyncio.gather(
        store.commit(Enqueue(replace(soon, lane=other))), store.commit(Enqueue(replace(late, lane=other)))
    )
    assert await due_of(store, other) == NOW


async def test_a_later_time_does_not_put_off_a_lane_that_has_work(store: Store) -> None:
    await store.commit(Enqueue(job("now")))
    await store.commit(Enqueue(replace(job("later"), due_at=NOW + 5000)))
    [lease] = await due_lanes(store, NOW)
    assert lease.lane == lane()


async def test_a_lane_in_back_off_stays_there(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    [lease] = await due_lanes(store, NOW)
    await store.commit_all(RetryJob(lease, number, NOW, 60_000, "away"), ReleaseLane(lease, NOW))
    await store.commit(Enqueue(replace(job("more"), due_at=NOW + 1000)))
    assert await due_lanes(store, NOW + 59_999) == []


async def test_due_is_null_exactly_when_no_job_is_ready(store: Store) -> None:
    number = await store.commit(Enqueue(replace(job(), due_at=NOW + 5000)))
    assert await due_of(store, lane()) == NOW + 5000
    assert await store.commit(DropJob(number))
    assert await due_of(store, lane()) is None
    number = await store.commit(Enqueue(replace(job(), due_at=NOW + 6000)))
    [lease] = await due_lanes(store, NOW + 6000)
    await store.commit(FinishJob(lease, number, NOW + 6000))
    assert await due_of(store, lane()) is None


async def test_size_of_one_destination(store: Store) -> None:
    assert await store.read(QueueSize("forward")) == (0, 0)
    for number in range(3):
        await store.commit(Enqueue(job(b"x" * 100, lane=lane(number, "forward"))))
    for neighbour in ("forwar", "forward2", "forwards", "email", "g"):
        await store.commit(Enqueue(job(b"x" * 1000, lane=lane("other", neighbour))))
    assert await store.read(QueueSize("forward")) == (3, 300)


async def test_what_is_on_hold_counts(store: Store) -> None:
    number = await store.commit(Enqueue(job(b"1234", lane=lane("a", "forward"))))
    [lease] = await due_lanes(store, NOW)
    await store.commit_all(HoldJob(lease, number, NOW, "odd"), ReleaseLane(lease, NOW))
    assert await store.read(QueueSize("forward")) == (1, 4)


async def test_whether_a_key_was_used(store: Store) -> None:
    assert not await store.read(OnceUsed("forward", "1"))
    await store.commit(Once("forward", "1", NOW + 1000, ()))
    assert await store.read(OnceUsed("forward", "1"))
    assert not await store.read(OnceUsed("other", "1"))
    assert await store.commit(ExpireOnce(NOW + 1000, 10)) == 1
    assert not await store.read(OnceUsed("forward", "1"))
