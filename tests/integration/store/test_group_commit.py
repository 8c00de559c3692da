"""Group commit: one answer each, after the commit; faults stay with the unit that has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from gateway.errors import GatewayError, InvalidInput, LeaseLost, LimitExceeded, Unavailable
from gateway.ids import Network
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.engine import sqlite_path
from gateway.store.group import CONFLICT_TRIES, GroupCommit
from gateway.store.lanes import Enqueue, JobState, QueueList
from gateway.store.mailbox import AcceptEnvelope, CountMailbox
from gateway.store.sqlite import SqliteEngine
from tests.integration.store.values import BOB_ADDRESS, EMAIL, Refuse, Sql, envelope, job, lane

T = TypeVar("T")


def alias(number: object) -> PutAlias:
    return PutAlias(EMAIL, str(number), f"target of {number}")


async def aliases_stored(store: Store) -> int:
    [(count,)] = await store.read(Sql("SELECT count(*) FROM aliases"))
    return int(count)


async def test_each_caller_gets_its_own_result(store: Store) -> None:
    taken = await asyncio.gather(*(store.commit(AcceptEnvelope(envelope(n // 2))) for n in range(600)))
    assert taken == [True, False] * 300


@pytest.mark.parametrize("error", [LeaseLost("mine"), InvalidInput("mine"), ZeroDivisionError("mine")])
async def test_one_bad_unit_among_two_hundred_fails_alone(store: Store, error: Exception) -> None:
    units = [alias(n) for n in range(200)]
    with capture_logs() as logs:
        results = await asyncio.gather(
            *map(store.commit, units[:120]),
            store.commit(Refuse(error)),
            *map(store.commit, units[120:]),
            return_exceptions=True,
        )
    assert results[120] is error
    assert results[:120] + results[121:] == [None] * 200
    assert await aliases_stored(store) == 200
    assert "store.batch_split" in [entry["event"] for entry in logs]


async def test_several_bad_units_get_their_own_errors(store: Store) -> None:
    errors = {n: LeaseLost(str(n)) for n in range(0, 60, 7)}
    results = await asyncio.gather(
        *(store.commit(Refuse(errors[n]) if n in errors else alias(n)) for n in range(60)), return_exceptions=True
    )
    assert {n: result for n, result in enumerate(results) if result is not None} == errors
    assert await aliases_stored(store) == 60 - len(errors)


async def test_a_unit_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(LeaseLost):
        await store.commit_all(alias("before"), Enqueue(job()), Refuse(LeaseLost("no")), alias("after"))
    assert await aliases_stored(store) == 0
    assert await store.read(QueueList(JobState.READY, 10)) == []


async def test_the_results_of_a_unit_are_in_order(store: Store) -> None:
    results = await store.commit_all(AcceptEnvelope(envelope(1)), alias(1), AcceptEnvelope(envelope(1)))
    assert results == (True, None, False)
    assert await store.commit_all() == ()


async def test_what_was_answered_is_seen_by_everybody(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        for n in range(20):
            await one.commit(alias(n))
            assert await two.read(AliasTarget(EMAIL, str(n))) == f"target of {n}"


async def test_a_value_the_database_cannot_hold_fails_alone(store: Store) -> None:
    results = await asyncio.gather(
        *(store.commit(PutAlias(EMAIL, "x", value)) for value in ("a", "\ud800", "a")), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), InvalidInput, type(None)]


async def test_a_nul_character_is_refused_by_postgresql_alone(store: Store) -> None:
    nul = PutAlias(EMAIL, "x", "\x00")
    results = await asyncio.gather(store.commit(alias(1)), store.commit(nul), return_exceptions=True)
    refused = {"postgresql": InvalidInput, "sqlite": type(None)}[store.dialect]
    assert [type(result) for result in results] == [type(None), refused]


async def test_a_number_the_database_cannot_hold_fails_alone(store: Store) -> None:
    too_late = AcceptEnvelope(envelope(1, expires_at=2**63))
    results = await asyncio.gather(store.commit(too_late), store.commit(alias(1)), return_exceptions=True)
    assert [type(result) for result in results] == [InvalidInput, type(None)]
    assert await store.read(CountMailbox(BOB_ADDRESS)) == 0


async def test_a_wrong_statement_is_an_internal_error_without_its_text(store: Store) -> None:
    with pytest.raises(GatewayError) as caught:
        await store.commit(Sql("INSERT INTO nowhere VALUES ('secret')"))
    assert type(caught.value) is GatewayError
    assert "secret" not in str(caught.value)
    with pytest.raises(GatewayError):
        await store.read(Sql("SELECT secret FROM nowhere"))


@dataclass(frozen=True)
class Counted:
    """Merges with its neighbours and writes down how."""

    number: int
    calls: ClassVar[list[int]] = []

    def apply(self, conn: Connection) -> int:
        return self.apply_many(conn, [self])[0]

    @staticmethod
    def apply_many(conn: Connection, ops: list[Counted]) -> list[int]:
        Counted.calls.append(len(ops))
        return [op.number * 10 for op in ops]


class Gate:
    """A real engine whose transactions wait for permission: makes a batch of known size, or a known fault."""

    def __init__(self, engine: SqliteEngine) -> None:
        self.engine = engine
        self.open = asyncio.Event()
        self.batches = 0
        self.faults: list[Exception] = []
        self.fault_before: Exception | None = None
        self.fault_after: Exception | None = None

    async def transact(self, work: Callable[[Connection], T]) -> T:
        await self.open.wait()
        self.batches += 1
        if self.faults:
            raise self.faults.pop()
        if self.fault_before is not None:
            raise self.fault_before
        result = await self.engine.transact(work)
        if self.fault_after is not None:
            raise self.fault_after
        return result


@asynccontextmanager
async def gated(url: str, **options: Any) -> AsyncIterator[tuple[Gate, GroupCommit]]:
    gate = Gate(SqliteEngine(sqlite_path(url)))
    group = GroupCommit(gate.transact, lambda: None, **options)
    group.start()
    try:
        yield gate, group
    finally:
        gate.open.set()
        gate.fault_before = gate.fault_after = None
        await group.close()
        await gate.engine.close()


def submit(group: GroupCommit, *units: Any) -> list[asyncio.Task[tuple[Any, ...]]]:
    return [asyncio.create_task(group.submit((unit,))) for unit in units]


@dataclass(frozen=True)
class Mistaken:
    """An operation with a bug: in what it says about waking, or in how many results its merge returns."""

    where: str

    def wakes(self, result: int) -> bool:
        if self.where == "wakes":
            raise ZeroDivisionError
        return False

    def apply(self, conn: Connection) -> int:
        return 1

    @staticmethod
    def apply_many(conn: Connection, ops: list[Mistaken]) -> list[int]:
        return [1] * (len(ops) - (ops[0].where == "merge"))


@pytest.mark.parametrize("where", ["wakes", "merge"])
async def test_a_mistake_in_an_operation_does_not_stop_the_writer(store: Store, where: str) -> None:
    mistakes = await asyncio.gather(*(store.commit(Mistaken(where)) for _ in range(3)), return_exceptions=True)
    assert mistakes == [1, 1, 1]
    within: list[Any] = list(
        await asyncio.gather(store.commit_all(Mistaken(where), Mistaken(where)), return_exceptions=True)
    )
    assert within == [(1, 1)] if where == "wakes" else isinstance(within[0], ValueError)
    await store.commit(alias(1))
    assert await store.read(AliasTarget(EMAIL, "1")) == "target of 1"


async def test_what_waits_goes_in_full_batches(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url, batch_limit=50) as (gate, group):
        tasks = submit(group, *map(alias, range(120)))
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*tasks)
        assert gate.batches == 3


async def test_neighbours_of_one_class_are_merged(sqlite_store_url: str) -> None:
    Counted.calls.clear()
    async with gated(sqlite_store_url) as (gate, group):
        first = submit(group, alias("holds the writer"))
        await asyncio.sleep(0)
        tasks = submit(group, *map(Counted, range(5)), alias(1), *map(Counted, range(5, 8)), alias(2), Counted(8))
        tasks.append(asyncio.create_task(group.submit((Counted(9), Counted(10)))))
        await asyncio.sleep(0)
        gate.open.set()
        results = await asyncio.gather(*first, *tasks)
    assert Counted.calls == [5, 3, 1, 2]
    numbers = [number for result in results for number in result if number is not None]
    assert numbers == [number * 10 for number in range(11)]


@dataclass(frozen=True)
class Declined:
    """Refuses itself without costing anybody else the transaction."""

    def apply(self, conn: Connection) -> bool:
        raise LimitExceeded

    @staticmethod
    def apply_many(conn: Connection, ops: list[Declined]) -> list[LimitExceeded]:
        return [LimitExceeded() for _ in ops]


@pytest.mark.parametrize("number", [1, 3])
async def test_an_operation_that_refuses_itself_leaves_the_batch_whole(sqlite_store_url: str, number: int) -> None:
    """Also when it stands alone among others: whoever is refused on purpose must not slow everybody else down."""
    async with gated(sqlite_store_url) as (gate, group):
        tasks = submit(group, *map(alias, range(5)), *[Declined()] * number, *map(alias, range(5, 10)))
        gate.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results if result != (None,)] == [LimitExceeded] * number
        assert gate.batches == 1
        assert type((await asyncio.gather(*submit(group, Declined()), return_exceptions=True))[0]) is LimitExceeded


async def test_too_much_is_refused_and_what_was_taken_stays_taken(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url, queue_limit=10, batch_limit=4) as (gate, group):
        taken = submit(group, *map(alias, range(10)))
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded):
            await group.submit((alias("one too many"),))
        gate.open.set()
        assert await asyncio.gather(*taken) == [(None,)] * 10
        assert await group.submit((alias("again"),)) == (None,)


async def test_a_caller_that_leaves_while_waiting_takes_its_unit_back(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url, batch_limit=1) as (gate, group):
        first, leaving, last = submit(group, alias("first"), alias("leaving"), alias("last"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        gate.open.set()
        await asyncio.gather(first, last)
        assert gate.batches == 2
    async with await Store.open(sqlite_store_url) as store:
        assert await store.read(AliasTarget(EMAIL, "leaving")) is None


async def test_a_caller_that_leaves_while_its_batch_is_written_does_not_break_it(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url) as (gate, group):
        tasks = submit(group, *map(alias, range(3)))
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        gate.open.set()
        await asyncio.gather(tasks[0], tasks[2])
        assert gate.batches == 1


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_when_nobody_knows_whether_it_was_committed_everybody_is_told(sqlite_store_url: str, moment: str) -> None:
    """Also when it was: success is answered only when it is sure, and nothing is written twice."""
    async with gated(sqlite_store_url) as (gate, group):
        setattr(gate, f"fault_{moment}", ConnectionResetError("cut"))
        tasks = submit(group, *map(alias, range(5)))
        await asyncio.sleep(0)
        gate.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable] * 5
        assert gate.batches == 1
        gate.fault_before = gate.fault_after = None
        assert await group.submit((alias("next"),)) == (None,)


def conflict() -> DBAPIError:
    cause = Exception("deadlock detected")
    cause.sqlstate = "40P01"  # type: ignore[attr-defined]
    return DBAPIError("INSERT", {}, cause)


async def test_a_unit_that_meets_other_writers_is_tried_again(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url) as (gate, group):
        gate.faults = [conflict() for _ in range(CONFLICT_TRIES)]
        gate.open.set()
        assert await group.submit((alias(1),)) == (None,)
        assert gate.batches == CONFLICT_TRIES + 1


async def test_a_unit_that_meets_other_writers_for_ever_is_told_to_come_back(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url) as (gate, group):
        gate.faults = [conflict() for _ in range(100)]
        gate.open.set()
        with pytest.raises(Unavailable):
            await group.submit((alias(1),))
        assert gate.batches == CONFLICT_TRIES + 1


async def test_closing_commits_what_waits_and_refuses_the_rest(sqlite_store_url: str) -> None:
    async with gated(sqlite_store_url, batch_limit=2) as (gate, group):
        tasks = submit(group, *map(alias, range(7)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(group.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="closing"):
            await group.submit((alias("late"),))
        gate.open.set()
        await closing
        assert [task.result() for task in tasks] == [(None,)] * 7


async def test_a_closed_store_says_so(store_url: str) -> None:
    store = await Store.open(store_url)
    await store.commit(alias(1))
    await store.close()
    await store.close()
    with pytest.raises(Unavailable):
        await store.commit(alias(2))
    with pytest.raises(Unavailable):
        await store.read(AliasTarget(EMAIL, "1"))


async def test_committed_jobs_wake_a_worker(store: Store) -> None:
    while await store.wait_for_work(0.05):
        pass
    waiting = asyncio.create_task(store.wait_for_work(30))
    await store.commit(alias(1))
    assert not waiting.done()
    await store.commit(Enqueue(job(lane=lane("x"))))
    assert await waiting is True


async def test_a_wait_ends_by_itself_so_that_time_is_noticed(store: Store) -> None:
    while await store.wait_for_work(0.05):
        pass
    assert await store.wait_for_work(3600) is False


async def test_too_many_reads_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.store.READ_LIMIT", 5)
    results = await asyncio.gather(
        *(store.read(AliasTarget(Network("email"), "x")) for _ in range(8)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None)] * 5 + [LimitExceeded] * 3
    assert await store.read(AliasTarget(EMAIL, "x")) is None
