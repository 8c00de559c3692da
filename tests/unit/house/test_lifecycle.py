"""The supervisor: keeps tasks alive, ends them together."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway import lifecycle
from gateway.lifecycle import DOUBT_MS, STEP_MS, SteadyClock, Supervisor, settle


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_PAUSE", 0.001)


async def test_a_task_that_raises_is_started_again() -> None:
    supervisor, tries, alive = Supervisor(), 0, asyncio.Event()

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("not yet")
        alive.set()
        await asyncio.Event().wait()

    supervisor.start("work", work)
    await asyncio.wait_for(alive.wait(), 60)
    await supervisor.stop()
    assert tries == 3


async def test_one_failing_task_does_not_disturb_another() -> None:
    supervisor, done = Supervisor(), asyncio.Event()

    async def failing() -> None:
        raise RuntimeError

    async def working() -> None:
        await asyncio.sleep(0.01)
        done.set()

    supervisor.start("failing", failing)
    supervisor.start("working", working)
    await asyncio.wait_for(done.wait(), 60)
    await supervisor.stop()
    assert done.is_set()


async def test_stop_cancels_and_waits() -> None:
    supervisor, ended = Supervisor(), asyncio.Event()
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    supervisor.start("work", work)
    await begun.wait()
    await supervisor.stop()
    assert ended.is_set()


async def test_stop_does_not_wait_for_ever() -> None:
    supervisor, begun, release = Supervisor(), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    supervisor.start("stubborn", stubborn)
    await begun.wait()
    await supervisor.stop(grace=0.01)
    assert not release.is_set()
    release.set()


async def test_a_name_runs_once() -> None:
    supervisor = Supervisor()
    supervisor.start("work", asyncio.Event().wait)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="runs already"):
        supervisor.start("work", asyncio.Event().wait)  # type: ignore[arg-type]
    await supervisor.stop()


def test_the_clock_gives_milliseconds() -> None:
    assert 1_600_000_000_000 < lifecycle.now_ms() < 10_000_000_000_000


class Hands:
    """A wall clock that is set by hand, and the time that passes."""

    def __init__(self) -> None:
        self.wall = self.passed = 1_700_000_000_000

    def pass_by(self, ms: int) -> None:
        self.wall += ms
        self.passed += ms

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.passed)


@pytest.mark.attack(60)
@pytest.mark.parametrize("step", [-3_600_000, 2 * STEP_MS, 86_400_000, 315_360_000_000])
def test_a_clock_that_is_set_is_followed_after_a_while(step: int) -> None:
    hands = Hands()
    clock, began = hands.steady(), hands.passed
    hands.wall += step
    for _ in range(DOUBT_MS // 1000 - 1):
        assert clock() == hands.passed
        hands.pass_by(1000)
    assert clock() == hands.passed
    hands.pass_by(1000)
    assert clock() == hands.wall == began + DOUBT_MS + step
    hands.pass_by(1)
    assert clock() == hands.wall


def test_a_clock_that_is_put_right_again_was_never_followed() -> None:
    hands = Hands()
    clock = hands.steady()
    for _ in range(3):
        hands.wall += 86_400_000
        hands.pass_by(DOUBT_MS // 2)
        assert clock() == hands.passed
        hands.wall -= 86_400_000
        hands.pass_by(DOUBT_MS)
        assert clock() == hands.passed == hands.wall


def test_a_clock_that_is_set_twice_is_doubted_anew() -> None:
    hands = Hands()
    clock = hands.steady()
    for step in (86_400_000, 86_400_000, -3 * 86_400_000):
        hands.wall += step
        assert clock() == hands.passed
        hands.pass_by(DOUBT_MS - 1000)
        assert clock() == hands.passed


@pytest.mark.parametrize("step", [-STEP_MS, -1, 1, STEP_MS])
def test_a_clock_that_is_put_right_by_a_little_is_followed_at_once(step: int) -> None:
    hands = Hands()
    clock = hands.steady()
    for _ in range(5):
        hands.wall += step
        assert clock() == hands.wall


def test_what_is_loaded_is_left_out_of_garbage_collections() -> None:
    kept = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    before = gc.get_threshold()
    # Another test of this process may have settled already.
    gc.set_threshold(700, *before[1:])
    settle()
    try:
        assert gc.get_threshold() == (lifecycle.NEW_OBJECTS, *before[1:])
        assert gc.get_freeze_count() > len(kept)
        assert not any(each is kept for each in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert any(each is kept for each in gc.get_objects())
