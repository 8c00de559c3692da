"""The worker against a real store: shares of destinations, faults of the store, orderly stops, jobs set aside."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from gateway.errors import GatewayError, InvalidInput, LeaseLost, LimitExceeded, Unavailable
from gateway.ids import EnsName, EnvelopeId, NativeId, Network
from gateway.lifecycle import now_ms
from gateway.sdk import DeliveryState
from gateway.store import Store
from gateway.store.jobs import Enqueue, Job, JobState, NewJob, destination_of, lane_key
from gateway.store.lanes import ExtendLease, FinishJob, LaneJobs, LaneLease, LeaseLanes
from gateway.store.leases import AcquireLease
from gateway.store.mailbox import DropEnvelope
from gateway.store.op import Op
from gateway.store.queue import QueueList
from gateway.store.status import SetStatus
from gateway.work import ending, keeper, worker
from gateway.work.results import Checkpoint, Done, Handler, Hold, Later, Result
from gateway.work.worker import EXCUSED, GAVE_UP, LEASE_AT_ONCE, MAX_LANES, SHARE, Worker
from tests.support.waiting import until

LIFE_MS = 3_600_000


@pytest.fixture
async def store(sqlite_store_url: str) -> AsyncIterator[Store]:
    async with await Store.open(sqlite_store_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.02)


@dataclass
class Scripted:
    """A handler that does what a test says; the payloads that it was given lie on `tries`."""

    work: Callable[[Job], Awaitable[Result]]
    notice: Callable[[Job], Done] = lambda _job: Done()
    tries: list[bytes] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        self.tries.append(job.payload)
        return await self.work(job)

    async def expire(self, job: Job) -> Done:
        self.told.append(job.reason)
        return self.notice(job)


class FaultyStore:
    """A real store in front of which `before` and `after` may raise, given the operations of a unit or a query."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.before: Callable[[tuple[Any, ...]], Awaitable[None]] = _nothing
        self.after: Callable[[tuple[Any, ...]], Awaitable[None]] = _nothing

    async def commit(self, op: Op[Any]) -> Any:
        return (await self.commit_all(op))[0]

    async def commit_all(self, *ops: Op[Any]) -> tuple[Any, ...]:
        await self.before(ops)
        results = await self._store.commit_all(*ops)
        await self.after(ops)
        return results

    async def read(self, query: Any) -> Any:
        await self.before((query,))
        return await self._store.read(query)

    async def wait_for_work(self, timeout: float) -> bool:
        return await self._store.wait_for_work(timeout)


async def _nothing(_ops: tuple[Any, ...]) -> None:
    return None


@asynccontextmanager
async def working(store: Store | FaultyStore, handlers: Mapping[str, Handler]) -> AsyncIterator[asyncio.Task[None]]:
    """A worker, stopped in the end."""
    made = Worker(store=cast("Store", store), handlers=handlers, owner="node-1", clock=now_ms)
    task = asyncio.create_task(made.run())
    try:
        yield task
    finally:
        await stop(task)


async def stop(task: asyncio.Task[None]) -> None:
    """As the supervisor does."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def add(store: Store, lane: str, payload: bytes = b"job", destination: str = "paper") -> int:
    """Append a job."""
    now = now_ms()
    return await store.commit(Enqueue(NewJob(lane_key(destination, lane), "work", payload, now, now + LIFE_MS)))


async def jobs(store: Store, state: JobState = JobState.READY) -> list[Job]:
    """What is in the queue."""
    return await store.read(QueueList(state, 1000))


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""

    async def look() -> bool | None:
        return holds() or None

    await until(look)


async def emptied(store: Store) -> None:
    """Wait until no job is ready."""

    async def look() -> bool | None:
        return not await jobs(store) or None

    await until(look)


async def held(store: Store) -> list[Job]:
    """The jobs on hold, once there are any."""

    async def look() -> list[Job] | None:
        return await jobs(store, JobState.HOLD) or None

    return await until(look)


async def done(_job: Job) -> Result:
    return Done()


# --- shares -----------------------------------------------------------------------------------------------------


async def test_a_dead_destination_leaves_room_for_the_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 60)
    gate = asyncio.Event()
    running: Counter[str] = Counter()

    async def work(job: Job) -> Result:
        running[destination_of(job.lane)] += 1
        if destination_of(job.lane) == "tar":
            await gate.wait()
        return Done()

    for number in range(300):
        await add(store, str(number), destination="tar")
    async with working(store, {"work": Scripted(work)}):
        await eventually(lambda: running["tar"] >= SHARE)
        for number in range(50):
            await add(store, str(number), destination="live")
        await eventually(lambda: running["live"] == 50)
        assert running["tar"] == SHARE
        gate.set()
        await emptied(store)
    assert running == {"tar": 300, "live": 50}


async def test_who_is_silent_leaves_room_for_others_at_the_same_destination(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0.05)
    gate = asyncio.Event()
    running: Counter[bytes] = Counter()

    async def work(job: Job) -> Result:
        running[job.payload] += 1
        if job.payload == b"silent":
            await gate.wait()
        return Done()

    for number in range(SHARE + EXCUSED - 10):
        await add(store, f"silent {number}", b"silent")
    async with working(store, {"work": Scripted(work)}):
        await eventually(lambda: running[b"silent"] >= SHARE)
        for number in range(20):
            await add(store, f"lively {number}", b"lively")
        await eventually(lambda: running[b"lively"] == 20)
        assert running[b"silent"] == SHARE + EXCUSED - 10, "none of them is over"
        gate.set()
        await emptied(store)


async def test_tries_that_take_long_are_excused_within_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0.0)
    gate = asyncio.Event()
    running: Counter[str] = Counter()

    async def work(job: Job) -> Result:
        running[destination_of(job.lane)] += 1
        if destination_of(job.lane) != "live":
            await gate.wait()
        return Done()

    for number in range(SHARE + EXCUSED + 40):
        for destination in ("tar", "pitch"):
            await add(store, str(number), destination=destination)
    async with working(store, {"work": Scripted(work)}):
        most = SHARE + EXCUSED // 2
        await eventually(lambda: min(running["tar"], running["pitch"]) >= most)
        for number in range(50):
            await add(store, str(number), destination="live")
        await eventually(lambda: running["live"] == 50)
        assert max(running["tar"], running["pitch"]) <= SHARE + EXCUSED
        assert sum(running.values()) - 50 < MAX_LANES
        gate.set()
        await emptied(store)


async def test_a_full_destination_goes_on_as_its_lanes_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SHARE", 2)
    monkeypatch.setattr(worker, "LEASE_AT_ONCE", 1)
    at_once, most = 0, 0

    async def work(_job: Job) -> Result:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return Done()

    for number in range(20):
        await add(store, str(number))
    async with working(store, {"work": Scripted(work)}):
        await emptied(store)
    assert most <= 2


async def test_lanes_of_named_destinations_are_not_leased(store: Store) -> None:
    await add(store, "1", destination="tar")
    await add(store, "2", destination="live")
    (lease,) = await store.commit(LeaseLanes("node", now_ms(), 60_000, 10, except_for=("tar", "pitch")))
    assert destination_of(lease.lane) == "live"


async def test_no_destination_gets_more_lanes_than_it_has_room_for(store: Store) -> None:
    for destination, number in (("tar", 5), ("pitch", 5), ("live", 3)):
        for each in range(number):
            await add(store, str(each), destination=destination)
    leased = await store.commit(LeaseLanes("node", now_ms(), 60_000, 20, share=4, rooms={"tar": 2, "pitch": 0}))
    assert Counter(destination_of(each.lane) for each in leased) == {"tar": 2, "live": 3}
    left = await store.commit(LeaseLanes("node", now_ms(), 60_000, 20))
    assert Counter(destination_of(each.lane) for each in left) == {"tar": 3, "pitch": 5}, "they are nobody's yet"


async def test_leases_are_larger_behind_a_full_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    class Seen(LeaseLanes):
        def apply(self, conn: Connection) -> list[LaneLease]:
            leased = super().apply(conn)
            sizes.append((self.limit, len(leased)))
            return leased

    monkeypatch.setattr(worker, "LeaseLanes", Seen)
    gate = asyncio.Event()

    async def work(_job: Job) -> Result:
        await gate.wait()
        return Done()

    for number in range(96):
        await add(store, str(number), destination=f"to {number % 10}")
    async with working(store, {"work": Scripted(work)}):
        await eventually(lambda: sum(lanes for _, lanes in sizes) == 96)
        gate.set()
        await emptied(store)
        await eventually(lambda: sizes[-1] == (LEASE_AT_ONCE, 0))
    assert sizes[:5] == [(16, 16), (64, 40), (64, 20), (64, 16), (64, 4)]


async def test_lanes_behind_those_of_a_full_destination_are_leased_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are due already: nothing announces them."""
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 60)
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    monkeypatch.setattr("gateway.store.store.POLL_S", 60)
    gate = asyncio.Event()
    running: Counter[str] = Counter()

    async def work(job: Job) -> Result:
        running[destination_of(job.lane)] += 1
        if destination_of(job.lane) == "tar":
            await gate.wait()
        return Done()

    monkeypatch.setattr(worker, "LEASE_AT_ONCE", 64)
    for number in range(80):
        await add(store, str(number), destination="tar")
    await add(store, "1", destination="live")
    assert await store.wait_for_work(60), "from here on nothing is announced"
    async with working(store, {"work": Scripted(work)}):
        await eventually(lambda: running == {"tar": SHARE, "live": 1})
        gate.set()
        await emptied(store)


async def test_lanes_that_end_while_a_lease_is_asked_for_make_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says nothing of the lanes that it passed over, and nothing announces them."""
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 600)
    monkeypatch.setattr(worker, "POLL_SECONDS", 600)
    monkeypatch.setattr("gateway.store.store.POLL_S", 600)
    gate = asyncio.Event()
    faulty = FaultyStore(store)

    async def work(_job: Job) -> Result:
        await gate.wait()
        return Done()

    async def answer_late(ops: tuple[Any, ...]) -> None:
        match ops:
            case (LeaseLanes(except_for=("tar",)),) if not gate.is_set():
                gate.set()
                await eventually(lambda: not any(task.get_name().startswith("lane ") for task in asyncio.all_tasks()))

    faulty.after = answer_late
    for number in range(SHARE + 5):
        await add(store, str(number), destination="tar")
    assert await store.wait_for_work(60), "from here on nothing is announced"
    async with working(faulty, {"work": Scripted(work)}):
        await emptied(store)


async def test_a_try_without_end_is_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HANDLE_SECONDS", 0.02)
    ended = asyncio.Event()

    async def work(_job: Job) -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Done()

    await add(store, "1")
    async with working(store, {"work": Scripted(work)}):
        async with asyncio.timeout(60):
            await ended.wait()

        async def counted() -> Job | None:
            return next((job for job in await jobs(store) if job.attempts == 1), None)

        assert (await until(counted)).reason == "no answer in time"


# --- faults of the store ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Unavailable, LimitExceeded])
async def test_a_store_that_gives_no_lease_breaks_nothing_off(store: Store, error: type[GatewayError]) -> None:
    faulty, gate, refused = FaultyStore(store), asyncio.Event(), 0

    async def before(ops: tuple[Any, ...]) -> None:
        nonlocal refused
        if isinstance(ops[0], LeaseLanes) and handler.tries and refused < 3:
            refused += 1
            raise error("for a moment")

    async def work(job: Job) -> Result:
        if job.payload == b"slow":
            await gate.wait()
        return Done()

    handler, faulty.before = Scripted(work), before
    await add(store, "1", b"slow")
    async with working(faulty, {"work": handler}) as task:
        await eventually(lambda: refused == 3)
        assert not task.done()
        await add(store, "2", b"quick")
        await eventually(lambda: b"quick" in handler.tries)
        gate.set()
        await emptied(store)
    assert sorted(handler.tries) == [b"quick", b"slow"]


async def test_a_lease_that_is_not_extended_once_is_still_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "EXTEND_AFTER_SECONDS", 0.02)
    faulty, extended = FaultyStore(store), asyncio.Event()
    faults: list[Exception] = [Unavailable("away"), RuntimeError("unnamed"), LimitExceeded("busy")]

    async def before(ops: tuple[Any, ...]) -> None:
        if isinstance(ops[0], ExtendLease) and faults:
            raise faults.pop(0)

    async def after(ops: tuple[Any, ...]) -> None:
        if isinstance(ops[0], ExtendLease):
            extended.set()

    async def work(_job: Job) -> Result:
        await extended.wait()
        return Done()

    handler, faulty.before, faulty.after = Scripted(work), before, after
    await add(store, "1")
    async with working(faulty, {"work": handler}):
        await emptied(store)
    assert handler.tries == [b"job"]
    assert faults == []


@pytest.mark.parametrize(
    ("error", "lease_ms"), [(LeaseLost("taken"), 12_000), (Unavailable("away"), 200)], ids=["taken", "run out"]
)
async def test_work_without_a_lease_is_broken_off(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: GatewayError, lease_ms: int
) -> None:
    monkeypatch.setattr(keeper, "EXTEND_AFTER_SECONDS", 0.02)
    monkeypatch.setattr(worker, "LEASE_MS", lease_ms)
    faulty, broken_off = FaultyStore(store), asyncio.Event()

    async def before(ops: tuple[Any, ...]) -> None:
        if isinstance(ops[0], ExtendLease):
            raise error

    async def work(_job: Job) -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            broken_off.set()
        return Done()

    faulty.before = before
    await add(store, "1")
    async with working(faulty, {"work": Scripted(work)}) as task:
        async with asyncio.timeout(60):
            await broken_off.wait()
        assert not task.done()
        assert len(await jobs(store)) == 1


@pytest.mark.parametrize("committed", [False, True])
async def test_a_result_is_kept_while_the_store_is_away(store: Store, committed: bool) -> None:
    """Unavailable does not say whether it was committed; either way the job is done once."""
    faulty, outages = FaultyStore(store), itertools.count()

    async def away(ops: tuple[Any, ...]) -> None:
        if isinstance(ops[-1], FinishJob) and next(outages) < 2:
            raise Unavailable("away")

    async def work(job: Job) -> Result:
        now = now_ms()
        return Done((Enqueue(NewJob(lane_key("paper", "reports"), "report", job.payload, now, now + LIFE_MS)),))

    handler, reports = Scripted(work), Scripted(done)
    if committed:
        faulty.after = away
    else:
        faulty.before = away
    await add(store, "1", b"first")
    await add(store, "1", b"second")
    async with working(faulty, {"work": handler, "report": reports}):
        await emptied(store)
    assert handler.tries == reports.tries == [b"first", b"second"]


async def test_an_interrupted_lane_is_not_taken_up_again_at_once(store: Store) -> None:
    """Its lease runs out first: a store that refuses everything is not asked in a circle."""
    faulty = FaultyStore(store)
    reads = 0

    async def before(ops: tuple[Any, ...]) -> None:
        nonlocal reads
        if isinstance(ops[0], LaneJobs):
            reads += 1
            raise Unavailable("away")

    async def set_aside(_job: Job) -> Result:
        return Hold("for an operator")

    faulty.before = before
    # The first job of a lane comes with its lease, and one behind a job that is done with its end.
    for _ in range(2):
        await add(store, "1")
    async with working(faulty, {"work": Scripted(set_aside)}):
        await eventually(lambda: reads > 0)
        for _ in range(5):
            await store.commit(AcquireLease("looks", "again", now_ms(), 1))
            await asyncio.sleep(worker.POLL_SECONDS)
        assert reads == 1


async def test_each_job_comes_with_the_end_of_the_one_before(store: Store) -> None:
    """One at a time, and without a read of its own."""
    faulty, reads = FaultyStore(store), list[Any]()

    async def before(ops: tuple[Any, ...]) -> None:
        reads.extend(op for op in ops if isinstance(op, LaneJobs))

    handler, faulty.before = Scripted(done), before
    for number in range(5):
        await add(store, "1", b"%d" % number)
    async with working(faulty, {"work": handler}):
        await emptied(store)
    assert handler.tries == [b"0", b"1", b"2", b"3", b"4"]
    assert reads == []


# --- orderly stop -----------------------------------------------------------------------------------------------


async def test_a_stop_lets_the_job_under_way_end_and_begins_no_other(store: Store) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def work(_job: Job) -> Result:
        begun.set()
        await gate.wait()
        return Done()

    handler = Scripted(work)
    await add(store, "1", b"first")
    await add(store, "1", b"second")
    async with working(store, {"work": handler}) as task:
        await begun.wait()
        task.cancel()
        await add(store, "2", b"third")
        gate.set()
        with suppress(asyncio.CancelledError):
            await task
    assert handler.tries == [b"first"]
    assert [job.payload for job in await jobs(store)] == [b"second", b"third"]
    async with working(store, {"work": handler}):
        await emptied(store)
    assert sorted(handler.tries) == [b"first", b"second", b"third"]


async def test_a_stop_does_not_wait_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.02)
    begun = asyncio.Event()

    async def work(_job: Job) -> Result:
        begun.set()
        await asyncio.Event().wait()
        return Done()

    await add(store, "1")
    async with working(store, {"work": Scripted(work)}) as task:
        await begun.wait()
        await stop(task)
    (lease,) = await store.commit(LeaseLanes("node-2", now_ms(), 1000, 10))
    assert lease.lane == "paper:1", "given back at once"


async def test_what_was_delivered_when_the_stop_came_is_written_down(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.02)
    faulty, writing, cancelled = FaultyStore(store), asyncio.Event(), asyncio.Event()

    async def before(ops: tuple[Any, ...]) -> None:
        if isinstance(ops[-1], FinishJob):
            writing.set()
            await cancelled.wait()

    faulty.before = before
    await add(store, "1")
    async with working(faulty, {"work": Scripted(done)}) as task:
        await writing.wait()
        (lane,) = (each for each in asyncio.all_tasks() if each.get_name() == "lane paper:1")
        task.cancel()
        await eventually(lambda: lane.cancelling() > 0)
        cancelled.set()
        with suppress(asyncio.CancelledError):
            await task
    assert await jobs(store) == []


# --- jobs set aside ---------------------------------------------------------------------------------------------


def _notice(job: Job) -> Done:
    now = now_ms()
    report = NewJob(lane_key("paper", "reports"), "report", job.reason.encode(), now, now + LIFE_MS)
    return Done((DropEnvelope(EnvelopeId("e" * 64)), Enqueue(report)))


async def _raises(_job: Job) -> Result:
    raise ValueError("unnamed")


async def test_the_sender_of_a_job_set_aside_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MAX_SURPRISES", 2)
    monkeypatch.setattr(worker, "back_off_ms", lambda attempts: 10 * attempts)
    reports = Scripted(done)
    handler = Scripted(_raises, _notice)
    await add(store, "1", b"poison")
    await add(store, "1", b"poison too")
    async with working(store, {"work": handler, "report": reports}):
        await eventually(lambda: len(reports.tries) == 2)
    assert Counter(handler.tries) == {b"poison": 3, b"poison too": 3}
    assert reports.tries == [GAVE_UP.encode()] * 2
    assert {job.reason for job in await jobs(store, JobState.HOLD)} == {"raised ValueError"}


async def test_a_job_set_aside_keeps_its_envelope(store: Store) -> None:
    faulty, dropped = FaultyStore(store), list[Op[Any]]()

    async def before(ops: tuple[Any, ...]) -> None:
        dropped.extend(op for op in ops if isinstance(op, DropEnvelope))

    async def work(_job: Job) -> Result:
        return Hold("hopeless")

    faulty.before = before
    await add(store, "1")
    async with working(faulty, {"work": Scripted(work, _notice), "report": Scripted(done)}):
        assert [job.reason for job in await held(store)] == ["hopeless"]
    assert dropped == []


async def test_a_job_that_cannot_even_be_told_about_is_set_aside(store: Store) -> None:
    def notice(_job: Job) -> Done:
        raise InvalidInput("a damaged payload")

    async def work(_job: Job) -> Result:
        return Hold("hopeless")

    await add(store, "1")
    async with working(store, {"work": Scripted(work, notice)}):
        assert [job.reason for job in await held(store)] == ["hopeless"]


async def test_a_notice_that_the_store_refuses_does_not_keep_the_job(store: Store) -> None:
    async def work(_job: Job) -> Result:
        return Hold("hopeless")

    await add(store, "1")
    async with working(store, {"work": Scripted(work, lambda _job: Done((_unstorable(),)))}):
        assert [job.reason for job in await held(store)] == ["hopeless"]


async def test_telling_waits_for_what_is_away(store: Store) -> None:
    outages = iter([Unavailable("away"), None])

    def notice(job: Job) -> Done:
        if (outage := next(outages)) is not None:
            raise outage
        return _notice(job)

    async def work(_job: Job) -> Result:
        return Hold("hopeless")

    handler, reports = Scripted(work, notice), Scripted(done)
    await add(store, "1")
    async with working(store, {"work": handler, "report": reports}):
        await held(store)
        await eventually(lambda: len(reports.tries) == 1)
    assert len(handler.tries) == 2


async def test_a_job_without_handler_is_set_aside(store: Store) -> None:
    await add(store, "1")
    async with working(store, {}):
        assert [job.reason for job in await held(store)] == ["no handler for jobs of kind 'work'"]


# --- results that cannot be stored ------------------------------------------------------------------------------


def _unstorable() -> SetStatus:
    return SetStatus(Network("paper"), NativeId("\ud800"), EnsName("a.eth"), DeliveryState.SENT, "", 1)


async def test_a_result_that_cannot_be_stored_is_not_tried_again(store: Store) -> None:
    """The network took it; asking it again would deliver again, and end the same way."""

    async def work(job: Job) -> Result:
        return Done((_unstorable(),) if job.payload == b"odd" else ())

    handler = Scripted(work, _notice)
    await add(store, "1", b"odd")
    await add(store, "1", b"next")
    async with working(store, {"work": handler, "report": Scripted(done)}):
        await emptied(store)
    assert handler.tries == [b"odd", b"next"]
    assert [(job.payload, job.reason) for job in await jobs(store, JobState.HOLD)] == [
        (b"odd", "the result could not be stored (InvalidInput)")
    ]
    assert handler.told == [GAVE_UP]


async def test_a_result_for_which_there_is_no_room_comes_again(store: Store) -> None:
    faulty, full = FaultyStore(store), True

    async def before(ops: tuple[Any, ...]) -> None:
        if full and isinstance(ops[-1], FinishJob):
            raise LimitExceeded("the mailbox is full")

    handler, faulty.before = Scripted(done), before
    await add(store, "1")
    async with working(faulty, {"work": handler}):

        async def counted() -> bool | None:
            return any(job.attempts == 1 for job in await jobs(store)) or None

        await until(counted)
        full = False
        await emptied(store)
    assert len(handler.tries) >= 2


@pytest.mark.parametrize("reason", ["\ud800 lone", "with \0 in it", "x" * 100_000, "two\r\nlines \x1b[31m"])
async def test_any_reason_can_be_stored(store: Store, reason: str) -> None:
    async def work(_job: Job) -> Result:
        return Later(reason, 3_600_000)

    handler = Scripted(work)
    await add(store, "1")
    async with working(store, {"work": handler}):

        async def counted() -> Job | None:
            return next((job for job in await jobs(store) if job.attempts), None)

        job = await until(counted)
    assert handler.tries == [b"job"]
    assert 0 < len(job.reason) <= 500
    assert job.reason.isprintable()
