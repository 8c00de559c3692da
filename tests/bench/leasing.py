"""Lanes that are leased and worked off among many others that wait, step by step and without a worker.

A process of its own: reads a line ``{"url"}`` and then, for each line ``count``, leases so many of the lanes that are
due, ends the job of each in a transaction of its own, and answers with the CPU seconds that it took. Then each lane
gets its job back, which is not counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Final

from gateway.lifecycle import now_ms
from gateway.observability import set_up_logging
from gateway.store import Store
from gateway.store.jobs import Enqueue, NewJob
from gateway.store.lanes import FinishJob, LaneLease, LeaseLanes
from gateway.work.keeper import LEASE_MS

OWNER: Final = "bench"


async def lease_and_finish(store: Store, count: int) -> list[LaneLease]:
    """As a worker does it that has nothing else to do; RuntimeError when not so many lanes are due."""
    leases = await store.commit(LeaseLanes(OWNER, now_ms(), LEASE_MS, count))
    if len(leases) != count:
        raise RuntimeError(f"{len(leases)} lanes were due where {count} should be")
    for lease in leases:
        assert lease.first is not None
        await store.commit(FinishJob(lease, lease.first.id, now_ms()))
    return leases


async def put_back(store: Store, leases: list[LaneLease]) -> None:
    """A job like the one that is done, behind those that wait."""
    for lease in leases:
        assert lease.first is not None
        job = lease.first
        await store.commit(Enqueue(NewJob(job.lane, job.kind, job.payload, now_ms(), job.expires_at)))


async def serve(url: str) -> None:
    """Until standard input ends."""
    async with await Store.open(url) as store:
        while line := await asyncio.to_thread(sys.stdin.readline):
            began = time.process_time()
            leases = await lease_and_finish(store, int(line))
            print(time.process_time() - began, flush=True)
            await put_back(store, leases)


def main() -> None:
    """Read what to work on."""
    logging.basicConfig(level=logging.ERROR)
    set_up_logging("ERROR")
    asyncio.run(serve(json.loads(sys.stdin.readline())["url"]))


if __name__ == "__main__":
    main()
