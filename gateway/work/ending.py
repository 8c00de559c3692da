"""The end of one try of a job: written down once, and not given up because the store is away for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from gateway.errors import GatewayError, LeaseLost, Unavailable
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.jobs import Job
from gateway.store.lanes import Finished, FinishJob, HoldJob, LaneJobs, LaneLease, RetryJob
from gateway.store.op import Op
from gateway.work.keeper import Keeper

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 1.0
"""Pause before a result is offered to the store again."""
OVERLOAD_TRIES: Final = 3
"""Times that a result is offered to a store that has too much to do."""
STOP_SECONDS: Final = 2.0
"""A cancelled worker waits this long for the transaction that ends the job."""


class Ending:
    """Commits the result of a try under the lease of its lane; every method raises LeaseLost when that is gone.

    While the store is unavailable the result is kept and offered again: doing the job again instead could deliver it
    twice.
    """

    def __init__(self, store: Store, clock: Clock, keeper: Keeper, job: Job) -> None:
        self._store = store
        self._clock = clock
        self._keeper = keeper
        self._job = job

    async def done(self, ops: tuple[Op[Any], ...]) -> Exception | None:
        """Remove the job and apply `ops`; the error, and nothing is written, when the store refuses them.

        The lane is given back in the same transaction when nothing of it is left. The keeper is told, or what is next.
        """
        # The operations come first: one of them may put a further job into this lane.
        try:
            results = await self._write(lambda lease, now: (*ops, FinishJob(lease, self._job.id, now)))
        except LeaseLost:
            raise
        except Exception as error:
            log.error("job.result_refused", job=self._job.id, kind=self._job.kind, error=type(error).__name__)
            return error
        # An offer that was taken in the end says nothing of what is left.
        finished: Finished | None = results[-1] if results else None
        self._keeper.released = finished is not None and finished.released
        self._keeper.next = None if finished is None else finished.next
        return None

    async def later(self, reason: str, delay_ms: int, *, counts: bool = True) -> None:
        """Count the try, if it was one, and let the lane wait."""
        await self._write(lambda lease, now: (RetryJob(lease, self._job.id, now, delay_ms, reason, counts=counts),))

    async def hold(self, reason: str, ops: tuple[Op[Any], ...]) -> None:
        """Set the job aside and apply `ops`, or without them when the store refuses them."""
        try:
            await self._write(lambda lease, now: (HoldJob(lease, self._job.id, now, reason), *ops))
        except LeaseLost:
            raise
        except Exception as error:
            if not ops:
                raise
            log.error("job.notice_refused", job=self._job.id, error=type(error).__name__)
            await self.hold(reason, ())

    async def _write(self, unit: Callable[[LaneLease, int], tuple[Op[Any], ...]]) -> tuple[Any, ...]:
        """Commit; a cancellation waits a little for what is being written, so that what was done stays done."""
        return await _unbroken(self._offer(unit, self._clock()))

    async def _offer(self, unit: Callable[[LaneLease, int], tuple[Op[Any], ...]], now: int) -> tuple[Any, ...]:
        """The results; none when an earlier offer was taken after all.

        `now` (ms) is when the try ended; later offers count from when they are made.
        """
        tries = 0
        while True:
            tries += 1
            try:
                # An unavailable store may have committed all the same.
                if tries > 1 and not await self._is_there():
                    # With its last job the lane was given back, and it may be another's by now.
                    await self._keeper.extend()
                    return ()
                return await self._store.commit_all(*unit(self._keeper.lease, now))
            except LeaseLost:
                raise
            except GatewayError as error:
                if not error.retry or (not isinstance(error, Unavailable) and tries >= OVERLOAD_TRIES):
                    raise
                log.warning("job.result_waits", job=self._job.id, error=type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)
            now = self._clock()

    async def _is_there(self) -> bool:
        """Whether the job still is the first of its lane; nobody but us ends it, or an operator dropped it."""
        return any(job.id == self._job.id for job in await self._store.read(LaneJobs(self._job.lane, 1)))


async def _unbroken(work: Coroutine[Any, Any, tuple[Any, ...]]) -> tuple[Any, ...]:
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        if not task.done():
            task.cancel()
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.warning("job.result_lost", error=type(error).__name__)
        raise
