"""Requests that are claimed once, and their answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.store import Store
from gateway.store.idempotency import UNDER_WAY, ClaimRequest, DropClaim, ForgetAnswers, KeepAnswer, KeptAnswer
from tests.integration.store.values import NOW

CLAIM = ClaimRequest("key:1", "k", b"asked", NOW, abandoned_since=NOW - 60, forgotten_since=NOW - 1000)
LATER = replace(CLAIM, now=NOW + 10, request=b"other", abandoned_since=NOW - 50, forgotten_since=NOW - 990)


async def test_of_many_one_has_it(store: Store) -> None:
    results = await asyncio.gather(*(store.commit(CLAIM) for _ in range(5)))
    assert results.count(None) == 1
    assert results.count(KeptAnswer(b"asked", UNDER_WAY, "")) == 4
    assert await store.commit(replace(CLAIM, caller="key:2")) is None
    assert await store.commit(replace(CLAIM, key="l")) is None


async def test_the_answer_is_kept(store: Store) -> None:
    await store.commit(CLAIM)
    assert await store.commit(KeepAnswer("key:1", "k", NOW + 1, 201, "{}")) is False, "not that claim"
    assert await store.commit(KeepAnswer("key:1", "k", NOW, 201, '{"a":"Ω"}')) is True
    assert await store.commit(KeepAnswer("key:1", "k", NOW, 500, "")) is False, "answered already"
    assert await store.commit(DropClaim("key:1", "k", NOW)) is False
    assert await store.commit(LATER) == KeptAnswer(b"asked", 201, '{"a":"Ω"}')


async def test_what_was_given_up_is_free(store: Store) -> None:
    await store.commit(CLAIM)
    assert await store.commit(DropClaim("key:1", "k", NOW)) is True
    assert await store.commit(LATER) is None


async def test_what_was_abandoned_is_taken_over(store: Store) -> None:
    await store.commit(CLAIM)
    assert await store.commit(replace(LATER, abandoned_since=NOW)) is None
    assert await store.commit(KeepAnswer("key:1", "k", NOW, 200, "late")) is False
    assert await store.commit(KeepAnswer("key:1", "k", LATER.now, 200, "{}")) is True
    assert await store.commit(replace(LATER, abandoned_since=NOW + 99)) == KeptAnswer(b"other", 200, "{}")


async def test_answers_are_forgotten(store: Store) -> None:
    for number in range(3):
        await store.commit(replace(CLAIM, key=str(number), now=NOW + number))
        await store.commit(KeepAnswer("key:1", str(number), NOW + number, 200, "{}"))
    assert await store.commit(replace(LATER, key="0", forgotten_since=NOW)) is None
    assert await store.commit(ForgetAnswers(NOW + 2, 1)) == 1
    assert await store.commit(ForgetAnswers(NOW + 2, 9)) == 1
    assert await store.commit(replace(LATER, key="0")) == KeptAnswer(b"other", UNDER_WAY, "")
