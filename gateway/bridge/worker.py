"""The worker: leases lanes, runs their jobs in order, and ends each job in one fenced transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Final

import structlog

from gateway.bridge.results import Done, Handler, Hold, Later, Result, back_off_ms
from gateway.errors import GatewayError, LeaseLost
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.jobs import Job
from gateway.store.lanes import (
    CompleteJob,
    ExtendLease,
    HoldJob,
    LaneJobs,
    LaneLease,
    LeaseLanes,
    ReleaseLane,
    RetryJob,
    SaveJob,
)

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0
LEASE_MS: Final = 12_000
"""After a node dies its lanes are taken over within this time; the promise is 15 s."""
EXTEND_AFTER_SECONDS: Final = 3.0
MAX_LANES: Final = 32
"""Lanes that one node works on at the same time."""
JOBS_AT_ONCE: Final = 16
MAX_SURPRISES: Final = 8
"""Times that a job may raise something unnamed before it is set aside."""


class Worker:
    """Runs on every node; leases keep each lane with one of them."""

    def __init__(self, *, store: Store, handlers: Mapping[str, Handler], owner: str, clock: Clock) -> None:
        self._store = store
        self._handlers = handlers
        self._owner = owner
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; lanes that are being served then are given back at once."""
        try:
            while True:
                leased = await self._lease()
                for lease in leased:
                    task = asyncio.create_task(self._serve(lease), name=f"lane {lease.lane}")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                if not leased:
                    await self._wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _lease(self) -> list[LaneLease]:
        room = MAX_LANES - len(self._tasks)
        if room <= 0:
            return []
        return await self._store.commit(LeaseLanes(self._owner, self._clock(), LEASE_MS, room))

    async def _wait(self) -> None:
        """Until there may be work and room for it; an idle node looks once a second."""
        if len(self._tasks) >= MAX_LANES:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        else:
            await self._store.wait_for_work(POLL_SECONDS)

    async def _serve(self, lease: LaneLease) -> None:
        """Jobs of one lane until it is empty, must wait, or is lost."""
        holder = _Holder(lease)
        try:
            async with self._extending(holder):
                while jobs := await self._store.read(LaneJobs(lease.lane, JOBS_AT_ONCE)):
                    for job in jobs:
                        if not await self._run(holder, job):
                            return
        except LeaseLost:
            log.warning("lane.lost", lane=lease.lane)
            return
        except GatewayError as error:
            # The store does not answer: the lease runs out and the lane is taken up again, here or elsewhere.
            log.warning("lane.interrupted", lane=lease.lane, error=type(error).__name__, detail=error.detail)
            return
        finally:
            with contextlib.suppress(GatewayError):
                await asyncio.shield(self._store.commit(ReleaseLane(holder.lease, self._clock())))

    async def _run(self, holder: _Holder, job: Job) -> bool:
        """One job; False when the lane must wait."""
        handler = self._handlers.get(job.kind)
        result = await self._try(handler, holder, job)
        now = self._clock()
        match result:
            case Done(ops, after):
                await self._store.commit_all(CompleteJob(holder.lease, job.id, now), *ops)
                if after is not None:
                    await self._afterwards(job, after())
                return True
            case Later(reason, after_ms):
                delay = back_off_ms(job.attempts) if after_ms is None else after_ms
                log.info("job.later", job=job.id, kind=job.kind, attempts=job.attempts + 1, delay_ms=delay)
                await self._store.commit(RetryJob(holder.lease, job.id, now, delay, reason))
                return False
            case Hold(reason):
                log.error("job.held", job=job.id, kind=job.kind, reason=reason)
                await self._store.commit(HoldJob(holder.lease, job.id, now, reason))
                return True

    async def _try(self, handler: Handler | None, holder: _Holder, job: Job) -> Result:
        async def checkpoint(payload: bytes) -> None:
            await self._store.commit(SaveJob(holder.lease, job.id, payload))

        if handler is None:
            return Hold(f"no handler for jobs of kind {job.kind!r}")
        try:
            if job.expires_at <= self._clock():
                return await handler.expire(job)
            return await handler.handle(job, checkpoint)
        except LeaseLost:
            raise
        except GatewayError as error:
            log.warning("job.failed", job=job.id, kind=job.kind, error=type(error).__name__, detail=error.detail)
            return Later(error.sentence) if error.retry or job.attempts < MAX_SURPRISES else Hold(error.detail)
        except Exception as error:
            log.exception("job.raised", job=job.id, kind=job.kind)
            name = type(error).__name__
            return Later(f"internal error ({name})") if job.attempts < MAX_SURPRISES else Hold(f"raised {name}")

    async def _afterwards(self, job: Job, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            log.exception("job.afterwards_failed", job=job.id)

    @contextlib.asynccontextmanager
    async def _extending(self, holder: _Holder) -> AsyncIterator[None]:
        """Keep the lease while a slow network takes its time; when it is lost, whoever works in it is cancelled."""

        serving = asyncio.current_task()

        async def extend() -> None:
            try:
                while True:
                    await asyncio.sleep(EXTEND_AFTER_SECONDS)
                    holder.lease = await self._store.commit(ExtendLease(holder.lease, self._clock(), LEASE_MS))
            except GatewayError as error:
                holder.lost = error
                if serving is not None:
                    serving.cancel()

        keeper = asyncio.create_task(extend())
        try:
            yield
        except asyncio.CancelledError:
            if holder.lost is not None:
                raise holder.lost from None
            raise
        finally:
            keeper.cancel()


class _Holder:
    """The current form of a lease that is extended while it is used."""

    def __init__(self, lease: LaneLease) -> None:
        self.lease = lease
        self.lost: GatewayError | None = None
