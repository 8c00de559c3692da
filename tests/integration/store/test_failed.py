"""Messages that failed: kept, tried again in their order and once, forgotten."""

from __future__ import annotations

import asyncio

from gateway.ids import EnsName, NativeId
from gateway.store import Store
from gateway.store.failed import (
    Failure,
    FailuresOf,
    ForgetFailures,
    KeepFailed,
    KeptMessages,
    LastFailure,
    RetryFailed,
)
from gateway.store.lanes import Enqueue, LaneJobs
from tests.integration.store.values import ALICE, BOB, EMAIL, MATRIX, NOW, job, lane

ANN = EnsName("ann.example.org.email.gw.eth")


def failed(number: int, recipient: EnsName = ALICE, *, at: int = NOW) -> KeepFailed:
    return KeepFailed(Failure(EMAIL, ANN, recipient, NativeId(f"n{number}"), f"because {number}", at), b"%d" % number)


async def kept(store: Store, recipient: EnsName | None = None, *, after: int = 0, upto: int = 2**40) -> list[bytes]:
    found = await store.read(KeptMessages(EMAIL, ANN, recipient, after, upto, 100))
    return [each.payload for each in found]


async def test_what_failed_is_listed_youngest_first_and_kept_in_order(store: Store) -> None:
    for number in range(4):
        await store.commit(failed(number, BOB if number == 2 else ALICE, at=NOW + number))
    await store.commit(KeepFailed(Failure(MATRIX, ANN, ALICE, NativeId("n9"), "", NOW), b"9"))
    listed = await store.read(FailuresOf(EMAIL, ANN, 3))
    assert [(each.native_id, each.recipient, each.reason, each.at) for each in listed] == [
        ("n3", ALICE, "because 3", NOW + 3),
        ("n2", BOB, "because 2", NOW + 2),
        ("n1", ALICE, "because 1", NOW + 1),
    ]
    assert [each.native_id for each in await store.read(FailuresOf(EMAIL, ANN, 9, BOB))] == ["n2"]
    assert await kept(store) == [b"0", b"1", b"2", b"3"]
    assert await kept(store, ALICE) == [b"0", b"1", b"3"]
    last = await store.read(LastFailure(EMAIL, ANN))
    assert await kept(store, after=listed[2].id, upto=last - 1) == [b"2"]
    assert await store.read(LastFailure(EMAIL, BOB)) == 0


async def test_the_same_message_is_kept_once(store: Store) -> None:
    """An operator gave a job on hold a second chance, and it failed again."""
    for number in (0, 1, 0):
        await store.commit(failed(number))
    assert await kept(store) == [b"1", b"0"]


async def test_a_retry_stands_behind_what_is_there_and_in_order(store: Store) -> None:
    await store.commit(Enqueue(job("there")))
    for number in range(3):
        await store.commit(failed(number))
    found = await store.read(KeptMessages(EMAIL, ANN, None, 0, 2**40, 100))
    jobs = tuple((each.id, job(each.payload)) for each in found)
    assert sorted(await asyncio.gather(*(store.commit(RetryFailed(jobs)) for _ in range(4)))) == [0, 0, 0, 3]
    queued = await store.read(LaneJobs(lane(), 10))
    assert [each.payload for each in queued] == [b"there", b"0", b"1", b"2"]
    assert await kept(store) == []


async def test_a_retry_of_what_is_partly_gone(store: Store) -> None:
    for number in range(3):
        await store.commit(failed(number))
    found = await store.read(KeptMessages(EMAIL, ANN, None, 0, 2**40, 100))
    await store.commit(RetryFailed(((found[1].id, job("first")),)))
    assert await store.commit(RetryFailed(tuple((each.id, job(each.payload)) for each in found))) == 2
    assert [each.payload for each in await store.read(LaneJobs(lane(), 10))] == [b"first", b"0", b"2"]


async def test_a_retry_of_nothing_makes_no_lane(store: Store) -> None:
    assert await store.commit(RetryFailed(((7, job("x")),))) == 0
    assert await store.read(LaneJobs(lane(), 10)) == []


async def test_they_are_forgotten_by_age(store: Store) -> None:
    for number in range(6):
        await store.commit(failed(number, at=NOW + number))
    assert await store.commit(ForgetFailures(NOW + 3, 2)) == 2
    assert await store.commit(ForgetFailures(NOW + 3, 2)) == 1
    assert await store.commit(ForgetFailures(NOW + 3, 2)) == 0
    assert await kept(store) == [b"3", b"4", b"5"]
