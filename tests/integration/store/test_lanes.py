"""Lanes step by step: leasing, order, back-off, hold, fencing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import LeaseLost
from gateway.ids import LaneKey
from gateway.store import Store
from gateway.store.lanes import (
    DropJob,
    Enqueue,
    ExtendLease,
    Finished,
    FinishJob,
    HoldJob,
    Job,
    JobState,
    LaneJobs,
    LaneLease,
    LeaseLanes,
    QueueList,
    ReleaseLane,
    RetryJob,
    SaveJob,
)
from gateway.store.op import Op
from gateway.store.queue import AddHeld
from tests.integration.store.values import NOW, job, lane
from tests.support.statements import statements

LEASE = 30_000


async def lease_all(store: Store, *, owner: str = "w1", now: int = NOW, limit: int = 100) -> list[LaneLease]:
    return await store.commit(LeaseLanes(owner, now, LEASE, limit))


async def lease_one(store: Store, *, owner: str = "w1", now: int = NOW) -> LaneLease:
    [lease] = await lease_all(store, owner=owner, now=now)
    return lease


async def waiting(store: Store, of: LaneKey = lane()) -> list[Job]:  # noqa: B008 - a constant
    return await store.read(LaneJobs(of, 100))


async def test_a_job_is_returned_unchanged(store: Store) -> None:
    new = job(bytes(range(256)), expires_at=NOW + 5)
    number = await store.commit(Enqueue(new))
    assert await waiting(store) == [
        Job(number, new.lane, "deliver", bytes(range(256)), None, JobState.READY, 0, "", NOW, NOW + 5)
    ]


async def test_ids_rise_in_the_order_of_submission(store: Store) -> None:
    numbers = await asyncio.gather(*(store.commit(Enqueue(job(n, lane=lane(n % 3)))) for n in range(90)))
    assert numbers == sorted(numbers)
    for which in range(3):
        payloads = [int(queued.payload) for queued in await waiting(store, lane(which))]
        assert payloads == list(range(which, 90, 3))


async def test_half_of_what_is_due_is_left_to_others(store: Store) -> None:
    for number in range(30):
        await store.commit(Enqueue(job(number, lane=lane(number))))
    sizes = [len(await store.commit(LeaseLanes(f"w{turn}", NOW, LEASE, 20, own=4))) for turn in range(6)]
    assert sizes == [15, 7, 4, 4, 0, 0]
    assert len(await store.commit(LeaseLanes("late", NOW + LEASE, LEASE, 10, own=4))) == 10, "no more than the limit"


async def test_a_lane_is_leased_to_one_owner(store: Store) -> None:
    await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    assert (lease.lane, lease.owner, lease.lease_until) == (lane(), "w1", NOW + LEASE)
    assert await lease_all(store, owner="w2") == []
    assert await lease_all(store, owner="w1") == []


async def test_nothing_to_lease_without_jobs(store: Store) -> None:
    assert await lease_all(store) == []
    await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    [queued] = await waiting(store)
    await store.commit(FinishJob(lease, queued.id, NOW))
    assert await lease_all(store) == []


async def test_the_longest_waiting_lanes_come_first_up_to_the_limit(store: Store) -> None:
    for n in (3, 1, 2, 0):
        await store.commit(Enqueue(job(lane=lane(n), created_at=NOW + n)))
    assert [lease.lane for lease in await lease_all(store, now=NOW + 10, limit=3)] == [lane(0), lane(1), lane(2)]
    assert [lease.lane for lease in await lease_all(store, now=NOW + 10, limit=3)] == [lane(3)]


async def test_a_lane_is_not_due_before_its_first_job_was_made(store: Store) -> None:
    await store.commit(Enqueue(job(created_at=NOW + 5)))
    assert await lease_all(store, now=NOW + 4) == []
    assert len(await lease_all(store, now=NOW + 5)) == 1


async def test_completion_goes_on_with_the_next_job(store: Store) -> None:
    first, second = [await store.commit(Enqueue(job(n))) for n in range(2)]
    lease = await lease_one(store)
    assert not (await store.commit(FinishJob(lease, first, NOW))).released
    assert [queued.id for queued in await waiting(store)] == [second]
    assert await store.commit(ReleaseLane(lease, NOW)) is True
    assert (await lease_one(store)).token == lease.token + 1


async def test_the_last_job_gives_the_lane_back_and_one_before_it_does_not(store: Store) -> None:
    first, second = [await store.commit(Enqueue(job(n))) for n in range(2)]
    lease = await lease_one(store)
    assert lease.first is not None
    assert lease.first.id == first
    following = await store.commit(FinishJob(lease, first, NOW))
    assert following.next == (await waiting(store))[0]
    assert following.next.id == second
    assert await lease_all(store, owner="w2") == []
    assert await store.commit(FinishJob(lease, second, NOW)) == Finished(None)
    assert await lease_all(store, owner="w2") == []
    with pytest.raises(LeaseLost):
        await store.commit(FinishJob(lease, second, NOW))
    await store.commit(Enqueue(job("new")))
    assert (await lease_one(store, owner="w2")).token == lease.token + 1


async def test_many_lanes_end_together_as_each_would_by_itself(store: Store) -> None:
    numbers = [[await store.commit(Enqueue(job(f"{n}.{m}", lane=lane(n)))) for m in range(3)] for n in range(3)]
    leases = {lease.lane: lease for lease in await lease_all(store)}
    first, second, third = (leases[lane(n)] for n in range(3))
    elsewhere = replace(second, token=second.token + 1)
    results = await asyncio.gather(
        store.commit(FinishJob(first, numbers[0][0], NOW)),
        store.commit(FinishJob(elsewhere, numbers[1][0], NOW)),
        store.commit(FinishJob(third, numbers[2][0], NOW)),
        store.commit(FinishJob(third, numbers[2][1], third.lease_until)),
        store.commit(FinishJob(first, numbers[0][1], NOW)),
        store.commit(FinishJob(first, numbers[0][2], NOW)),
        store.commit(FinishJob(first, numbers[0][2], NOW)),
        return_exceptions=True,
    )
    assert [each.next and each.next.payload if isinstance(each, Finished) else type(each) for each in results] == [
        b"0.1",
        LeaseLost,
        b"2.1",
        LeaseLost,
        b"0.2",
        None,
        LeaseLost,
    ]
    left = [[int(each.payload[2:]) for each in await waiting(store, lane(n))] for n in range(3)]
    assert left == [[], [0, 1, 2], [1, 2]]
    assert [lease.lane for lease in await lease_all(store, owner="w2", now=second.lease_until)] == [lane(1), lane(2)]


async def test_a_job_on_hold_does_not_keep_the_lane(store: Store) -> None:
    held, last = [await store.commit(Enqueue(job(n))) for n in range(2)]
    lease = await lease_one(store)
    await store.commit(HoldJob(lease, held, NOW, "no such user"))
    assert await store.commit(FinishJob(lease, last, NOW)) == Finished(None)


async def test_a_job_that_comes_with_the_end_of_the_last_one_keeps_the_lane(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    _, following = await store.commit_all(Enqueue(job("next")), FinishJob(lease, number, NOW))
    assert following.next.payload == job("next").payload
    assert [queued.payload for queued in await waiting(store)] == [job("next").payload]
    with pytest.raises(LeaseLost):
        await store.commit(FinishJob(replace(lease, token=lease.token + 1), number, NOW))
    with pytest.raises(LeaseLost):
        await store.commit(FinishJob(lease, number, lease.lease_until))


async def test_something_set_aside_leaves_the_lane_alone(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    aside = job("unreadable")
    results = await store.commit_all(AddHeld(aside, "nobody can read it"), FinishJob(lease, number, NOW))
    assert results[-1] == Finished(None)
    (held,) = await store.read(QueueList(JobState.HOLD, 10))
    assert (held.payload, held.reason) == (aside.payload, "nobody can read it")
    assert await lease_all(store) == []


async def test_release_tells_whether_work_is_left(store: Store) -> None:
    first, second = [await store.commit(Enqueue(job(n))) for n in range(2)]
    lease = await lease_one(store)
    assert await store.commit_all(HoldJob(lease, first, NOW, "r"), ReleaseLane(lease, NOW)) == (True, True)
    lease = await lease_one(store)
    assert await store.commit_all(HoldJob(lease, second, NOW, "r"), ReleaseLane(lease, NOW)) == (True, False)


async def test_a_job_that_is_gone_does_not_spoil_the_unit(store: Store) -> None:
    number, last = [await store.commit(Enqueue(job(text))) for text in ("a", "b")]
    lease = await lease_one(store)
    assert await store.commit(DropJob(number)) is True
    [left] = await waiting(store)
    steps: list[Op[Any]] = [
        FinishJob(lease, number, NOW),
        RetryJob(lease, number, NOW, 10, "r"),
        HoldJob(lease, number, NOW, "r"),
        SaveJob(lease, number, b"p"),
    ]
    assert await store.commit_all(*steps) == (Finished(left), False, False, False)
    assert await waiting(store) == [left]
    assert left.payload == b"b"
    assert await store.commit(DropJob(last)) is True
    receipt = Enqueue(job("receipt", lane=lane("receipts")))
    assert (await store.commit_all(receipt, FinishJob(lease, last, NOW)))[-1] == Finished(None)
    assert len(await waiting(store, lane("receipts"))) == 1


async def test_a_lease_does_not_reach_into_other_lanes(store: Store) -> None:
    mine = await store.commit(Enqueue(job(lane=lane("mine"))))
    other = await store.commit(Enqueue(job(lane=lane("other"), created_at=NOW + 1)))
    lease = await lease_one(store)
    assert lease.lane == lane("mine")
    assert await store.commit(FinishJob(lease, other, NOW)) == Finished(lease.first)
    assert await store.commit(RetryJob(lease, other, NOW, 10, "r", payload=b"p")) is False
    assert await store.commit(HoldJob(lease, other, NOW, "r")) is False
    assert await store.commit(SaveJob(lease, other, b"p")) is False
    [untouched] = await waiting(store, lane("other"))
    assert (untouched.attempts, untouched.payload) == (0, b"")
    assert [queued.id for queued in await waiting(store, lane("mine"))] == [mine]


async def test_back_off_moves_the_lane_and_counts(store: Store) -> None:
    number = await store.commit(Enqueue(job("first")))
    lease = await lease_one(store)
    await store.commit_all(RetryJob(lease, number, NOW, 5000, "451 later"), ReleaseLane(lease, NOW))
    [queued] = await waiting(store)
    assert (queued.attempts, queued.reason, queued.payload) == (1, "451 later", b"first")
    assert await lease_all(store, now=NOW + 4999) == []
    again = await lease_one(store, now=NOW + 5000)
    assert await store.commit(RetryJob(again, number, NOW + 5000, 1000, "again", payload=b"sealed")) is True
    [queued] = await waiting(store)
    assert (queued.attempts, queued.reason, queued.payload) == (2, "again", b"sealed")


async def test_a_new_job_does_not_end_a_back_off(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    await store.commit_all(RetryJob(lease, number, NOW, 5000, "r"), ReleaseLane(lease, NOW))
    await store.commit(Enqueue(job(created_at=NOW + 1)))
    assert await lease_all(store, now=NOW + 4999) == []
    assert len(await lease_all(store, now=NOW + 5000)) == 1


async def test_a_new_job_wakes_an_idle_lane(store: Store) -> None:
    number = await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    await store.commit(FinishJob(lease, number, NOW))
    await store.commit(Enqueue(job(created_at=NOW + 7)))
    assert len(await lease_all(store, now=NOW + 7)) == 1


async def test_a_job_that_comes_while_the_lane_is_worked_on_is_found(store: Store) -> None:
    number = await store.commit(Enqueue(job("a")))
    lease = await lease_one(store)
    await store.commit(Enqueue(job("b")))
    finished, work = await store.commit_all(FinishJob(lease, number, NOW), ReleaseLane(lease, NOW))
    assert (finished.next.payload, work) == (b"b", True)
    assert len(await lease_all(store)) == 1


async def test_a_poisoned_job_is_set_aside_and_the_lane_goes_on(store: Store) -> None:
    bad, good = [await store.commit(Enqueue(job(text))) for text in ("bad", "good")]
    lease = await lease_one(store)
    assert await store.commit(HoldJob(lease, bad, NOW, "no such user")) is True
    assert [queued.id for queued in await waiting(store)] == [good]
    [held] = await store.read(QueueList(JobState.HOLD, 10))
    assert (held.id, held.reason, held.attempts) == (bad, "no such user", 1)
    assert await store.commit(FinishJob(lease, good, NOW)) == Finished(None)
    assert await lease_all(store, now=NOW + LEASE) == []


async def test_saving_keeps_place_and_attempts(store: Store) -> None:
    number = await store.commit(Enqueue(job("plain")))
    lease = await lease_one(store)
    assert await store.commit(SaveJob(lease, number, b"sealed")) is True
    [queued] = await waiting(store)
    assert (queued.id, queued.payload, queued.attempts) == (number, b"sealed", 0)


async def test_an_abandoned_lane_is_taken_over_when_the_lease_ends(store: Store) -> None:
    await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    assert await lease_all(store, owner="w2", now=lease.lease_until - 1) == []
    taken = await lease_one(store, owner="w2", now=lease.lease_until)
    assert taken.token == lease.token + 1


async def test_an_extended_lease_lasts_longer(store: Store) -> None:
    await store.commit(Enqueue(job()))
    lease = await lease_one(store)
    extended = await store.commit(ExtendLease(lease, NOW + LEASE - 1, LEASE))
    assert extended == replace(lease, lease_until=NOW + 2 * LEASE - 1)
    assert await lease_all(store, owner="w2", now=NOW + LEASE) == []
    assert len(await lease_all(store, owner="w2", now=extended.lease_until)) == 1


FENCED: dict[str, Callable[[LaneLease, int, int], Op[Any]]] = {
    "finish": FinishJob,
    "retry": lambda lease, number, now: RetryJob(lease, number, now, 10, "r"),
    "hold": lambda lease, number, now: HoldJob(lease, number, now, "r"),
    "extend": lambda lease, number, now: ExtendLease(lease, now, LEASE),
    "release": lambda lease, number, now: ReleaseLane(lease, now),
}


@pytest.mark.parametrize("step", FENCED)
async def test_a_lease_whose_time_is_over_writes_nothing(store: Store, step: str) -> None:
    number = await store.commit(Enqueue(job("a")))
    lease = await lease_one(store)
    with pytest.raises(LeaseLost):
        await store.commit(FENCED[step](lease, number, lease.lease_until))
    [queued] = await waiting(store)
    assert (queued.attempts, queued.state, queued.payload) == (0, JobState.READY, b"a")


@pytest.mark.parametrize("step", [*FENCED, "save"])
@pytest.mark.parametrize("next_owner", ["w2", "w1"])
async def test_a_lease_that_was_taken_over_writes_nothing(store: Store, step: str, next_owner: str) -> None:
    """Also when it was the same owner that got the lane again: its old task must not write beside the new one."""
    number = await store.commit(Enqueue(job("a")))
    old = await lease_one(store)
    new = await lease_one(store, owner=next_owner, now=old.lease_until)
    # The paused owner's clock still says that its lease is good.
    write = SaveJob(old, number, b"x") if step == "save" else FENCED[step](old, number, NOW + 1)
    with pytest.raises(LeaseLost):
        await store.commit(write)
    [queued] = await waiting(store)
    assert (queued.attempts, queued.state, queued.payload) == (0, JobState.READY, b"a")
    assert await store.commit(FinishJob(new, number, old.lease_until)) == Finished(None)


async def test_a_lost_lease_rolls_the_whole_unit_back(store: Store) -> None:
    number = await store.commit(Enqueue(job("a")))
    lease = await lease_one(store)
    receipt = Enqueue(job("receipt", lane=lane("receipts")))
    with pytest.raises(LeaseLost):
        await store.commit_all(receipt, FinishJob(lease, number, lease.lease_until))
    assert await waiting(store, lane("receipts")) == []


async def test_saving_is_safe_while_nobody_took_over(store: Store) -> None:
    number = await store.commit(Enqueue(job("plain")))
    lease = await lease_one(store)
    assert await store.commit(SaveJob(lease, number, b"late")) is True
    assert len(await lease_all(store, owner="w2", now=lease.lease_until)) == 1


async def test_many_completions_in_one_batch(store: Store) -> None:
    for n in range(60):
        await store.commit(Enqueue(job(n, lane=lane(n % 6))))
    leases = {lease.lane: lease for lease in await lease_all(store)}
    queues = [await waiting(store, which) for which in leases]
    jobs = [queued for queue in queues for queued in queue[:5]]
    following = [queued for queue in queues for queued in queue[1:6]]
    done = await asyncio.gather(*(store.commit(FinishJob(leases[j.lane], j.id, NOW)) for j in jobs + jobs[:3]))
    # What is ended once more was not there: the lane still has the same job behind it.
    assert [each.next for each in done] == following + [queues[0][5]] * 3
    assert [len(await waiting(store, which)) for which in sorted(leases)] == [5] * 6


async def test_lanes_are_locked_before_anything_else_of_a_batch(postgres_store_url: str) -> None:
    """Beforehand, or by completions themselves when no other part of the batch touches lanes."""
    async with await Store.open(postgres_store_url) as store:
        for n in range(6):
            await store.commit(Enqueue(job(n, lane=lane(n))))
        done = [FinishJob(lease, lease.first.id, NOW) for lease in await lease_all(store) if lease.first is not None]
        locks = []
        batches: tuple[list[Op[Any]], ...] = ([*done[:3]], [*done[3:], Enqueue(job("more", lane=lane("new")))])
        for ops in batches:
            with statements() as seen:
                await asyncio.gather(*(store.commit(op) for op in ops))
            locks.append(["FOR UPDATE" in each for each in seen])
        assert [(which[0], sum(which)) for which in locks] == [(True, 1), (True, 2)]


async def test_one_lost_lease_among_many_completions_fails_alone(store: Store) -> None:
    numbers = [await store.commit(Enqueue(job(n, lane=lane(n)))) for n in range(8)]
    leases = await lease_all(store)
    await lease_all(store, owner="w2", now=NOW + LEASE)
    stale, rest = leases[0], leases[1:]
    fresh = await store.commit_all(*(Enqueue(job(n, lane=lane(f"new{n}"), created_at=NOW)) for n in range(8)))
    held = {lease.lane: lease for lease in await lease_all(store, owner="w3")}
    done = await asyncio.gather(
        *(store.commit(FinishJob(held[lane(f"new{n}")], fresh[n], NOW)) for n in range(4)),
        store.commit(FinishJob(stale, numbers[0], NOW)),
        *(store.commit(FinishJob(held[lane(f"new{n}")], fresh[n], NOW)) for n in range(4, 8)),
        return_exceptions=True,
    )
    assert [type(result) for result in done] == [Finished] * 4 + [LeaseLost] + [Finished] * 4
    assert len(rest) == 7


async def test_payloads_stay_out_of_representations(store: Store) -> None:
    number = await store.commit(Enqueue(job(b"secret")))
    lease = await lease_one(store)
    [queued] = await waiting(store)
    for value in (queued, SaveJob(lease, number, b"secret"), RetryJob(lease, number, NOW, 1, "r", payload=b"secret")):
        assert "secret" not in repr(value)


# --- jobs that are due later ----------------------------------------------------------------------------------------


async def test_an_idle_lane_wakes_when_its_job_says(store: Store) -> None:
    await store.commit(Enqueue(job(due=NOW + 60)))
    assert await lease_all(store, now=NOW + 59) == []
    assert len(await lease_all(store, now=NOW + 60)) == 1


async def test_a_due_time_before_the_job_was_made_counts(store: Store) -> None:
    await store.commit(Enqueue(job(created_at=NOW + 5, due=NOW)))
    assert len(await lease_all(store, now=NOW)) == 1


async def test_a_later_job_does_not_wake_a_lane_whose_first_job_waits(store: Store) -> None:
    """Jobs are done in their order: an earlier time of the second one would only make the first one early."""
    await store.commit(Enqueue(job("first", due=NOW + 60)))
    await store.commit(Enqueue(job("second", due=NOW + 10)))
    assert await lease_all(store, now=NOW + 59) == []
    lease = await lease_one(store, now=NOW + 60)
    assert [queued.payload for queued in await waiting(store, lease.lane)] == [b"first", b"second"]


async def test_jobs_of_one_batch_are_due_as_if_they_came_one_by_one(store: Store) -> None:
    batch = [Enqueue(job(n, lane=lane(n % 2), due=NOW + due)) for n, due in enumerate((60, 40, 10, 80))]
    await asyncio.gather(*map(store.commit, batch))
    assert await lease_all(store, now=NOW + 39) == []
    assert [lease.lane for lease in await lease_all(store, now=NOW + 40)] == [lane(1)]
    assert [lease.lane for lease in await lease_all(store, now=NOW + 60)] == [lane(0)]


async def test_a_job_that_is_due_later_does_not_put_off_a_lane_with_work(store: Store) -> None:
    await store.commit(Enqueue(job("now")))
    await store.commit(Enqueue(job("later", due=NOW + 60)))
    assert len(await lease_all(store)) == 1


async def test_a_lane_is_never_without_a_due_time_while_it_has_jobs(store: Store) -> None:
    """A job that comes while the lane is leased and empty: due again, at its own time."""
    number = await store.commit(Enqueue(job("a")))
    lease = await lease_one(store)
    await store.commit(HoldJob(lease, number, NOW, "r"))
    await store.commit(Enqueue(job("b", due=NOW + 60)))
    assert await store.commit(ReleaseLane(lease, NOW)) is False
    assert await lease_all(store, now=NOW + 59) == []
    assert len(await lease_all(store, now=NOW + 60)) == 1


async def test_a_retry_of_the_first_job_rules_over_the_due_time_of_the_next(store: Store) -> None:
    number = await store.commit(Enqueue(job("a")))
    await store.commit(Enqueue(job("b", due=NOW + 500)))
    lease = await lease_one(store)
    await store.commit_all(RetryJob(lease, number, NOW, 100, "r"), ReleaseLane(lease, NOW))
    assert await lease_all(store, now=NOW + 99) == []
    assert len(await lease_all(store, now=NOW + 100)) == 1
