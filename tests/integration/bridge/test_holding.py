"""Work of one node at a time: taken, kept, given back, and lost when another node has it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.bridge import holding
from gateway.bridge.holding import Holding
from gateway.lifecycle import now_ms
from gateway.store import Store, sqlite
from gateway.store.migrate import upgrade
from tests.support.waiting import until


class MovingClock:
    """The machine's time and a step that a test chooses."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead


class Work:
    """Runs until cancelled, and says so."""

    def __init__(self) -> None:
        self.running = False

    async def __call__(self) -> None:
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False

    async def is_running(self) -> bool | None:
        return self.running or None

    async def is_over(self) -> bool | None:
        return not self.running or None


async def test_one_node_works_and_the_next_one_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    await asyncio.to_thread(upgrade, url)
    clock = MovingClock()
    async with await Store.open(url, clock=clock) as store:
        one, two = Work(), Work()
        first = asyncio.create_task(Holding(store, "one", clock).hold("link", one))
        await until(one.is_running)
        second = asyncio.create_task(Holding(store, "two", clock).hold("link", two))
        with pytest.raises(TimeoutError):
            await until(two.is_running, 0.3)
        # Given back by a node that stops.
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert not one.running
        await until(two.is_running)
        # Lost by one that slept for longer than its lease, once another one has it: its clock stands for the sleep, so
        # that it does not matter who of the two looks first.
        awake = MovingClock()
        awake.ahead = holding.LEASE_MS + 1000
        third = asyncio.create_task(Holding(store, "three", awake).hold("link", one))
        await until(one.is_running)
        await until(two.is_over)
        for task in (second, third):
            task.cancel()
        await asyncio.gather(second, third, return_exceptions=True)


async def test_what_the_work_raises_is_raised_and_the_right_given_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    await asyncio.to_thread(upgrade, url)
    async with await Store.open(url) as store:

        async def fails() -> None:
            raise ValueError("broken")

        now = now_ms()  # stands still: the lease would never run out
        with pytest.raises(ValueError, match="broken"):
            await Holding(store, "one", lambda: now).hold("link", fails)
        work = Work()
        other = asyncio.create_task(Holding(store, "two", lambda: now).hold("link", work))
        await until(work.is_running)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)


async def test_a_store_that_does_not_answer_ends_the_work_with_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then another node may have the right, whatever this one is still waiting for."""
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(holding, "LEASE_MS", 1_000)
    monkeypatch.setattr(holding, "RELEASE_SECONDS", 0.1)
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 300)
    path = tmp_path / "gateway.db"
    await asyncio.to_thread(upgrade, f"sqlite:///{path}")
    async with await Store.open(f"sqlite:///{path}") as store:
        work = Work()
        task = asyncio.create_task(Holding(store, "one", now_ms).hold("link", work))
        await until(work.is_running)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            await until(work.is_over, 60)
            assert other.in_transaction, "the store still does not answer"
            other.execute("ROLLBACK")
        await until(work.is_running)
        assert not task.done(), "it goes on when the store does"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
