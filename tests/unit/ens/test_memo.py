"""Bounded memory: lifetimes, single flight, fresh questions, errors that are kept and errors that are not."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ens.memo import Memo, MemoLimits
from gateway.errors import ChainUnavailable, GatewayError, UnknownName
from gateway.ids import EnsName

ALICE, BOB = EnsName("alice.eth"), EnsName("bob.eth")
LIMITS = MemoLimits(ttl=1_000, negative_ttl=100, fresh_interval=50, names=10)


class World:
    """What is out there, and how often it was asked."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.asked: list[EnsName] = []
        self.error: GatewayError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, name: EnsName) -> str:
        self.asked.append(name)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return f"{name} {len(self.asked)}"

    def memo(self, limits: MemoLimits = LIMITS) -> Memo[EnsName, str]:
        return Memo(self.load, clock=lambda: self.now, limits=limits)


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_an_answer_lives_for_its_time() -> None:
    world = World()
    memo = world.memo()
    assert await memo.get(ALICE) == "alice.eth 1"
    world.now += 999
    assert await memo.get(ALICE) == "alice.eth 1"
    world.now += 1
    assert await memo.get(ALICE) == "alice.eth 2"


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_no_limit_can_pass_five_minutes() -> None:
    world = World()
    memo = world.memo(MemoLimits(ttl=10**9))
    await memo.get(ALICE)
    world.now += 299_999
    assert await memo.get(ALICE) == "alice.eth 1"
    world.now += 1
    assert await memo.get(ALICE) == "alice.eth 2"


@pytest.mark.weakness(4)
async def test_a_clock_that_steps_back_keeps_nothing() -> None:
    world = World()
    memo = world.memo()
    await memo.get(ALICE)
    world.now -= 3_600_000
    assert await memo.get(ALICE) == "alice.eth 2"


async def test_fresh_questions_are_bounded() -> None:
    world = World()
    memo = world.memo()
    assert await memo.get(ALICE) == "alice.eth 1"
    # The first may come right after: what it distrusts was perhaps out of date when it was asked for.
    for _ in range(1_000):
        assert await memo.get(ALICE, fresh=True) == "alice.eth 2"
    world.now += 49
    assert await memo.get(ALICE, fresh=True) == "alice.eth 2"
    world.now += 1
    assert await memo.get(ALICE) == "alice.eth 2"
    assert await memo.get(ALICE, fresh=True) == "alice.eth 3"
    assert await memo.get(ALICE) == "alice.eth 3"


@pytest.mark.attack(37)
async def test_a_certain_no_is_kept_for_a_while() -> None:
    world = World()
    memo = world.memo()
    world.error = UnknownName("alice")
    for _ in range(3):
        with pytest.raises(UnknownName, match="alice"):
            await memo.get(ALICE)
    assert len(world.asked) == 1
    world.error = None
    world.now += 100
    assert await memo.get(ALICE) == "alice.eth 2"


async def test_an_outage_is_not_kept() -> None:
    world = World()
    memo = world.memo()
    world.error = ChainUnavailable()
    with pytest.raises(ChainUnavailable):
        await memo.get(ALICE)
    world.error = None
    assert await memo.get(ALICE) == "alice.eth 2"
    world.error = ChainUnavailable()
    world.now += 60
    with pytest.raises(ChainUnavailable):
        await memo.get(ALICE, fresh=True)
    assert await memo.get(ALICE) == "alice.eth 2", "what was known stays known for its time"


async def test_many_ask_once() -> None:
    world = World()
    memo = world.memo()
    world.gate.clear()
    waiting = [asyncio.create_task(memo.get(ALICE, fresh=bool(i % 2))) for i in range(50)]
    other = asyncio.create_task(memo.get(BOB))
    await asyncio.sleep(0)
    world.gate.set()
    answers = await asyncio.gather(*waiting)
    assert set(answers) == {answers[0]}
    assert (await other).startswith("bob.eth")
    assert sorted(world.asked) == [ALICE, BOB]


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    world = World()
    memo = world.memo()
    world.gate.clear()
    leaver, stayer = asyncio.create_task(memo.get(ALICE)), asyncio.create_task(memo.get(ALICE))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    world.gate.set()
    assert await stayer == "alice.eth 1"


async def test_everybody_gets_the_error_as_a_new_object() -> None:
    world = World()
    memo = world.memo()
    world.error = UnknownName("alice")
    found = await asyncio.gather(memo.get(ALICE), memo.get(ALICE), return_exceptions=True)
    assert [type(error) for error in found] == [UnknownName, UnknownName]
    assert found[0] is not found[1]


async def test_a_bug_is_not_kept_and_not_hidden() -> None:
    async def load(name: EnsName) -> str:
        raise RuntimeError("bug")

    memo = Memo(load, clock=lambda: 0)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await memo.get(ALICE)


async def test_memory_is_bounded() -> None:
    world = World()
    memo = world.memo()
    for number in range(11):
        await memo.get(EnsName(f"{number}.eth"))
    assert len(world.asked) == 11
    await memo.get(EnsName("10.eth"))
    assert len(world.asked) == 11
    await memo.get(EnsName("0.eth"))
    assert len(world.asked) == 12
