"""Clock and background tasks: what starts with the gateway, is restarted when it fails, and ends with it."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

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


STEP_MS: Final = 60_000
"""When the wall clock goes this much further than time did, or less far, somebody set it."""
DOUBT_MS: Final = 600_000
"""A clock that was set is not followed for this long: a wrong time is often put right again soon."""


def passed_ms() -> int:
    """Milliseconds that have passed since this machine started, those of its sleep included."""
    return time.clock_gettime_ns(_SINCE_START) // 1_000_000


_SINCE_START: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SteadyClock:
    """The wall clock, not followed at once when it is set while the node runs.

    Leases, back-off and expiry are stored times. A clock that is an hour late would let them wait for an hour, and one
    that is ten years early would give up every message.
    """

    def __init__(self, wall: Clock = now_ms, passed: Callable[[], int] = passed_ms) -> None:
        self._wall = wall
        self._passed = passed
        self._known = wall(), passed()
        self._doubt: tuple[int, int] | None = None
        """How far the wall clock was set, and when."""

    def __call__(self) -> int:
        """Milliseconds since the epoch."""
        wall, passed = self._wall(), self._passed()
        expected = self._known[0] + passed - self._known[1]
        step = wall - expected
        if abs(step) <= STEP_MS:
            return self._believe(wall, passed)
        if self._doubt is None or abs(step - self._doubt[0]) > STEP_MS:
            self._doubt = step, passed
            log.warning("clock.set", seconds=step // 1000, followed_in=DOUBT_MS // 1000)
        elif passed - self._doubt[1] >= DOUBT_MS:
            log.warning("clock.followed", seconds=step // 1000)
            return self._believe(wall, passed)
        return expected

    def _believe(self, wall: int, passed: int) -> int:
        self._known, self._doubt = (wall, passed), None
        return wall


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
