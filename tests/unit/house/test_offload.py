"""Work on large requests leaves the event loop, a little of it at a time; work on small ones stays."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.offload import INLINE_BYTES, Offload


async def test_small_work_stays_on_the_event_loop() -> None:
    assert await Offload().run(INLINE_BYTES, threading.get_ident) == threading.get_ident()


async def test_large_work_leaves_the_event_loop() -> None:
    assert await Offload().run(INLINE_BYTES + 1, threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("size", [1, INLINE_BYTES + 1])
async def test_results_arguments_and_errors_pass_through(size: int) -> None:
    offload = Offload()
    assert await offload.run(size, int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await offload.run(size, int, "no number")


async def test_only_so_many_at_once() -> None:
    offload, lock, go = Offload(threads=2), threading.Lock(), threading.Event()
    running = most = 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1

    tasks = [asyncio.create_task(offload.run(INLINE_BYTES + 1, work)) for _ in range(8)]
    async with asyncio.timeout(60):
        while running < 2:  # noqa: ASYNC110 - threads count, not tasks
            await asyncio.sleep(0.005)
    go.set()
    await asyncio.gather(*tasks)
    assert most == 2
