"""Questions at once: order, types, and that none outlives the failure of another."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ens.together import all_of, both


async def after(turns: int, result: str) -> str:
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


async def test_results_come_in_order() -> None:
    assert await all_of(after(3, "a"), after(1, "b"), after(2, "c")) == ["a", "b", "c"]
    assert await all_of() == []

    async def number() -> int:
        return 7

    assert await both(after(2, "a"), number()) == ("a", 7)


async def test_a_failure_stops_the_others() -> None:
    stopped: list[str] = []

    async def forever() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            stopped.append("stopped")
            raise
        return "never"

    async def fail() -> str:
        await asyncio.sleep(0)
        raise LookupError("failed")

    with pytest.raises(LookupError):
        await all_of(forever(), fail(), forever())
    assert stopped == ["stopped", "stopped"]
    with pytest.raises(LookupError):
        await both(fail(), fail())


async def test_being_cancelled_stops_all() -> None:
    stopped = 0

    async def forever() -> None:
        nonlocal stopped
        try:
            await asyncio.sleep(3600)
        finally:
            stopped += 1

    task = asyncio.create_task(all_of(forever(), forever()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == 2
