"""Figures per interval: added by several nodes, read without the interval under way, forgotten in time."""

from __future__ import annotations

import asyncio

from gateway.store import Store
from gateway.store.traffic import AddTraffic, ForgetTraffic, Interval, TrafficBetween
from tests.integration.store.values import NOW

HOUR = 3_600_000


async def test_nothing_was_counted_yet(store: Store) -> None:
    assert await store.read(TrafficBetween(0, NOW)) == []


async def test_figures_are_added_up(store: Store) -> None:
    await store.commit(AddTraffic(Interval(NOW, messages=2, bytes=100)))
    await store.commit(AddTraffic(Interval(NOW, messages=1, bytes=50, notifications=3)))
    await store.commit(AddTraffic(Interval(NOW + HOUR, notifications=1)))
    assert await store.read(TrafficBetween(0, NOW + 2 * HOUR)) == [
        Interval(NOW, 3, 150, 3),
        Interval(NOW + HOUR, 0, 0, 1),
    ]


async def test_two_nodes_lose_nothing_of_each_other(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        intervals = [Interval(NOW + n % 3 * HOUR, messages=1, bytes=n) for n in range(90)]
        await asyncio.gather(*((one, two)[n % 2].commit(AddTraffic(each)) for n, each in enumerate(intervals)))
        found = await one.read(TrafficBetween(0, NOW + 3 * HOUR))
        assert [(each.messages, each.bytes) for each in found] == [(30, sum(range(n, 90, 3))) for n in range(3)]


async def test_sums_beyond_32_bits(store: Store) -> None:
    for _ in range(2):
        await store.commit(AddTraffic(Interval(NOW, messages=2**32, bytes=2**40)))
    assert await store.read(TrafficBetween(NOW, NOW + 1)) == [Interval(NOW, 2**33, 2**41)]


async def test_only_whole_intervals_of_the_time_asked_for(store: Store) -> None:
    for number in range(5):
        await store.commit(AddTraffic(Interval(NOW + number * HOUR, messages=number)))
    found = await store.read(TrafficBetween(NOW + HOUR, NOW + 3 * HOUR))
    assert [each.messages for each in found] == [1, 2], "oldest first, without the one that begins at the end"


async def test_old_figures_go_in_bounded_steps(store: Store) -> None:
    for number in range(5):
        await store.commit(AddTraffic(Interval(NOW + number * HOUR, messages=number)))
    forget = ForgetTraffic(NOW + 3 * HOUR, 2)
    assert [await store.commit(forget) for _ in range(3)] == [2, 1, 0]
    assert [each.messages for each in await store.read(TrafficBetween(0, NOW + 9 * HOUR))] == [3, 4]
