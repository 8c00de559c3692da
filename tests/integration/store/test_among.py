"""Values that are one parameter, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, select

from gateway.ids import LaneKey
from gateway.store import Store
from gateway.store.among import among
from gateway.store.jobs import Enqueue
from gateway.store.schema import jobs
from tests.integration.store.values import job

TEXTS = ["plain", "it's", 'a "quoted" one', "back\\slash", "[1]", "{2}", "a,b", "", "Grüße", "💩", "NULL"]


@dataclass(frozen=True)
class Those:
    """What stands in a column of the jobs, of the values that are asked for."""

    column: ColumnElement[Any]
    values: Sequence[Any]

    def run(self, conn: Connection) -> set[Any]:
        return set(conn.scalars(select(self.column).where(among(self.column, "some")), {"some": self.values}))


@pytest.mark.parametrize("wanted", [[], TEXTS[:1], TEXTS[1:4], TEXTS, ["missing"], ["plain", "plain", "missing"]])
async def test_texts(store: Store, wanted: list[str]) -> None:
    for text in TEXTS:
        await store.commit(Enqueue(job(lane=LaneKey(f"work:{text}"))))
    found = await store.read(Those(jobs.c.lane, [f"work:{text}" for text in wanted]))
    assert found == {f"work:{text}" for text in TEXTS if text in wanted}


async def test_numbers(store: Store) -> None:
    numbers = [await store.commit(Enqueue(job(n))) for n in range(5)]
    assert await store.read(Those(jobs.c.id, (numbers[1], numbers[3], 2**62))) == {numbers[1], numbers[3]}
