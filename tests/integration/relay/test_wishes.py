"""Who wants to be told: one look for many envelopes, and no old knowledge after a change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway.errors import Unavailable
from gateway.relay.notify.wishes import REMEMBERED_SECONDS, Wishes
from gateway.store import Store
from gateway.store.channels import ChannelKind, PutChannel, SetNotify
from tests.integration.store.values import BOB, BOB_ADDRESS, NOW, address
from tests.support.accounts import Registered


@dataclass
class Counted:
    """A store whose reads are counted; each waits for `gate` before its answer is given."""

    store: Store
    reads: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def read(self, query: Any) -> Any:
        self.reads += 1
        found = await self.store.read(query)
        self.answered.set()
        await self.gate.wait()
        return found


@dataclass
class Timer:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    store: Store
    counted: Counted
    timer: Timer
    wishes: Wishes

    async def switch(self, on: bool) -> None:
        await self.store.commit(SetNotify(BOB_ADDRESS, on))


@pytest.fixture
async def desk(store: Store) -> Desk:
    """Bob has a channel, and notifications off."""
    await store.commit(Registered(BOB_ADDRESS, BOB))
    await store.commit(PutChannel(BOB_ADDRESS, ChannelKind.PUSH, "{}", True, NOW))
    counted, timer = Counted(store), Timer()
    return Desk(store, counted, timer, Wishes(cast("Store", counted), frozenset(ChannelKind), timer=timer))


async def test_many_questions_are_one_look(desk: Desk) -> None:
    assert not any([await desk.wishes.wants(BOB_ADDRESS) for _ in range(100)])
    assert desk.counted.reads == 1
    assert await desk.wishes.wants(address("carol")) is False
    assert desk.counted.reads == 2


async def test_a_change_on_this_node_counts_at_once(desk: Desk) -> None:
    assert await desk.wishes.wants(BOB_ADDRESS) is False
    for on in (True, False):
        await desk.switch(on)
        desk.wishes.changed(BOB_ADDRESS)
        assert await desk.wishes.wants(BOB_ADDRESS) is on


async def test_a_change_on_another_node_counts_after_some_seconds(desk: Desk) -> None:
    assert await desk.wishes.wants(BOB_ADDRESS) is False
    await desk.switch(True)
    desk.timer.now = REMEMBERED_SECONDS - 0.1
    assert await desk.wishes.wants(BOB_ADDRESS) is False
    desk.timer.now = REMEMBERED_SECONDS
    assert await desk.wishes.wants(BOB_ADDRESS) is True


async def test_what_was_read_before_a_change_is_not_remembered_after_it(desk: Desk) -> None:
    desk.counted.gate.clear()
    asked = asyncio.create_task(desk.wishes.wants(BOB_ADDRESS))
    await desk.counted.answered.wait()
    await desk.switch(True)
    desk.wishes.changed(BOB_ADDRESS)
    desk.counted.gate.set()
    assert await asked is False
    assert await desk.wishes.wants(BOB_ADDRESS) is True


async def test_where_nothing_is_offered_nobody_looks(desk: Desk) -> None:
    nothing = Wishes(cast("Store", desk.counted), frozenset())
    assert await nothing.wants(BOB_ADDRESS) is False
    assert desk.counted.reads == 0


async def test_a_store_that_does_not_answer_is_not_remembered(desk: Desk) -> None:
    await desk.store.close()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await desk.wishes.wants(BOB_ADDRESS)
    assert desk.counted.reads == 2
