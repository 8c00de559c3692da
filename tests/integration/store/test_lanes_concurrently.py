"""Lanes under load: many submitters, several workers some of which vanish; nothing lost, stranded or out of order."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from gateway.errors import LeaseLost
from gateway.ids import LaneKey
from gateway.store import Store, now_ms
from gateway.store.lanes import (
    Enqueue,
    ExtendLease,
    Finished,
    FinishJob,
    Job,
    JobState,
    LaneJobs,
    LaneLease,
    LeaseLanes,
    QueueList,
    ReleaseLane,
    RetryJob,
    SweepLanes,
)
from tests.integration.store.values import DAY, job, lane

LANES = 12
DEADLINE_S = 60


@dataclass(frozen=True)
class Trouble:
    """What goes wrong: shares of deliveries after which the worker vanishes, and that fail for now."""

    lease_ms: int
    vanish: float
    fail: float


class Sink:
    """What was delivered, per lane, in the order of delivery; repeats included."""

    def __init__(self, expected: int) -> None:
        self.delivered: dict[LaneKey, list[int]] = defaultdict(list)
        self.missing = expected
        self.full = asyncio.Event()

    def deliver(self, which: LaneKey, number: int) -> None:
        if number not in self.delivered[which]:
            self.missing -= 1
        self.delivered[which].append(number)
        if self.missing == 0:
            self.full.set()


class Worker:
    """Leases lanes and delivers their jobs; with ``vanish`` it now and then drops a lane in the middle of its work."""

    def __init__(self, name: str, store: Store, sink: Sink, trouble: Trouble) -> None:
        self.name = name
        self.store = store
        self.sink = sink
        self.trouble = trouble
        self.random = random.Random(name)
        self.interrupted = 0

    async def run(self) -> None:
        while True:
            leases = await self.store.commit(LeaseLanes(self.name, now_ms(), self.trouble.lease_ms, 3))
            if leases:
                await asyncio.gather(*map(self.serve, leases))
            else:
                await self.store.wait_for_work(0.05)

    async def serve(self, lease: LaneLease) -> None:
        try:
            while jobs := await self.store.read(LaneJobs(lease.lane, 5)):
                for queued in jobs:
                    if not await self.deliver(lease, queued):
                        return
                lease = await self.store.commit(ExtendLease(lease, now_ms(), self.trouble.lease_ms))
            await self.store.commit(ReleaseLane(lease, now_ms()))
        except LeaseLost:
            self.interrupted += 1

    async def deliver(self, lease: LaneLease, queued: Job) -> bool:
        """Deliver one job; False when the worker must leave the lane."""
        if self.random.random() < self.trouble.fail:
            now = now_ms()
            await self.store.commit_all(RetryJob(lease, queued.id, now, 5, "not now"), ReleaseLane(lease, now))
            return False
        self.sink.deliver(lease.lane, int(queued.payload))
        if self.random.random() < self.trouble.vanish:
            self.interrupted += 1
            return False
        return not (await self.store.commit(FinishJob(lease, queued.id, now_ms()))).released


async def submit(store: Store, submitter: int, count: int) -> None:
    """Append numbers that rise in each lane, waiting for each as a sender waits for its answer."""
    for n in range(count):
        now = now_ms()
        which = lane((submitter * 7 + n) % LANES)
        await store.commit(Enqueue(job(submitter * 1_000_000 + n, lane=which, created_at=now, expires_at=now + DAY)))


def in_order(numbers: list[int]) -> bool:
    """Each submitter's numbers rise by first delivery; a repeat after a lost worker does not count."""
    newest: dict[int, int] = {}
    for number in dict.fromkeys(numbers):
        submitter = number // 1_000_000
        if number < newest.get(submitter, -1):
            return False
        newest[submitter] = number
    return True


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble(lease_ms=60_000, vanish=0.0, fail=0.0), id="calm"),
        pytest.param(Trouble(lease_ms=300, vanish=0.03, fail=0.03), id="workers-vanish"),
    ],
)
async def test_every_job_is_delivered_in_order(store_url: str, trouble: Trouble) -> None:
    """Two stores on one database, as two nodes are; submitting and completing meet in the same few lanes."""
    submitters, each = 10, 40
    sink = Sink(submitters * each)
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        workers = [Worker(f"w{n}", (one, two)[n % 2], sink, trouble) for n in range(4)]
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            running = [group.create_task(worker.run()) for worker in workers]
            async with asyncio.TaskGroup() as submitting:
                for n in range(submitters):
                    submitting.create_task(submit((one, two)[n % 2], n, each))
            await sink.full.wait()
            while await one.read(QueueList(JobState.READY, 1)):
                await one.wait_for_work(0.01)
            for task in running:
                task.cancel()
    assert all(in_order(numbers) for numbers in sink.delivered.values())
    repeats = sum(len(numbers) for numbers in sink.delivered.values()) - submitters * each
    interrupted = sum(worker.interrupted for worker in workers)
    assert (interrupted > 0) == (trouble.vanish > 0)
    assert repeats <= interrupted


async def test_completing_and_adding_at_the_same_moment_strands_nothing(store_url: str) -> None:
    """The race that once left jobs in lanes nobody found due: one lane, emptied while it is being filled."""
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        for round_ in range(60):
            now = now_ms()
            which = lane(round_)
            first = await one.commit(Enqueue(job("a", lane=which, created_at=now)))
            [lease] = await one.commit(LeaseLanes("w", now, 60_000, 1))
            done, _ = await asyncio.gather(
                one.commit(FinishJob(lease, first, now)),
                two.commit(Enqueue(job("b", lane=which, created_at=now))),
            )
            # Whichever came first: the holder is told of the new job, or the lane is due for the next one.
            following = done.next
            if following is None:
                [lease] = await two.commit(LeaseLanes("w", now, 60_000, 1))
                following = lease.first
            assert following is not None
            assert (following.lane, following.payload) == (which, b"b")
            assert await two.read(LaneJobs(which, 10)) == [following]
            assert await two.commit(FinishJob(lease, following.id, now)) == Finished(None)


async def test_sweeping_and_adding_at_the_same_moment_strands_nothing(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        for _ in range(40):
            now = now_ms()
            _, number = await asyncio.gather(
                one.commit(SweepLanes(now, 100)), two.commit(Enqueue(job("a", created_at=now)))
            )
            [lease] = await one.commit(LeaseLanes("w", now, 60_000, 1))
            assert lease.first is not None
            assert lease.first.id == number, "the job is there"
            assert await one.commit(FinishJob(lease, number, now)) == Finished(None), "nothing stays behind it"


async def test_no_two_workers_get_the_same_lane(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        now = now_ms()
        await asyncio.gather(*(one.commit(Enqueue(job(lane=lane(n), created_at=now))) for n in range(100)))
        got = await asyncio.gather(*((one, two)[n % 2].commit(LeaseLanes(f"w{n}", now, 60_000, 9)) for n in range(40)))
        leased = [lease.lane for leases in got for lease in leases]
        # A batch that another node is just taking from may be skipped; the next look finds the rest.
        leased += [lease.lane for lease in await one.commit(LeaseLanes("late", now, 60_000, 200))]
        assert sorted(leased) == sorted(lane(n) for n in range(100))


async def test_batches_of_two_nodes_do_not_wait_for_each_other_in_a_circle(store_url: str) -> None:
    """Both write the same lanes in opposite orders, in units that cannot be merged; a deadlock would split a batch."""
    now = now_ms()
    names = [lane(n) for n in range(30)]

    def add(name: LaneKey) -> tuple[SweepLanes, Enqueue]:
        return SweepLanes(now, 1), Enqueue(job(lane=name, created_at=now))

    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        await one.commit_all(*(Enqueue(job(lane=name, created_at=now)) for name in names))
        with capture_logs() as logs:
            for _ in range(10):
                await asyncio.gather(
                    *(one.commit_all(*add(name)) for name in names),
                    *(two.commit_all(*add(name)) for name in reversed(names)),
                )
        assert [entry for entry in logs if entry["event"] == "store.batch_split"] == []
        assert len(await one.read(QueueList(JobState.READY, 1000))) == 630
