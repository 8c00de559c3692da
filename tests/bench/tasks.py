"""The peer beside the lanes: procrastinate, a queue on PostgreSQL, with a task that does nothing.

A process of its own: reads and answers what tests/bench/queueing.py does. Each job has a lock, as its lane is ours, so
that jobs of one lane are done one after the other in their order; what is done is deleted, as it is here.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import logging
import sys
import time
from typing import Any, Final

import uvloop

NAME: Final = "procrastinate"
CONNECTIONS: Final = 20
CONCURRENCY: Final = 20
"""Jobs that its worker does at the same time; more did not make it faster."""
LEFT: Final = "SELECT count(*) AS left FROM procrastinate_jobs"
LOOK_SECONDS: Final = 0.002


def installed() -> bool:
    """Whether this environment has it: deploy/bench.sh brings it, the tests do without."""
    return importlib.util.find_spec(NAME) is not None


async def serve(url: str, lanes: int, in_flight: int) -> None:
    """Until standard input ends."""
    # Not imported by name: types are not checked against a package that need not be there.
    procrastinate: Any = importlib.import_module(NAME)
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)
    done = 0

    async def nothing(**_message: str) -> None:
        nonlocal done
        done += 1

    task = app.task(name="nothing", pass_context=False)(nothing)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=CONCURRENCY, delete_jobs="successful", install_signal_handlers=False, wait=True
            )
        )
        print(json.dumps({"ready": True}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            started, used = time.perf_counter(), time.process_time()
            await _work(task, lanes, in_flight, int(line))
            while (await connector.execute_query_one_async(LEFT))["left"]:  # noqa: ASYNC110 - its own transactions
                await asyncio.sleep(LOOK_SECONDS)
            spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
            print(json.dumps(spent), flush=True)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def _work(task: Any, lanes: int, in_flight: int, count: int) -> None:
    numbers = iter(range(count))

    async def defer() -> None:
        for number in numbers:
            message = {"to": "alice.eth", "from_": "bob.eth", "text": "a message of about the length that people write"}
            await task.configure(lock=f"lane-{number % lanes}").defer_async(**message)

    await asyncio.gather(*(defer() for _ in range(in_flight)))


def main() -> None:
    """Read what to work on."""
    logging.basicConfig(level=logging.ERROR)
    given = json.loads(sys.stdin.readline())
    uvloop.run(serve(given["url"], given["lanes"], given["in_flight"]))


if __name__ == "__main__":
    main()
