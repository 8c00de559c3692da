"""The lanes alone: jobs that are committed, leased, handed to a handler that does nothing, and completed.

A process of its own, on uvloop as the gateway is: reads a line ``{"url", "lanes", "in_flight"}``, says
``{"ready": true}``, and for each further line with a number commits so many jobs, to all lanes in turn and so many of
them at the same time, while a worker works them off. Answers ``{"seconds", "cpu"}``: from the first commit until the
completion of the last one is committed, CPU of this process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Final

import uvloop

from gateway.ids import LaneKey
from gateway.lifecycle import now_ms
from gateway.observability import set_up_logging
from gateway.store import Store
from gateway.store.jobs import Enqueue, Job, NewJob, lane_key
from gateway.work.results import Checkpoint, Done
from gateway.work.worker import Worker

KIND: Final = "nothing"
PAYLOAD: Final = b'{"to":"alice.eth","from":"bob.eth","text":"a message of about the length that people write"}'
DAY_MS: Final = 24 * 3600 * 1000
DESTINATIONS: Final = 50
"""Lanes are shared out among them; one destination alone would get no more than its share of a node."""


class Nothing:
    """A handler that has nothing to do; it counts the jobs whose end is on disk."""

    def __init__(self) -> None:
        self._left = 0
        self._all_done = asyncio.Event()

    def expect(self, jobs: int) -> None:
        """Before they are committed."""
        self._left = jobs
        self._all_done.clear()

    async def all_done(self) -> None:
        """Return when so many are done."""
        await self._all_done.wait()

    async def handle(self, _job: Job, _checkpoint: Checkpoint) -> Done:
        """Done at once."""
        return Done(after=self._count)

    async def expire(self, _job: Job) -> Done:
        """Never asked here."""
        return Done()

    async def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._all_done.set()


async def work(store: Store, handler: Nothing, lanes: Sequence[LaneKey], in_flight: int, count: int) -> None:
    """Commit jobs and wait until all are done."""
    handler.expect(count)
    numbers = iter(range(count))

    async def commit() -> None:
        for number in numbers:
            now = now_ms()
            job = NewJob(lanes[number % len(lanes)], KIND, PAYLOAD, created_at=now, expires_at=now + DAY_MS)
            await store.commit(Enqueue(job))

    await asyncio.gather(*(commit() for _ in range(in_flight)))
    await handler.all_done()


def lanes_of(number: int) -> list[LaneKey]:
    """So many lanes, of several destinations."""
    return [lane_key(f"destination-{n % DESTINATIONS}", str(n)) for n in range(number)]


async def serve(url: str, lanes: int, in_flight: int) -> None:
    """Until standard input ends."""
    handler = Nothing()
    async with await Store.open(url) as store:
        worker = Worker(store=store, handlers={KIND: handler}, owner="bench", clock=now_ms)
        running = asyncio.create_task(worker.run())
        names = lanes_of(lanes)
        print(json.dumps({"ready": True}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            started, used = time.perf_counter(), time.process_time()
            await work(store, handler, names, in_flight, int(line))
            spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
            print(json.dumps(spent), flush=True)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def main() -> None:
    """Read what to work on."""
    logging.basicConfig(level=logging.ERROR)
    set_up_logging("ERROR")
    given = json.loads(sys.stdin.readline())
    uvloop.run(serve(given["url"], given["lanes"], given["in_flight"]))


if __name__ == "__main__":
    main()
