"""Which spelling another service takes: one row for each, replaced, forgotten, cleaned away."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dm3.envelope import Dialect
from gateway.operations.housekeeping import Housekeeping
from gateway.store import Store
from gateway.store.services import (
    DIALECT_LIFE_MS,
    DialectOf,
    ForgetDialect,
    ForgetServices,
    LearnDialect,
    LearnedDialect,
)

NOW = 1_727_000_000_000
URL = "https://ds.example/ds"


async def test_what_was_learned_is_known_until_it_is_forgotten(store: Store) -> None:
    assert await store.read(DialectOf(URL)) is None
    await store.commit(LearnDialect(URL, Dialect.NPM, NOW))
    assert await store.read(DialectOf(URL)) == LearnedDialect(Dialect.NPM, NOW)
    assert await store.read(DialectOf(URL + "/")) is None
    assert await store.commit(ForgetDialect(URL)) is True
    assert await store.commit(ForgetDialect(URL)) is False
    assert await store.read(DialectOf(URL)) is None


async def test_learning_again_replaces(store: Store) -> None:
    await store.commit(LearnDialect(URL, Dialect.NPM, NOW))
    await store.commit(LearnDialect(URL, Dialect.DEVELOP, NOW + 1))
    assert await store.read(DialectOf(URL)) == LearnedDialect(Dialect.DEVELOP, NOW + 1)


async def test_many_learn_at_once(store: Store) -> None:
    await asyncio.gather(*(store.commit(LearnDialect(f"{URL}{n % 3}", Dialect.NPM, NOW)) for n in range(60)))
    assert [await store.read(DialectOf(f"{URL}{n}")) is not None for n in range(4)] == [True, True, True, False]


async def test_a_spelling_of_a_later_version_counts_for_nothing(store: Store) -> None:
    await store.commit(LearnDialect(URL, "esperanto", NOW))  # type: ignore[arg-type]
    assert await store.read(DialectOf(URL)) is None


@pytest.mark.parametrize(
    ("age", "counts"), [(0, True), (DIALECT_LIFE_MS - 1, True), (DIALECT_LIFE_MS, False), (-1, False)]
)
def test_it_counts_for_a_week(age: int, counts: bool) -> None:
    assert LearnedDialect(Dialect.NPM, NOW).counts(NOW + age) is counts


async def test_old_ones_are_removed_in_bounded_steps(store: Store) -> None:
    for number in range(5):
        await store.commit(LearnDialect(f"{URL}{number}", Dialect.NPM, NOW + number))
    assert [await store.commit(ForgetServices(NOW + 4, limit=3)) for _ in range(3)] == [3, 1, 0]
    assert await store.read(DialectOf(f"{URL}4")) is not None


async def test_housekeeping_removes_what_no_longer_counts(store: Store) -> None:
    keeper = Housekeeping(store=store, owner="node-1", clock=lambda: NOW)
    await store.commit(LearnDialect("https://old.example", Dialect.NPM, NOW - DIALECT_LIFE_MS - 1))
    await store.commit(LearnDialect("https://new.example", Dialect.NPM, NOW - DIALECT_LIFE_MS + 1))
    assert await keeper.clean() == 1
    assert await store.read(DialectOf("https://old.example")) is None
    assert await store.read(DialectOf("https://new.example")) is not None
