"""Events of a network are taken once each, in order, together with the keys by which they are known again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import InvalidInput
from gateway.ids import LaneKey
from gateway.store import Store
from gateway.store.intake import Arrival, TakeArrivals
from gateway.store.lanes import FinishJob, LaneJobs, LeaseLanes
from gateway.store.once import ExpireOnce
from tests.integration.store.values import NOW, Sql, job, lane

UNTIL = NOW + 1000
A, B = lane("a", "matrix"), lane("b", "matrix")


def arrival(key: str, payload: object = "", which: LaneKey = A) -> Arrival:
    return Arrival(key, job(payload or key, lane=which))


def take(*arrivals: Arrival, scope: str = "event:matrix", expires_at: int = UNTIL) -> TakeArrivals:
    return TakeArrivals(scope, arrivals, expires_at)


async def payloads(store: Store, which: LaneKey = A) -> list[bytes]:
    found = await store.read(LaneJobs(which, 1000))
    assert [each.id for each in found] == sorted(each.id for each in found)
    return [each.payload for each in found]


async def test_what_is_new_is_put_into_its_lane_in_order(store: Store) -> None:
    some = [arrival(f"k{number}", number + 1, (A, B)[number % 2]) for number in range(300)]
    assert await store.commit(take(*some)) == 300
    assert await payloads(store, A) == [b"%d" % number for number in range(1, 301, 2)]
    assert await payloads(store, B) == [b"%d" % number for number in range(2, 301, 2)]


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ("aa", [0]),
        ("aba", [0, 1]),
        ("aabbcc", [0, 2, 4]),
        ("abcabcabc", [0, 1, 2]),
    ],
)
async def test_a_repeat_in_one_batch_is_taken_once_and_the_first_counts(
    store: Store, keys: str, left: Sequence[int]
) -> None:
    some = [arrival(key, f"{place}") for place, key in enumerate(keys)]
    assert await store.commit(take(*some)) == len(left)
    assert await payloads(store) == [b"%d" % place for place in left]


async def test_a_repeat_in_a_later_batch_is_nothing_new(store: Store) -> None:
    assert await store.commit(take(arrival("a", "first"), arrival("b", "second"))) == 2
    assert await store.commit(take(arrival("b", "again"), arrival("c", "third"), arrival("a", "again"))) == 1
    assert await store.commit(take(arrival("a"), arrival("b"), arrival("c"))) == 0
    assert await payloads(store) == [b"first", b"second", b"third"]


async def test_without_a_key_everything_is_new_and_keeps_its_place(store: Store) -> None:
    some = [arrival("", "1"), arrival("a", "2"), arrival("", "3"), arrival("a", "4"), arrival("", "5")]
    assert await store.commit(take(*some)) == 4
    assert await store.commit(take(*some)) == 3
    assert await payloads(store) == [b"1", b"2", b"3", b"5", b"1", b"3", b"5"]


async def test_keys_are_apart_by_scope(store: Store) -> None:
    assert await store.commit(take(arrival("a"))) == 1
    assert await store.commit(take(arrival("a"), scope="event:xmpp")) == 1
    assert await store.commit(take(arrival("a"))) == 0


async def test_nothing_is_nothing(store: Store) -> None:
    assert await store.commit(take()) == 0
    assert await store.read(Sql("SELECT * FROM lanes")) == []


async def test_a_key_counts_when_its_job_is_long_done_and_until_it_is_forgotten(store: Store) -> None:
    await store.commit(take(arrival("a")))
    [lease] = await store.commit(LeaseLanes("node", NOW, 1000, 1))
    [queued] = await store.read(LaneJobs(A, 10))
    await store.commit(FinishJob(lease, queued.id, NOW))
    assert await store.commit(take(arrival("a"))) == 0
    assert await store.commit(ExpireOnce(UNTIL - 1, 10)) == 0
    assert await store.commit(take(arrival("a"))) == 0
    assert await store.commit(ExpireOnce(UNTIL, 10)) == 1
    assert await store.commit(take(arrival("a"))) == 1


async def test_lanes_become_due_with_what_is_new_and_stay_idle_with_what_is_not(store: Store) -> None:
    due = Sql("SELECT name, due FROM lanes ORDER BY name")
    await store.commit(take(arrival("a")))
    [lease] = await store.commit(LeaseLanes("node", NOW, 1000, 1))
    [queued] = await store.read(LaneJobs(A, 10))
    await store.commit(FinishJob(lease, queued.id, NOW))
    await store.commit(take(arrival("a")))
    assert await store.read(due) == [(A, None)]
    await store.commit(take(arrival("a"), arrival("b", which=B)))
    assert await store.read(due) == [(A, None), (B, NOW)]


async def test_only_what_is_new_wakes_the_workers(store: Store) -> None:
    op = take(arrival("a"))
    assert op.wakes(await store.commit(op)) is True
    assert await store.wait_for_work(0.5) is True
    assert op.wakes(await store.commit(op)) is False


def test_lanes_are_named_once() -> None:
    assert take(arrival("a"), arrival("b", which=B), arrival("c")).lanes() == (A, B)


async def test_what_the_database_refuses_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.commit(take(arrival("a"), arrival("\ud800", "b")))
    with pytest.raises(InvalidInput):
        await store.commit(take(arrival("a"), Arrival("b", job("b", lane=LaneKey("\ud800")))))
    assert await payloads(store) == []
    assert await store.commit(take(arrival("a"))) == 1, "the key is free again"


async def test_two_nodes_that_are_handed_the_same_take_each_event_once(store_url: str) -> None:
    some = [arrival(f"k{number}", number + 1) for number in range(50)]
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        numbers = await asyncio.gather(
            *((one, two)[n % 2].commit(take(*(some if n % 4 < 2 else some[::-1]))) for n in range(12))
        )
        assert sum(numbers) == 50
        assert sorted(map(int, await payloads(one))) == list(range(1, 51))
