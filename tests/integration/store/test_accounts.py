"""Accounts: registered, changed, closed, opened again; rules that many change at once."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.errors import NotFound
from gateway.ids import EnsName, EthAddress
from gateway.store import Store
from gateway.store.accounts import Account, AccountOf, AccountState, CloseAccount, PutAccount, SetRules
from gateway.store.once import ExpireOnce
from gateway.store.sessions import IssueChallenge, IssueToken, TokenSubject
from tests.integration.store.values import ALICE, BOB, BOB_ADDRESS, NOW, Sql, address, digest

CAROL_ADDRESS = address("carol")


def put(
    name: EnsName = BOB, *, at: EthAddress = BOB_ADDRESS, profile: str = '{"profile":1}', now: int = NOW
) -> PutAccount:
    return PutAccount(at, name, profile, now)


async def state(store: Store, of: EthAddress = BOB_ADDRESS) -> AccountState:
    return await store.read(AccountOf(of))


def sha(what: object) -> bytes:
    return bytes.fromhex(digest(what))


async def test_an_address_nobody_registered(store: Store) -> None:
    assert await state(store) == AccountState(None, closed=False)


async def test_registering_and_coming_again_with_a_newer_profile(store: Store) -> None:
    """Rules and the wish to be notified belong to the person, not to the profile."""
    assert await store.commit(put()) is True
    assert await state(store) == AccountState(Account(BOB_ADDRESS, BOB, '{"profile":1}', "", False, NOW, NOW), False)
    assert await store.commit(SetRules(BOB_ADDRESS, "", "{}", NOW + 1)) is True
    await store.commit(Sql("UPDATE accounts SET notify = TRUE"))
    assert await store.commit(put(EnsName("new.bob.eth"), profile='{"profile":2}', now=NOW + 2)) is False
    expected = Account(BOB_ADDRESS, EnsName("new.bob.eth"), '{"profile":2}', "{}", True, NOW, NOW + 2)
    assert await state(store) == AccountState(expected, False)


async def test_the_profile_of_fifty_parallel_registrations_is_one_of_theirs(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        profiles = [f'{{"profile":{n}}}' for n in range(50)]
        new = await asyncio.gather(
            *((one, two)[n % 2].commit(put(profile=each, now=NOW + n)) for n, each in enumerate(profiles))
        )
        assert new.count(True) == 1
        assert await one.read(Sql("SELECT count(*) FROM accounts")) == [(1,)]
        account = (await state(two)).account
        assert account is not None
        assert account.profile in profiles


async def test_closing_leaves_nothing_but_a_digest(store: Store) -> None:
    await store.commit_all(
        put(),
        put(ALICE, at=CAROL_ADDRESS),
        IssueToken(sha(1), BOB, BOB_ADDRESS, b"k" * 32, NOW + 1000),
        IssueToken(sha(2), EnsName("alias.eth"), BOB_ADDRESS, b"k" * 32, NOW + 1000),
        IssueToken(sha(3), ALICE, CAROL_ADDRESS, b"k" * 32, NOW + 1000),
        IssueChallenge(sha(4), BOB_ADDRESS, "removal", NOW + 1000),
        IssueChallenge(sha(5), BOB, "login", NOW + 1000),
        IssueChallenge(sha(6), ALICE, "login", NOW + 1000),
        Sql(
            "INSERT INTO channels VALUES"
            f" ('{BOB_ADDRESS}', 'EMAIL', 'bob@example.org', TRUE, TRUE, NULL, 0, 0, 0, 0),"
            f" ('{CAROL_ADDRESS}', 'EMAIL', 'carol@example.org', TRUE, TRUE, NULL, 0, 0, 0, 0)"
        ),
    )
    assert await store.commit(CloseAccount(BOB_ADDRESS)) is True
    assert await state(store) == AccountState(None, closed=True)
    assert await store.read(TokenSubject(sha(1), NOW)) is None
    for table, left in (("accounts", 1), ("channels", 1), ("tokens", 1), ("challenges", 1), ("once", 1)):
        rows = await store.read(Sql(f"SELECT * FROM {table}"))
        assert len(rows) == left, f"{table}: what belongs to others stays"
        assert not [row for row in rows if BOB_ADDRESS in map(str, row) or BOB in map(str, row)]
    assert (await state(store, CAROL_ADDRESS)).account is not None


async def test_closing_twice_and_closing_what_never_was(store: Store) -> None:
    await store.commit(put())
    assert [await store.commit(CloseAccount(BOB_ADDRESS)) for _ in range(2)] == [True, False]
    assert await store.commit(CloseAccount(CAROL_ADDRESS)) is False
    assert (await state(store, CAROL_ADDRESS)).closed, "mail to somebody who only had a profile is refused then, too"


async def test_a_closed_account_stays_closed_through_cleaning(store: Store) -> None:
    await store.commit(CloseAccount(BOB_ADDRESS))
    assert await store.commit(ExpireOnce(NOW * 100, 1000)) == 0
    assert (await state(store)).closed


async def test_registering_again_opens_it_empty(store: Store) -> None:
    await store.commit(put())
    await store.commit(SetRules(BOB_ADDRESS, "", '{"block":["alice.eth"]}', NOW))
    await store.commit(CloseAccount(BOB_ADDRESS))
    assert await store.commit(put(now=NOW + 7)) is True
    assert await state(store) == AccountState(
        Account(BOB_ADDRESS, BOB, '{"profile":1}', "", False, NOW + 7, NOW + 7), closed=False
    )
    assert await store.read(Sql("SELECT count(*) FROM once")) == [(0,)]


# --- rules ----------------------------------------------------------------------------------------------------------


async def test_rules_need_an_account(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.commit(SetRules(BOB_ADDRESS, "", "{}", NOW))
    await store.commit(put())
    await store.commit(CloseAccount(BOB_ADDRESS))
    with pytest.raises(NotFound):
        await store.commit(SetRules(BOB_ADDRESS, "", "{}", NOW))


async def test_rules_are_set_only_over_those_that_were_read(store: Store) -> None:
    await store.commit(put())
    assert await store.commit(SetRules(BOB_ADDRESS, "not these", "{}", NOW + 1)) is False
    assert await store.commit(SetRules(BOB_ADDRESS, "", "a", NOW + 2)) is True
    assert await store.commit(SetRules(BOB_ADDRESS, "", "b", NOW + 3)) is False
    account = (await state(store)).account
    assert account is not None
    assert (account.rules, account.updated_at) == ("a", NOW + 2)


async def test_no_change_is_lost_among_twenty_at_once(store_url: str) -> None:
    """Each adds a name to what it read and tries again when somebody was quicker; two nodes."""
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        await one.commit(put())
        tries = 0

        async def add(number: int) -> None:
            nonlocal tries
            store = (one, two)[number % 2]
            while True:
                tries += 1
                account = (await state(store)).account
                assert account is not None
                names = json.loads(account.rules or "[]")
                changed = json.dumps([*names, number])
                if await store.commit(SetRules(BOB_ADDRESS, account.rules, changed, NOW)):
                    return

        await asyncio.gather(*map(add, range(20)))
        account = (await state(one)).account
        assert account is not None
        assert sorted(json.loads(account.rules)) == list(range(20))
        assert tries > 20, "or nobody met anybody, and this shows nothing"


async def test_rules_and_profiles_stay_out_of_representations() -> None:
    assert "secret" not in repr(SetRules(BOB_ADDRESS, "secret", "secret", NOW))
    assert "secret" not in repr(Account(BOB_ADDRESS, BOB, "", "secret", False, NOW, NOW))
