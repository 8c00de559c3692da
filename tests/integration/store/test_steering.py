"""An operator sets jobs aside, lets them go, gives them up; and what they see of the queue."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidInput, JobUnderWay, NotFound
from gateway.store import Store
from gateway.store.jobs import Enqueue, JobState
from gateway.store.lanes import HoldJob, LaneJobs, LeaseLanes, ReleaseLane, RetryJob
from gateway.store.mailbox import AcceptEnvelope, GetEnvelope
from gateway.store.overview import JobNumbered, JobSeen, JobsSeen, LanesSeen, QueueFilter
from gateway.store.queue import ExpireJobs
from gateway.store.steering import GIVEN_UP, SET_ASIDE, EndSetAside, GiveUp, LetGo, SetAside
from tests.integration.store.values import DAY, NOW, envelope, job, lane

HOUR = 3_600_000


async def add(
    store: Store,
    which: str = "main",
    destination: str = "email",
    *,
    created_at: int = NOW,
    expires_at: int = NOW + DAY,
) -> int:
    new = job("words", lane=lane(which, destination), created_at=created_at, expires_at=expires_at)
    return await store.commit(Enqueue(new))


async def try_in_vain(store: Store, number: int, delay_ms: int = HOUR, now: int = NOW) -> None:
    [lease] = await store.commit(LeaseLanes("w", now, 1000, 1))
    await store.commit_all(RetryJob(lease, number, now, delay_ms, "no answer"), ReleaseLane(lease, now))


async def seen(store: Store, number: int) -> JobSeen:
    found = await store.read(JobNumbered(number))
    assert found is not None
    return found


async def due(store: Store, now: int = NOW) -> list[int]:
    """Ids of the jobs that a worker would be given now."""
    leases = await store.commit(LeaseLanes("w", now, 1000, 10))
    for lease in leases:
        await store.commit(ReleaseLane(lease, now))
    return [lease.first.id for lease in leases if lease.first is not None]


async def test_what_waited_behind_a_failing_job_goes_on_when_that_is_set_aside(store: Store) -> None:
    failing, behind = await add(store), await add(store)
    await try_in_vain(store, failing)
    assert await due(store) == []
    await store.commit(SetAside(failing, NOW))
    assert await due(store) == [behind]
    aside = await seen(store, failing)
    assert (aside.state, aside.reason) == (JobState.HOLD, f"{SET_ASIDE}: no answer")
    with pytest.raises(InvalidInput):
        await store.commit(SetAside(failing, NOW))
    await store.commit(LetGo(failing))
    assert await due(store) == [failing]


async def test_setting_aside_a_job_that_was_not_tried_does_not_hurry_the_lane(store: Store) -> None:
    failing, behind = await add(store), await add(store)
    await try_in_vain(store, failing)
    await store.commit(SetAside(behind, NOW))
    assert await due(store) == []
    assert await due(store, NOW + HOUR) == [failing]


async def test_a_job_that_is_given_up_is_over_at_once_whatever_waits_before_it(store: Store) -> None:
    failing, behind = await add(store), await add(store)
    await try_in_vain(store, failing)
    assert await store.commit(GiveUp(behind, NOW, tell=True)) is True
    given_up = await seen(store, behind)
    assert (given_up.expires_at, given_up.reason, given_up.destination) == (NOW, GIVEN_UP, "email")
    assert await due(store) == [behind]
    # Once more changes nothing.
    assert await store.commit(GiveUp(behind, NOW + 5, tell=True)) is True
    assert await due(store, NOW + 5) == [behind]


async def test_who_was_told_before_is_not_told_again(store: Store) -> None:
    number = await add(store)
    [lease] = await store.commit(LeaseLanes("w", NOW, 1000, 1))
    await store.commit_all(HoldJob(lease, number, NOW, "no such user"), ReleaseLane(lease, NOW))
    assert await store.commit(GiveUp(number, NOW, tell=True)) is False
    assert await store.read(JobNumbered(number)) is None


async def test_a_silent_drop_takes_the_envelope_along(store: Store) -> None:
    waiting = envelope(1)
    await store.commit(AcceptEnvelope(waiting, job(envelope=waiting.id)))
    [found] = await store.read(JobsSeen(QueueFilter(), 10))
    assert await store.commit(GiveUp(found.id, NOW, tell=False, envelope=waiting.id)) is False
    assert await store.read(GetEnvelope(waiting.id)) is None
    assert await store.read(LanesSeen(QueueFilter(), 10)) == []


async def test_what_is_being_tried_is_left_alone_and_what_is_gone_is_said_to_be(store: Store) -> None:
    first, behind = await add(store), await add(store)
    [lease] = await store.commit(LeaseLanes("w", NOW, 1000, 1))
    for op in (SetAside(first, NOW), GiveUp(first, NOW, tell=True), GiveUp(first, NOW, tell=False)):
        with pytest.raises(JobUnderWay):
            await store.commit(op)
    await store.commit(GiveUp(behind, NOW, tell=False))
    assert [each.id for each in await store.read(LaneJobs(lease.lane, 10))] == [first]
    # A lease that ran out is nobody's.
    await store.commit(SetAside(first, NOW + 1000))
    for missing in (SetAside(99, NOW), GiveUp(99, NOW, tell=True), LetGo(99)):
        with pytest.raises(NotFound):
            await store.commit_all(missing)


async def test_time_of_a_job_that_the_operator_held_ends_with_its_sender_told(store: Store) -> None:
    number = await add(store, expires_at=NOW + DAY)
    await store.commit(SetAside(number, NOW))
    assert await store.commit(EndSetAside(NOW, 10)) == 0
    assert await store.commit(EndSetAside(NOW + DAY, 10)) == 1
    assert await store.commit(ExpireJobs(NOW + DAY, 10)) == []
    assert await due(store, NOW + DAY) == [number]


async def test_lanes_are_seen_failing_and_oldest_first(store: Store) -> None:
    young, old = await add(store, "young", created_at=NOW), await add(store, "old", created_at=NOW - HOUR)
    failing = await add(store, "failing", "dm3", created_at=NOW - 1)
    await add(store, "failing", "dm3", created_at=NOW)
    held = await add(store, "old", created_at=NOW)
    await store.commit(SetAside(held, NOW))
    [lease] = [each for each in await store.commit(LeaseLanes("w", NOW, 1, 10)) if each.lane == lane("failing", "dm3")]
    await store.commit(RetryJob(lease, failing, NOW, HOUR, "no answer"))
    lanes = await store.read(LanesSeen(QueueFilter(), 10))
    assert [(each.lane, each.waiting, each.held, each.attempts) for each in lanes] == [
        (lane("failing", "dm3"), 2, 0, 1),
        (lane("old"), 1, 1, 0),
        (lane("young"), 1, 0, 0),
    ]
    assert (lanes[0].due, lanes[0].first, lanes[0].reason) == (NOW + HOUR, failing, "no answer")

    async def found(wanted: QueueFilter) -> list[int]:
        return [each.id for each in await store.read(JobsSeen(wanted, 10))]

    assert await found(QueueFilter(destination="email")) == [young, old, held]
    assert await found(QueueFilter(state=JobState.HOLD)) == [held]
    assert await found(QueueFilter(before=NOW - 1)) == [old]
    assert await found(QueueFilter(lane=lane("young"))) == [young]
