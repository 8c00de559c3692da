"""Challenges that work once, and tokens."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store import Store
from gateway.store.sessions import (
    ConsumeChallenge,
    ExpireSessions,
    IssueChallenge,
    IssueToken,
    Session,
    TokenSubject,
)
from tests.integration.store.values import ALICE, BOB, NOW, address, digest


def sha(number: object) -> bytes:
    return bytes.fromhex(digest(number))


def challenge(number: object = 1, *, expires_at: int = NOW + 1000) -> IssueChallenge:
    return IssueChallenge(sha(number), "bob.eth", "login", expires_at)


def token(
    number: object, *, name: EnsName = BOB, of: EthAddress | None = None, expires_at: int = NOW + 1000
) -> IssueToken:
    return IssueToken(sha(number), name, of or address(name), b"k" * 32, expires_at)


async def test_a_challenge_works_once(store: Store) -> None:
    await store.commit(challenge())
    use = ConsumeChallenge(sha(1), "bob.eth", "login", NOW)
    assert [await store.commit(use) for _ in range(3)] == [True, False, False]


@pytest.mark.weakness(5)
@pytest.mark.attack(6)
async def test_fifty_uses_at_once_on_two_nodes(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        await one.commit(challenge())
        used = await asyncio.gather(
            *((one, two)[n % 2].commit(ConsumeChallenge(sha(1), "bob.eth", "login", NOW)) for n in range(50))
        )
        assert sorted(used) == [False] * 49 + [True]


@pytest.mark.weakness(5)
@pytest.mark.attack(6)
@pytest.mark.attack(10)
@pytest.mark.parametrize(
    "wrong",
    [
        ConsumeChallenge(sha(2), "bob.eth", "login", NOW),
        ConsumeChallenge(sha(1), "eve.eth", "login", NOW),
        ConsumeChallenge(sha(1), "bob.eth", "claim", NOW),
        ConsumeChallenge(sha(1), "bob.eth", "login", NOW + 1000),
        ConsumeChallenge(b"", "bob.eth", "login", NOW),
    ],
)
async def test_a_wrong_use_fails_and_spoils_nothing(store: Store, wrong: ConsumeChallenge) -> None:
    await store.commit(challenge())
    assert await store.commit(wrong) is False
    assert await store.commit(ConsumeChallenge(sha(1), "bob.eth", "login", NOW + 999)) is True


async def test_a_challenge_is_issued_once(store: Store) -> None:
    await store.commit(challenge())
    with pytest.raises(InvalidInput):
        await store.commit(IssueChallenge(sha(1), "eve.eth", "login", NOW + 9999))
    assert await store.commit(ConsumeChallenge(sha(1), "bob.eth", "login", NOW)) is True


async def test_a_token_speaks_for_its_name_until_it_expires(store: Store) -> None:
    await store.commit(token(1))
    assert await store.read(TokenSubject(sha(1), NOW + 999)) == Session(BOB, address(BOB), b"k" * 32)
    assert await store.read(TokenSubject(sha(1), NOW + 1000)) is None
    assert await store.read(TokenSubject(sha(2), NOW)) is None


async def test_a_token_is_issued_once(store: Store) -> None:
    await store.commit(token(1))
    with pytest.raises(InvalidInput):
        await store.commit(token(1, name=ALICE))
    assert await store.read(TokenSubject(sha(1), NOW)) == Session(BOB, address(BOB), b"k" * 32)


async def test_expiry_removes_only_what_is_over_in_bounded_steps(store: Store) -> None:
    for n in range(4):
        await store.commit(challenge(f"c{n}", expires_at=NOW + n))
        await store.commit(token(f"t{n}", expires_at=NOW + n))
    assert [await store.commit(ExpireSessions(NOW + 2, limit=2)) for _ in range(3)] == [4, 2, 0]
    assert await store.commit(ConsumeChallenge(sha("c3"), "bob.eth", "login", NOW)) is True
    assert await store.read(TokenSubject(sha("t3"), NOW)) is not None


async def test_digests_stay_out_of_representations() -> None:
    values = challenge(), token(1), ConsumeChallenge(sha(1), "bob.eth", "login", NOW), TokenSubject(sha(1), NOW)
    assert not any("digest" in repr(value) for value in values)
