"""Channels on both databases: switches, codes and their guesses, marks."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ids import EthAddress
from gateway.store import Store
from gateway.store.channels import (
    Channel,
    ChannelKind,
    CodeCheck,
    GuessCode,
    MarkNotified,
    PutChannel,
    RemoveChannel,
    SetCode,
    SetNotify,
    Subscriber,
    SubscriberAt,
    SwitchChannel,
    UsableChannels,
)
from tests.integration.store.values import BOB, BOB_ADDRESS, NOW, Sql, address
from tests.support.accounts import Registered

EMAIL, PUSH = ChannelKind.EMAIL, ChannelKind.PUSH
MAIL = "bob@example.org"
CODE, OTHER = b"\x00\xff" * 16, b"\x11" * 32
LIFE, GUESSES = 600_000, 5


async def put(store: Store, kind: ChannelKind = EMAIL, recipient: str = MAIL, *, verified: bool = False) -> None:
    await store.commit(PutChannel(BOB_ADDRESS, kind, recipient, verified, NOW))


async def set_code(store: Store, digest: bytes = CODE, now: int = NOW, recipient: str = MAIL) -> bool:
    return await store.commit(SetCode(BOB_ADDRESS, EMAIL, recipient, digest, now))


def guess(digest: bytes, now: int = NOW + 1) -> GuessCode:
    return GuessCode(BOB_ADDRESS, EMAIL, digest, now, LIFE, GUESSES)


async def channel(store: Store, kind: ChannelKind = EMAIL) -> Channel:
    found = (await store.read(SubscriberAt(BOB_ADDRESS))).channel(kind)
    assert found is not None
    return found


# --- switches -------------------------------------------------------------------------------------------------------


async def test_without_an_account_everything_is_off_and_stays_off(store: Store) -> None:
    assert await store.read(SubscriberAt(BOB_ADDRESS)) == Subscriber(account=False, notify=False, channels=())
    assert await store.commit(SetNotify(BOB_ADDRESS, True)) is False
    assert await store.read(Sql("SELECT count(*) FROM accounts")) == [(0,)]


async def test_the_switch_of_an_account(store: Store) -> None:
    await store.commit(Registered(BOB_ADDRESS, BOB))
    assert await store.read(SubscriberAt(BOB_ADDRESS)) == Subscriber(account=True, notify=False, channels=())
    for enabled in (True, True, False):
        assert await store.commit(SetNotify(BOB_ADDRESS, enabled)) is True
        assert (await store.read(SubscriberAt(BOB_ADDRESS))).notify is enabled


async def test_one_channel_of_each_kind_and_account(store: Store) -> None:
    await put(store)
    await put(store, PUSH, "{}", verified=True)
    await store.commit(PutChannel(address("carol"), EMAIL, "carol@example.org", False, NOW))
    assert (await store.read(SubscriberAt(BOB_ADDRESS))).channels == (
        Channel(BOB_ADDRESS, EMAIL, MAIL, enabled=True, verified=False, notified_at=0),
        Channel(BOB_ADDRESS, PUSH, "{}", enabled=True, verified=True, notified_at=0),
    )
    assert (await store.read(SubscriberAt(address("carol")))).channel(PUSH) is None


async def test_a_channel_that_is_put_again_begins_anew(store: Store) -> None:
    await put(store)
    await set_code(store)
    await store.commit(MarkNotified(BOB_ADDRESS, EMAIL, MAIL, NOW))
    await store.commit(SwitchChannel(BOB_ADDRESS, EMAIL, False))
    assert await store.commit(guess(CODE)) is CodeCheck.RIGHT
    await put(store, recipient="other@example.org")
    assert await channel(store) == Channel(BOB_ADDRESS, EMAIL, "other@example.org", True, False, 0)
    assert await store.commit(guess(CODE)) is CodeCheck.NONE


async def test_switching_and_removing_what_is_not_there(store: Store) -> None:
    assert await store.commit(SwitchChannel(BOB_ADDRESS, EMAIL, True)) is False
    assert await store.commit(RemoveChannel(BOB_ADDRESS, EMAIL)) is False
    assert await store.commit(MarkNotified(BOB_ADDRESS, EMAIL, MAIL, NOW)) is False
    assert await set_code(store) is False


async def test_a_channel_is_removed_only_while_it_leads_where_it_led(store: Store) -> None:
    await put(store)
    assert await store.commit(RemoveChannel(BOB_ADDRESS, EMAIL, "old@example.org")) is False
    assert await store.commit(MarkNotified(BOB_ADDRESS, EMAIL, "old@example.org", NOW)) is False
    assert (await channel(store)).notified_at == 0
    assert await store.commit(RemoveChannel(BOB_ADDRESS, EMAIL, MAIL)) is True
    assert (await store.read(SubscriberAt(BOB_ADDRESS))).channels == ()


@pytest.mark.parametrize(
    ("notify", "enabled", "verified", "kinds", "usable"),
    [
        (True, True, True, {EMAIL}, True),
        (True, True, True, {EMAIL, PUSH}, True),
        (False, True, True, {EMAIL}, False),
        (True, False, True, {EMAIL}, False),
        (True, True, False, {EMAIL}, False),
        (True, True, True, {PUSH}, False),
        (True, True, True, set(), False),
    ],
)
async def test_a_channel_is_usable_when_every_switch_is_on(
    store: Store, notify: bool, enabled: bool, verified: bool, kinds: set[ChannelKind], usable: bool
) -> None:
    await store.commit(Registered(BOB_ADDRESS, BOB, notify))
    await put(store, verified=verified)
    await store.commit(SwitchChannel(BOB_ADDRESS, EMAIL, enabled))
    found = await store.read(UsableChannels(BOB_ADDRESS, frozenset(kinds)))
    assert [each.recipient for each in found] == ([MAIL] if usable else [])


async def test_channels_of_somebody_without_an_account_are_not_used(store: Store) -> None:
    await put(store, verified=True)
    assert await store.read(UsableChannels(BOB_ADDRESS, frozenset(ChannelKind))) == []
    assert await store.read(UsableChannels(EthAddress("0x" + "9" * 40), frozenset(ChannelKind))) == []


# --- codes ----------------------------------------------------------------------------------------------------------


@pytest.mark.weakness(13)
async def test_a_code_works_once(store: Store) -> None:
    await put(store)
    assert await set_code(store) is True
    assert await store.commit(guess(CODE)) is CodeCheck.RIGHT
    assert (await channel(store)).verified is True
    assert await store.commit(guess(CODE)) is CodeCheck.NONE
    assert await set_code(store) is False
    assert await store.read(Sql("SELECT code_digest FROM channels")) == [(None,)]


@pytest.mark.weakness(13)
async def test_a_code_has_five_guesses(store: Store) -> None:
    await put(store)
    await set_code(store)
    for _ in range(GUESSES):
        assert await store.commit(guess(OTHER)) is CodeCheck.WRONG
    assert await store.commit(guess(CODE)) is CodeCheck.NONE
    assert (await channel(store)).verified is False
    await set_code(store)
    assert await store.commit(guess(CODE)) is CodeCheck.RIGHT


@pytest.mark.weakness(13)
@pytest.mark.attack(6)
async def test_fifty_guesses_at_a_time_on_two_nodes_are_five(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        await put(one)
        await set_code(one)
        results = await asyncio.gather(*((one, two)[n % 2].commit(guess(OTHER)) for n in range(50)))
        assert results.count(CodeCheck.WRONG) == GUESSES
        assert results.count(CodeCheck.NONE) == 50 - GUESSES
        assert await one.commit(guess(CODE)) is CodeCheck.NONE


async def test_of_fifty_right_guesses_at_a_time_one_is_taken(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        await put(one)
        await set_code(one)
        results = await asyncio.gather(*((one, two)[n % 2].commit(guess(CODE)) for n in range(50)))
        assert results.count(CodeCheck.RIGHT) == 1
        assert results.count(CodeCheck.NONE) == 49


async def test_a_code_ends_with_its_time(store: Store) -> None:
    await put(store)
    await set_code(store)
    assert await store.commit(guess(CODE, NOW + LIFE)) is CodeCheck.EXPIRED
    assert await store.commit(guess(CODE, NOW + 1)) is CodeCheck.NONE
    await set_code(store, now=NOW + LIFE)
    assert await store.commit(guess(CODE, NOW + 2 * LIFE - 1)) is CodeCheck.RIGHT


async def test_a_new_code_takes_the_place_of_the_old_one_with_all_guesses(store: Store) -> None:
    await put(store)
    await set_code(store)
    for _ in range(GUESSES - 1):
        await store.commit(guess(OTHER))
    await set_code(store, OTHER)
    assert await store.commit(guess(CODE)) is CodeCheck.WRONG
    assert await store.commit(guess(OTHER)) is CodeCheck.RIGHT


@pytest.mark.parametrize("spoilt", ["off", "elsewhere", "verified"])
async def test_no_code_for_a_channel_that_does_not_wait_for_one(store: Store, spoilt: str) -> None:
    await put(store, verified=spoilt == "verified")
    if spoilt == "off":
        await store.commit(SwitchChannel(BOB_ADDRESS, EMAIL, False))
    assert await set_code(store, recipient="other@example.org" if spoilt == "elsewhere" else MAIL) is False
    assert await store.commit(guess(CODE)) is CodeCheck.NONE


def test_no_recipient_and_no_digest_in_a_log() -> None:
    held = (
        PutChannel(BOB_ADDRESS, EMAIL, MAIL, False, NOW),
        SetCode(BOB_ADDRESS, EMAIL, MAIL, CODE, NOW),
        guess(CODE),
        Channel(BOB_ADDRESS, EMAIL, MAIL, True, True, 0),
        RemoveChannel(BOB_ADDRESS, EMAIL, MAIL),
        MarkNotified(BOB_ADDRESS, EMAIL, MAIL, NOW),
    )
    for each in held:
        assert MAIL not in repr(each)
        assert repr(CODE) not in repr(each)
