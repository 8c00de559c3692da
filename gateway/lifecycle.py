"""Clock and background tasks: what starts with the gateway, is restarted when it fails, and ends with it."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

Clock = Callable[[], int]
"""Gives milliseconds since the epoch."""

FIRST_PAUSE = 0.5
"""Seconds before a failed task is started again; doubles up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
"""Seconds after which a task that fails counts as having worked."""
NEW_OBJECTS = 10_000
"""Between two collections of the youngest garbage; Python's own 700 are few for some hundred requests under way."""


def now_ms() -> int:
    """The wall clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def settle() -> None:
    """Leave what is loaded by now out of later garbage collections, and collect less often.

    It stays anyway, and looking through all of it stops the process for a tenth of a second each time. What requests
    leave behind is nearly all freed by counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


class Supervisor:
    """Runs named tasks; one that raises is started again after a pause with jitter, and the rest go on."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work()` until it returns or `stop` is called."""
        if name in self._tasks:
            raise ValueError(f"task {name} runs already")
        self._tasks[name] = asyncio.create_task(self._keep(name, work), name=name)

    async def stop(self, grace: float = 10.0) -> None:
        """Cancel everything and wait for it, at most `grace` seconds."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                log.warning("task.late", task=task.get_name(), grace=grace)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await work()
                return
            except Exception:
                if time.monotonic() - started > HEALTHY_AFTER:
                    pause = FIRST_PAUSE
                log.exception("task.failed", task=name, again_in=pause)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)
