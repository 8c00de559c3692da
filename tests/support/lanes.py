"""Doing the jobs that are due at one moment, step by step: the worker's steps with a clock that a test turns."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.store import Store
from gateway.store.lanes import FinishJob, LaneJobs, LeaseLanes, ReleaseLane, RetryJob
from gateway.work.results import Done, Handler, Hold, Later, Result

OWNER = "test"
LEASE_MS = 60_000


async def drain(store: Store, handlers: Mapping[str, Handler], now: int) -> list[Result]:
    """Do everything that is due at `now`; what the handlers said, in order. A job that must wait waits."""
    said: list[Result] = []
    while leases := await store.commit(LeaseLanes(OWNER, now, LEASE_MS, 100)):
        for lease in leases:
            released = False
            while not released and (jobs := await store.read(LaneJobs(lease.lane, 1))):
                job = jobs[0]
                handler = handlers[job.kind]
                result = await (handler.expire(job) if job.expires_at <= now else handler.handle(job, _no_checkpoint))
                said.append(result)
                match result:
                    case Done(ops, after):
                        # The operations come first: one of them may put a further job into this lane.
                        *_, finished = await store.commit_all(*ops, FinishJob(lease, job.id, now))
                        released = finished.released
                        if after is not None:
                            await after()
                    case Later(reason, after_ms):
                        await store.commit(RetryJob(lease, job.id, now, 1000 if after_ms is None else after_ms, reason))
                        break
                    case Hold(reason):
                        raise AssertionError(f"on hold: {reason}")
            if not released:
                await store.commit(ReleaseLane(lease, now))
    return said


async def _no_checkpoint(_payload: bytes) -> None:
    raise AssertionError("no job of these tests writes a checkpoint")
