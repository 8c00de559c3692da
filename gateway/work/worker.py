"""The worker: leases lanes, runs their jobs in order, and ends each job in one fenced transaction."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from gateway import traces
from gateway.errors import GatewayError, LeaseLost
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.jobs import Job
from gateway.store.lanes import (
    LaneJobs,
    LaneLease,
    LeaseLanes,
    ReleaseLane,
    SaveJob,
    destination_of,
)
from gateway.store.mailbox import DropEnvelope
from gateway.watch import Counted, Timed, Watch
from gateway.work.ending import Ending
from gateway.work.keeper import LEASE_MS, Keeper
from gateway.work.results import Done, Handler, Hold, Later, Result, back_off_ms, clean_reason

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0
SHARE: Final = 48
"""A destination that has this many gets no more, so that a dead one leaves room for the others."""
PATIENCE_SECONDS: Final = 2.0
"""A try that takes longer is not counted in the share of its destination, within `EXCUSED`."""
EXCUSED: Final = 96
"""Such tries at a time, shared by the destinations that have some. A destination is a whole network, or all DM3
services: who is silent there must not stop the conversations with everybody else."""
MAX_LANES: Final = 256 + EXCUSED
"""Lanes that one node works on at the same time; most of them wait for a network."""
LEASE_AT_ONCE: Final = 16
"""Lanes of one lease."""
LEASE_AT_MOST: Final = 64
"""The same behind a full one, which takes as few statements. A node keeps lanes until they are empty, so it leaves half
of what is due to the others."""
HANDLE_SECONDS: Final = 180.0
"""One try of one job. Longer than the steps of a slow but living network, or its answer would never be heard."""
STOP_SECONDS: Final = 5.0
"""Tries under way get this long to end when the node stops."""
MAX_SURPRISES: Final = 8
"""After so many failed tries, a job that raises something unnamed is set aside."""
GAVE_UP: Final = "The gateway met an error of its own and gave up."
"""What the sender of a job on hold reads."""


@dataclass(slots=True)
class _UnderWay:
    """One lane that is worked on."""

    destination: str
    since: float
    """When its present try began, by the event loop's clock."""


class Worker:
    """Runs on every node; leases keep each lane with one of them."""

    def __init__(
        self,
        *,
        store: Store,
        handlers: Mapping[str, Handler],
        owner: str,
        clock: Clock,
        elsewhere: Callable[[], Sequence[str]] = tuple,
        watch: Watch | None = None,
    ) -> None:
        """``elsewhere`` names destinations whose lanes are another node's for now."""
        self.looked_at = time.monotonic()
        """When it last looked for work: a worker that lives does so every second, or after its store's time-out."""
        self._store = store
        self._handlers = handlers
        self._owner = owner
        self._clock = clock
        self._elsewhere = elsewhere
        self._watch = watch or Watch()
        self._tasks: dict[asyncio.Task[None], _UnderWay] = {}
        self._stopping = False

    async def run(self) -> None:
        """Work until cancelled; then let the jobs under way end, for some seconds, and give their lanes back."""
        self._stopping = False
        at_most = LEASE_AT_ONCE
        try:
            while True:
                self.looked_at = time.monotonic()
                before = frozenset(self._tasks)
                rooms = self._rooms()
                leased = await self._lease(rooms, at_most)
                for lease in leased:
                    under_way = _UnderWay(destination_of(lease.lane), asyncio.get_running_loop().time())
                    task = asyncio.create_task(self._serve(lease, under_way), name=f"lane {lease.lane}")
                    self._tasks[task] = under_way
                    task.add_done_callback(self._tasks.pop)
                at_most = LEASE_AT_MOST if len(leased) >= LEASE_AT_ONCE else LEASE_AT_ONCE
                if len(leased) < LEASE_AT_ONCE and not _is_filled(rooms, leased):
                    passed_over = bool(_full(rooms)) or len(before) + len(leased) >= MAX_LANES
                    await self._wait({*before, *self._tasks} if passed_over else ())
        finally:
            await self._stop()

    async def _stop(self) -> None:
        self._stopping = True
        tasks = list(self._tasks)
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        finally:
            for task in self._tasks:
                log.warning("lane.broken_off", task=task.get_name())
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _lease(self, rooms: Mapping[str, int], at_most: int) -> list[LaneLease]:
        """More lanes, when there is room; none while the store does not answer."""
        room = min(MAX_LANES - len(self._tasks), at_most)
        if room <= 0:
            return []
        lease = LeaseLanes(
            self._owner,
            self._clock(),
            LEASE_MS,
            room,
            own=LEASE_AT_ONCE,
            except_for=(*sorted(_full(rooms)), *self._elsewhere()),
            share=SHARE,
            rooms=rooms,
        )
        try:
            return await self._store.commit(lease)
        except GatewayError as error:
            # Whatever is under way goes on; it must not be broken off because nothing can be added.
            log.warning("worker.no_lease", error=type(error).__name__, detail=error.detail)
            await asyncio.sleep(POLL_SECONDS)
            return []

    def _rooms(self) -> dict[str, int]:
        """How many lanes more each destination may have that has some."""
        long_ago = asyncio.get_running_loop().time() - PATIENCE_SECONDS
        running = Counter(each.destination for each in self._tasks.values())
        slow = Counter(each.destination for each in self._tasks.values() if each.since <= long_ago)
        excused = EXCUSED // max(1, len(slow))
        return {each: SHARE - lanes + min(slow[each], excused) for each, lanes in running.items()}

    async def _wait(self, lanes: Collection[asyncio.Task[None]]) -> None:
        """Until something is announced or the first of these lanes ends; an idle node looks once a second.

        What becomes due is announced. Lanes that could not be leased for want of room are due already, and nothing
        will announce them: room for them is there as soon as a lane ends that was under way when the lease was asked
        for, which may have been while it was.
        """
        work = asyncio.create_task(self._store.wait_for_work(POLL_SECONDS))
        try:
            await asyncio.wait({work, *lanes}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()

    async def _serve(self, lease: LaneLease, under_way: _UnderWay) -> None:
        """Jobs of one lane until it is empty, must wait, or is lost."""
        keeper = Keeper(self._store, self._clock, lease)
        try:
            async with keeper.extending():
                # One job at a time: each may have megabytes, and the first may make the lane wait.
                job = lease.first
                while not self._stopping and (job := job or await self._next(lease)) is not None:
                    under_way.since = asyncio.get_running_loop().time()
                    keeper.next = None
                    if not await self._run(keeper, job) or keeper.released:
                        break
                    job = keeper.next
        except LeaseLost:
            self._watch.count(Counted.LANE_LOST)
            log.warning("lane.lost", lane=lease.lane)
        except GatewayError as error:
            # Not released: the lane is taken up again when the lease runs out, which is the pause that it needs.
            log.warning("lane.interrupted", lane=lease.lane, error=type(error).__name__, detail=error.detail)
        except asyncio.CancelledError:
            await self._release(keeper)
            raise
        except Exception:
            log.exception("lane.failed", lane=lease.lane)
        else:
            await self._release(keeper)

    async def _next(self, lease: LaneLease) -> Job | None:
        return next(iter(await self._store.read(LaneJobs(lease.lane, 1))), None)

    async def _release(self, keeper: Keeper) -> None:
        if keeper.released:
            return
        with contextlib.suppress(GatewayError):
            await asyncio.shield(self._store.commit(ReleaseLane(keeper.lease, self._clock())))

    async def _run(self, keeper: Keeper, job: Job) -> bool:
        """One job; False when the lane must wait."""
        # The handler knows what it is about; until it says so, no line says anything.
        traces.unbind()
        begun = self._watch.begin()
        ending = Ending(self._store, self._clock, keeper, job)
        result = await self._try(keeper, job)
        self._watch.end("delivery", begun, kind=job.kind, to=destination_of(job.lane), outcome=type(result).__name__)
        match result:
            case Done(ops, after):
                if (refusal := await ending.done(ops)) is not None:
                    return await self._refused(ending, job, refusal)
                self._count_done(job, result)
                if after is not None:
                    await self._afterwards(job, after())
                return True
            case Later(reason, after_ms, counts):
                delay = back_off_ms(job.attempts) if after_ms is None else after_ms
                if counts:
                    self._count(Counted.RETRIED, job)
                log.info("job.later", job=job.id, kind=job.kind, attempts=job.attempts + counts, delay_ms=delay)
                await ending.later(clean_reason(reason), delay, counts=counts)
                return False
            case Hold(reason):
                return await self._hold(ending, job, reason)

    async def _refused(self, ending: Ending, job: Job, error: Exception) -> bool:
        """The store does not take what the handler wants written; the same try would end the same way."""
        name = type(error).__name__
        if isinstance(error, GatewayError) and error.retry:
            await ending.later(f"the result could not be stored ({name})", back_off_ms(job.attempts))
            return False
        return await self._hold(ending, job, f"the result could not be stored ({name})")

    async def _hold(self, ending: Ending, job: Job, reason: str) -> bool:
        """Set the job aside, and tell whoever must know in the same transaction; False when that must wait."""
        told = Done()
        if (handler := self._handlers.get(job.kind)) is not None:
            try:
                async with asyncio.timeout(HANDLE_SECONDS):
                    told = await handler.expire(replace(job, reason=GAVE_UP))
            except Exception as error:
                if isinstance(error, GatewayError) and error.retry:
                    await ending.later(clean_reason(reason), back_off_ms(job.attempts))
                    return False
                log.exception("job.held_untold", job=job.id)
        # The operator may give the job a second chance, for which it needs its envelope.
        ops = tuple(op for op in told.ops if not isinstance(op, DropEnvelope))
        self._count(Counted.HELD, job)
        log.error("job.held", job=job.id, kind=job.kind, reason=reason)
        await ending.hold(clean_reason(reason), ops)
        return True

    async def _try(self, keeper: Keeper, job: Job) -> Result:
        async def checkpoint(payload: bytes) -> None:
            await self._store.commit(SaveJob(keeper.lease, job.id, payload))

        handler = self._handlers.get(job.kind)
        if handler is None:
            return Hold(f"no handler for jobs of kind {job.kind!r}")
        try:
            async with asyncio.timeout(HANDLE_SECONDS):
                if job.expires_at <= self._clock():
                    return await handler.expire(job)
                return await handler.handle(job, checkpoint)
        except LeaseLost:
            raise
        except TimeoutError:
            log.warning("job.out_of_time", job=job.id, kind=job.kind)
            return Later("no answer in time")
        except GatewayError as error:
            log.warning("job.failed", job=job.id, kind=job.kind, error=type(error).__name__, detail=error.detail)
            return Later(error.sentence) if error.retry or job.attempts < MAX_SURPRISES else Hold(error.detail)
        except Exception as error:
            log.exception("job.raised", job=job.id, kind=job.kind)
            name = type(error).__name__
            return Later(f"internal error ({name})") if job.attempts < MAX_SURPRISES else Hold(f"raised {name}")

    def _count_done(self, job: Job, result: Done) -> None:
        if result.delivered:
            self._count(Counted.DELIVERED, job)
            seconds = max(0, self._clock() - job.created_at) / 1000
            self._watch.measure(Timed.DELIVERY, seconds, destination_of(job.lane), job.kind)
        elif job.expires_at <= self._clock():
            self._count(Counted.GIVEN_UP, job)

    def _count(self, what: Counted, job: Job) -> None:
        self._watch.count(what, destination_of(job.lane), job.kind)

    async def _afterwards(self, job: Job, work: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(HANDLE_SECONDS):
                await work
        except Exception:
            log.exception("job.afterwards_failed", job=job.id)


def _full(rooms: Mapping[str, int]) -> frozenset[str]:
    """Destinations that have their share."""
    return frozenset(destination for destination, room in rooms.items() if room <= 0)


def _is_filled(rooms: Mapping[str, int], leased: Sequence[LaneLease]) -> bool:
    """Whether a destination got all that it had room for: lanes that are due may have been passed over."""
    got = Counter(destination_of(lease.lane) for lease in leased)
    return any(lanes >= rooms.get(destination, SHARE) for destination, lanes in got.items())
