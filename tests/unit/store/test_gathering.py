"""What goes together into one transaction: what the event loop has at hand, and never more than a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.store.group import GATHERED, GroupCommit


class Nothing:
    """An operation that writes nothing."""

    def apply(self, _conn: Connection) -> None:
        """Nothing."""


class Dialect:
    name = "sqlite"


class Database:
    """Stands for a database: notes how many units each transaction had, and holds one up until it is let go."""

    dialect = Dialect()

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = asyncio.Event()
        self.go.set()

    async def transact(self, work: Callable[[Any], Any]) -> Any:
        """As an engine does."""
        results = work(self)
        self.sizes.append(len(results))
        await self.go.wait()
        return results


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def group(database: Database) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(database.transact, lambda: None)
    group.start()
    yield group
    await group.close()


async def after_turns(group: GroupCommit, turns: int) -> None:
    """A request that is served so many turns of the loop from now."""
    for _ in range(turns):
        await asyncio.sleep(0)
    await group.submit((Nothing(),))


async def test_one_alone_goes_at_once(group: GroupCommit, database: Database) -> None:
    await group.submit((Nothing(),))
    assert database.sizes == [1]


@pytest.mark.parametrize("turns", [0, 1])
async def test_requests_that_came_in_together_are_one_transaction(
    group: GroupCommit, database: Database, turns: int
) -> None:
    await asyncio.gather(*(after_turns(group, number % (turns + 1)) for number in range(8)))
    assert database.sizes == [8]


async def test_each_turn_that_brings_one_more_is_waited_for(group: GroupCommit, database: Database) -> None:
    await asyncio.gather(*(after_turns(group, number) for number in range(20)))
    assert database.sizes == [20]


async def test_but_not_for_ever(group: GroupCommit, database: Database) -> None:
    await asyncio.gather(*(after_turns(group, number) for number in range(3 * GATHERED)))
    assert sum(database.sizes) == 3 * GATHERED
    assert max(database.sizes) <= GATHERED + 2


async def test_what_comes_during_a_transaction_is_the_next_one(group: GroupCommit, database: Database) -> None:
    database.go.clear()
    first = asyncio.create_task(group.submit((Nothing(),)))
    while not database.sizes:  # noqa: ASYNC110 - a list has no event
        await asyncio.sleep(0)
    others = [asyncio.create_task(group.submit((Nothing(),))) for _ in range(5)]
    await asyncio.sleep(0)
    assert not first.done()
    database.go.set()
    await asyncio.gather(first, *others)
    assert database.sizes == [1, 5]
