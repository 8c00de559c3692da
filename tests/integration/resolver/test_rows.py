"""Rows that are read together and kept for a moment: what is answered when, on both databases."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.util import await_only

from gateway.ens.names import namehash
from gateway.errors import InvalidInput, LimitExceeded, Unavailable
from gateway.ids import EnsName
from gateway.resolver import rows as module
from gateway.resolver.rows import LIFE, Rows
from gateway.store import Store
from gateway.store.names import NameRow, NamesNamed, PutName
from tests.integration.store.values import Sql

BOB = EnsName("bob.gw.eth")


class Reads:
    """Counts reads, and lets a test hold one up before it begins."""

    def __init__(self) -> None:
        self.batches: list[list[EnsName]] = [[]]
        self.now = 1000.0

    def query(self, names: tuple[EnsName, ...]) -> Watched:
        return Watched(names, self)


@dataclass(frozen=True)
class Watched:
    """The real query, noted when it runs."""

    names: tuple[EnsName, ...]
    reads: Reads

    def run(self, conn: Any) -> dict[EnsName, NameRow]:
        if any(name.startswith("bad") for name in self.names):
            raise InvalidInput("this row cannot be read")
        self.reads.batches[-1].extend(self.names)
        return NamesNamed(self.names).run(conn)


@dataclass(frozen=True)
class Held:
    """A query that waits in its thread or connection until it may go on."""

    query: Watched
    begun: threading.Event
    gate: threading.Event | None

    def run(self, conn: Any) -> dict[EnsName, NameRow]:
        self.begun.set()
        if self.gate is not None and conn.dialect.name == "sqlite":
            assert self.gate.wait(20)
        elif self.gate is not None:
            await_only(asyncio.to_thread(self.gate.wait, 20))
        return self.query.run(conn)


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def rows(store: Store, reads: Reads) -> Rows[NameRow]:
    return Rows(store, reads.query, clock=lambda: reads.now)


def row(name: EnsName, text: str) -> NameRow:
    return NameRow(name, namehash(name), None, None, {}, {"url": text}, None, 1, 1)


def read(reads: Reads) -> list[EnsName]:
    return [name for batch in reads.batches for name in batch]


async def url_of(rows: Rows[NameRow], name: EnsName = BOB) -> str | None:
    found = await rows.get(name)
    return None if found is None else found.texts["url"]


async def test_a_row_is_read_once_within_its_life(store: Store, rows: Rows[NameRow], reads: Reads) -> None:
    await store.commit(PutName(row(BOB, "1")))
    assert await url_of(rows) == "1"
    reads.now += LIFE - 0.001
    assert await url_of(rows) == "1"
    assert read(reads) == [BOB]
    reads.now += 0.002
    assert await url_of(rows) == "1"
    assert read(reads) == [BOB, BOB]


async def test_what_another_process_writes_is_seen_after_a_life(
    store: Store, rows: Rows[NameRow], reads: Reads
) -> None:
    await store.commit(PutName(row(BOB, "1")))
    assert await url_of(rows) == "1"
    await store.commit(PutName(row(BOB, "2")))  # nobody told these rows
    assert await url_of(rows) == "1"
    reads.now += LIFE + 0.001
    assert await url_of(rows) == "2"


async def test_what_this_process_writes_is_seen_at_once(store: Store, rows: Rows[NameRow]) -> None:
    await store.commit(PutName(row(BOB, "1")))
    assert await url_of(rows) == "1"
    await store.commit(PutName(row(BOB, "2")))
    rows.forget(BOB)
    assert await url_of(rows) == "2"
    await store.commit(Sql("DELETE FROM names"))
    rows.forget(BOB)
    assert await url_of(rows) is None


async def test_a_read_under_way_does_not_bring_back_what_was_forgotten(store: Store, rows: Rows[NameRow]) -> None:
    await store.commit(PutName(row(BOB, "1")))
    before = asyncio.create_task(url_of(rows))
    await asyncio.sleep(0)  # it is asked, and not answered
    await store.commit(PutName(row(BOB, "2")))
    rows.forget(BOB)
    assert await url_of(rows) == "2"
    assert await before in ("1", "2")
    assert await url_of(rows) == "2"


async def test_a_new_name_is_there_at_once(store: Store, rows: Rows[NameRow]) -> None:
    assert await url_of(rows) is None
    await store.commit(PutName(row(BOB, "1")))
    assert await url_of(rows) == "1"


async def test_who_asks_together_shares_a_read(store: Store, rows: Rows[NameRow], reads: Reads) -> None:
    names = [EnsName(f"n{index}.gw.eth") for index in range(20)]
    await store.commit_all(*(PutName(row(name, name)) for name in names))
    found = await asyncio.gather(*(url_of(rows, name) for name in [*names, *names, BOB]))
    assert found == [*names, *names, None]
    assert sorted(read(reads)) == sorted([*names, BOB])


async def test_memory_is_that_of_one_life(store: Store, rows: Rows[NameRow], reads: Reads) -> None:
    names = [EnsName(f"n{index}.gw.eth") for index in range(100)]
    await store.commit_all(*(PutName(row(name, name)) for name in names))
    for name in names:
        await rows.get(name)
        reads.now += LIFE / 4
    assert len(rows) <= 5


async def test_a_row_that_cannot_be_read_costs_the_others_nothing(store: Store, rows: Rows[NameRow]) -> None:
    await store.commit(PutName(row(BOB, "1")))
    bad = EnsName("bad.gw.eth")
    found = await asyncio.gather(rows.get(bad), url_of(rows), return_exceptions=True)
    assert isinstance(found[0], InvalidInput)
    assert found[1] == "1"


async def test_somebody_who_leaves_takes_nothing_from_the_others(store: Store, rows: Rows[NameRow]) -> None:
    await store.commit(PutName(row(BOB, "1")))
    leaving, staying = asyncio.create_task(url_of(rows)), asyncio.create_task(url_of(rows))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == "1"
    assert leaving.cancelled()


async def test_a_read_that_is_slow_holds_up_nobody_else(store: Store, reads: Reads) -> None:
    begun, gate, names = threading.Event(), threading.Event(), [EnsName(f"n{index}.gw.eth") for index in range(3)]
    await store.commit_all(*(PutName(row(name, name)) for name in names))

    def query(asked: tuple[EnsName, ...]) -> Held:
        return Held(reads.query(asked), begun, gate if BOB in asked else None)

    rows = Rows(store, query)
    slow = asyncio.create_task(url_of(rows))
    try:
        assert await asyncio.to_thread(begun.wait, 10)
        async with asyncio.timeout(60):
            # The first finds a slow read before it, those behind it one that is quick.
            assert [await url_of(rows, name) for name in names] == names
        assert not slow.done()
    finally:
        gate.set()
    assert await slow is None


async def test_a_database_that_is_gone(store: Store, rows: Rows[NameRow]) -> None:
    await store.close()
    found = await asyncio.gather(rows.get(BOB), rows.get(EnsName("x.gw.eth")), return_exceptions=True)
    assert [type(each) for each in found] == [Unavailable, Unavailable]


async def test_no_more_wait_than_may(rows: Rows[NameRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    found = await asyncio.gather(
        *(rows.get(EnsName(f"n{index}.gw.eth")) for index in range(30)), return_exceptions=True
    )
    assert found.count(None) == 10
    assert sum(isinstance(each, LimitExceeded) for each in found) == 20
