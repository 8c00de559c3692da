"""Small reads share a way: what is wanted at the same time is one piece of work, and nobody pays for others' faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, literal, select

from gateway.errors import InvalidInput
from gateway.store.together import AT_ONCE, READS, Together


@dataclass(frozen=True)
class Number:
    number: int

    def run(self, conn: Connection) -> int:
        if self.number < 0:
            raise InvalidInput(str(self.number))
        return int(conn.execute(select(literal(self.number))).scalar_one())


class Reading:
    """Notes how many queries each piece of work had, and holds all up until they are let go."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = asyncio.Event()
        self.go.set()
        self._engine = create_engine("sqlite://")

    async def read(self, work: Callable[[Connection], list[Any]]) -> list[Any]:
        self.sizes.append(0)
        place = len(self.sizes) - 1
        await self.go.wait()
        with self._engine.connect() as conn:
            found = work(conn)
        self.sizes[place] = len(found)
        return found


async def test_what_is_wanted_in_one_turn_is_read_together() -> None:
    reading = Reading()
    together = Together(reading.read)
    assert await asyncio.gather(*(together.run(Number(n)) for n in range(7))) == list(range(7))
    assert reading.sizes == [7]
    assert await together.run(Number(8)) == 8
    assert reading.sizes == [7, 1]


async def test_what_is_wanted_meanwhile_waits_and_is_read_in_bounded_groups() -> None:
    reading = Reading()
    together = Together(reading.read)
    reading.go.clear()
    first = [asyncio.create_task(together.run(Number(0)))]
    await asyncio.sleep(0.01)
    first.append(asyncio.create_task(together.run(Number(1))))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(together.run(Number(n))) for n in range(AT_ONCE + 3)]
    await asyncio.sleep(0.01)
    assert len(reading.sizes) == READS
    reading.go.set()
    assert await asyncio.gather(*first, *later) == [0, 1, *range(AT_ONCE + 3)]
    assert reading.sizes == [1, 1, AT_ONCE, 3]


async def test_one_that_fails_fails_alone() -> None:
    together = Together(Reading().read)
    found = await asyncio.gather(*(together.run(Number(n)) for n in (1, -2, 3)), return_exceptions=True)
    assert [found[0], found[2]] == [1, 3]
    assert isinstance(found[1], InvalidInput)


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    reading = Reading()
    together = Together(reading.read)
    reading.go.clear()
    leaving, staying = (asyncio.create_task(together.run(Number(n))) for n in (1, 2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    reading.go.set()
    assert await staying == 2
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_closing_waits_for_what_is_wanted() -> None:
    together = Together(Reading().read)
    wanted = asyncio.create_task(together.run(Number(1)))
    await asyncio.sleep(0)
    await together.close()
    assert await wanted == 1
