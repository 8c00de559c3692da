"""Statements of the hot path: the same rows and the same errors on both databases, with and without SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.errors import InvalidInput
from gateway.store import Store
from gateway.store.faults import Fault, diagnose
from gateway.store.schema import aliases, once
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for
from tests.integration.store.values import Sql

COLUMNS = ("scope", "key", "expires_at")
NEW = Statement(COLUMNS, lambda dialect: insert_for(dialect, once).on_conflict_do_nothing().returning(once.c.key))
PLAIN = Statement(COLUMNS, lambda _dialect: once.insert())


def row(key: object, expires_at: int = 1) -> dict[str, Any]:
    # In another order than the table has them.
    return {"expires_at": expires_at, "key": key, "scope": "s"}


@dataclass(frozen=True)
class Run:
    """A statement as an operation of the store."""

    statement: Statement
    rows: Sequence[dict[str, Any]]

    def apply(self, conn: Connection) -> list[Sequence[Any]]:
        """Run it."""
        return self.statement.run(conn, self.rows)


async def test_only_what_is_new_comes_back(store: Store) -> None:
    assert {key for (key,) in await store.commit(Run(NEW, [row("a"), row("b")]))} == {"a", "b"}
    assert {key for (key,) in await store.commit(Run(NEW, [row("b"), row("c"), row("a")]))} == {"c"}
    assert await store.commit(Run(NEW, [])) == []


async def test_values_come_into_their_columns(store: Store) -> None:
    assert await store.commit(Run(PLAIN, [row(f"k{number}", number) for number in range(300)])) == []
    found = await store.read(Sql("SELECT scope, key, expires_at FROM once ORDER BY expires_at"))
    assert found == [("s", f"k{number}", number) for number in range(300)]


async def test_a_statement_without_a_returning_gives_nothing(store: Store) -> None:
    put = Statement(("network", "alias", "target"), lambda _dialect: aliases.insert())
    assert await store.commit(Run(put, [{"network": "email", "alias": "a", "target": "x"}])) == []


@pytest.mark.parametrize(
    "rows", [[row("twice"), row("twice")], [row(None)], [row("large", 2**63)], [row("\ud800")]], ids=repr
)
async def test_what_the_database_refuses_is_told_as_ever(store: Store, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidInput):
        await store.commit(Run(PLAIN, [row("before"), *rows]))
    assert await store.read(Sql("SELECT * FROM once")) == [], "all or nothing"


async def test_a_refused_row_does_not_cost_its_neighbours(store: Store) -> None:
    await store.commit(Run(PLAIN, [row("there")]))
    with pytest.raises(InvalidInput):
        await store.commit(Run(PLAIN, [row("there")]))
    await store.commit(Run(PLAIN, [row("after")]))
    assert len(await store.read(Sql("SELECT * FROM once"))) == 2


@dataclass(frozen=True)
class Fail:
    """Runs a statement against a table that is not there, and gives what was raised."""

    def apply(self, conn: Connection) -> Exception:
        """Drop, insert, look."""
        conn.exec_driver_sql("DROP TABLE once")
        try:
            PLAIN.run(conn, [row("a")])
        except Exception as error:
            return error
        raise AssertionError("nothing was raised")


async def test_a_mistake_of_ours_is_no_fault_of_the_caller(sqlite_store_url: str) -> None:
    async with await Store.open(sqlite_store_url) as store:
        raised = await store.commit(Fail())
    fault, told = diagnose(raised)
    assert fault is Fault.OWN
    assert not isinstance(told, InvalidInput)
    assert "'a'" not in str(told), "values are not told"
