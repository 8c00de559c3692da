"""Accounts over real HTTP: who gets one, whose keys count, and that ENS decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.auth import sign_challenge
from gateway.dm3.data_uri import data_uri
from gateway.dm3.keys import KeyPair, signing_pair
from gateway.dm3.profile import SignedProfile
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.store.accounts import Account, AccountOf, CloseAccount
from tests.integration.relay.clients import get, submit_text, token_of
from tests.integration.relay.envelopes import keys_of
from tests.support.house import House, running_house

ELSEWHERE = EnsName("ds.elsewhere.eth")


async def register(house: House, name: str, profile: Any, *, path: str = "/ds/profile/") -> Any:
    body = profile.to_json() if isinstance(profile, SignedProfile) else profile
    return await house.http.post(f"{house.url}{path}{name}", json=body)


async def account(house: House, person: Dm3Client) -> Account | None:
    return (await house.gateway.store.read(AccountOf(person.address))).account


def assert_refused(answer: Any, status: int = 400) -> str:
    """The one text of a refusal; never a 500, never HTML."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    return str(answer.json()["error"])


async def write(house: House, name: EnsName, profile: SignedProfile | None) -> None:
    text = "" if profile is None else data_uri(profile.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, name, "network.dm3.profile", text)


def profile_of(
    house: House, person: Dm3Client, wallet: str, *services: str, keys: KeyPair | None = None
) -> SignedProfile:
    """Another profile of a person, signed by their wallet: other services, or another signing key."""
    old = person.signed_profile().profile
    names = tuple(map(EnsName, services)) or old.delivery_services
    changed = UserProfile(old.public_encryption_key, keys.public if keys else old.public_signing_key, names)
    return sign_profile(changed, house.chain.accounts[wallet].key)


async def log_in(house: House, name: str, key: KeyPair) -> Any:
    challenge = (await get(house, f"/ds/auth/{name}")).json()
    body = {"challenge": challenge, "signature": sign_challenge(key, challenge)}
    return await house.http.post(f"{house.url}/ds/auth/{name}", json=body)


# --- who gets an account --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/ds", ""])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_published_profile_that_names_us_makes_an_account(house: House, prefix: str, slash: str) -> None:
    bob = await house.native("bob.eth", "bob")
    assert await account(house, bob) is None
    answer = await register(house, f"BOB.eth{slash}", bob.signed_profile(), path=f"{prefix}/profile/")
    assert (answer.status_code, answer.json()) == (200, "registered")
    made = await account(house, bob)
    assert made is not None
    assert (made.address, made.name, made.rules) == (bob.address, "bob.eth", "")
    assert made.profile == bob.signed_profile().to_text()
    assert (await get(house, f"{prefix}/profile/bob.eth{slash}")).json() == bob.signed_profile().to_json()


async def test_a_profile_that_is_not_published_yet(house: House, bob: Dm3Client) -> None:
    """The messenger publishes first; who comes too early may come again."""
    await write(house, bob.name, None)
    assert_refused(await register(house, bob.name, bob.signed_profile()))
    assert await account(house, bob) is None
    await write(house, bob.name, bob.signed_profile())
    assert (await register(house, bob.name, bob.signed_profile())).status_code == 200
    assert await account(house, bob) is not None


@pytest.mark.weakness(17)
@pytest.mark.attack(2)
async def test_an_old_profile_neither_registers_nor_rolls_keys_back(house: House, bob: Dm3Client) -> None:
    """v1, v2, v1: a signed profile is public for ever, but only what ENS has counts."""
    first = bob.signed_profile()
    second = profile_of(house, bob, "bob", keys=signing_pair())
    assert (await register(house, bob.name, first)).status_code == 200
    await write(house, bob.name, second)
    assert_refused(await register(house, bob.name, first))
    assert (await register(house, bob.name, second)).status_code == 200
    assert_refused(await register(house, bob.name, first))
    kept = await account(house, bob)
    assert kept is not None
    assert kept.profile == second.to_text()
    answer = await log_in(house, bob.name, keys_of(house, "bob").signing)
    assert assert_refused(answer) == "Signature invalid", "the old key opens nothing"


@pytest.mark.weakness(17)
async def test_a_profile_that_names_another_relay_makes_no_account(house: House, bob: Dm3Client) -> None:
    moved = profile_of(house, bob, "bob", ELSEWHERE)
    await write(house, bob.name, moved)
    assert_refused(await register(house, bob.name, moved))
    assert await account(house, bob) is None


@pytest.mark.weakness(17)
async def test_one_of_several_relays_is_enough_however_it_is_spelt(house: House, bob: Dm3Client) -> None:
    profile = profile_of(house, bob, "bob", ELSEWHERE, house.gateway.service_name.upper())
    await write(house, bob.name, profile)
    assert (await register(house, bob.name, profile)).status_code == 200
    assert await account(house, bob) is not None


@pytest.mark.weakness(17)
async def test_nobody_registers_with_the_profile_of_somebody_else(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    for name, profile in ((alice.name, bob.signed_profile()), (EnsName("nobody.eth"), bob.signed_profile())):
        assert_refused(await register(house, name, profile))
    forged = sign_profile(bob.signed_profile().profile, house.chain.accounts["mallory"].key)
    assert_refused(await register(house, bob.name, forged))
    assert await account(house, alice) is None
    assert await account(house, bob) is None


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"profile"',
        b"{",
        b"{}",
        b"\xff\xfe",
        b'{"profile": {}, "signature": "0x"}',
        b'{"profile": null, "signature": null}',
        b'{"profile": "x", "signature": 1}',
        b'{"profile": {"publicEncryptionKey": "x", "publicSigningKey": "x", "deliveryServices": []}, "signature": "0"}',
        b'{"profile": {"publicEncryptionKey": "x"}, "profile": {}, "signature": "0x"}',
        b'{"profile": {"a": NaN}, "signature": "0x"}',
        b'{"profile": {"a": "\\ud800"}, "signature": "0x"}',
        b'{"profile": ' + b"[" * 500 + b"]" * 500 + b"}",
        b"[" * 5000,
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_bodies_that_are_no_profile(house: House, bob: Dm3Client, body: bytes) -> None:
    answer = await house.http.post(f"{house.url}/ds/profile/{bob.name}", content=body)
    assert_refused(answer)
    assert await account(house, bob) is None


@pytest.mark.attack(28)
async def test_a_body_beyond_all_bounds(house: House, bob: Dm3Client) -> None:
    answer = await house.http.post(f"{house.url}/ds/profile/{bob.name}", content=b'{"a":"' + b"x" * 2_000_000 + b'"}')
    assert_refused(answer, 413)


@pytest.mark.parametrize("name", ["no%20name", "%00", "%ED%A0%80.eth", "." * 20, "a" * 4000 + ".eth", "..%2f"])
async def test_names_that_are_none(house: House, bob: Dm3Client, name: str) -> None:
    answer = await register(house, name, bob.signed_profile())
    assert answer.status_code in {400, 404}
    assert set(answer.json()) == {"error"}


# --- log-in ---------------------------------------------------------------------------------------------------------


async def test_logging_in_makes_the_account(house: House, bob: Dm3Client) -> None:
    """Somebody whose profile names us may never have posted it."""
    await token_of(house, bob, "bob")
    made = await account(house, bob)
    assert made is not None
    assert made.name == bob.name
    await token_of(house, bob, "bob")
    again = await account(house, bob)
    assert again is not None
    assert again == replace(made, updated_at=again.updated_at)


async def test_who_moved_away_still_gets_what_waits(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    await submit_text(house, alice, bob, "before the move")
    await write(house, bob.name, profile_of(house, bob, "bob", ELSEWHERE))
    await house.gateway.directory.user(bob.name, fresh=True)
    answer = await log_in(house, bob.name, keys_of(house, "bob").signing)
    assert answer.status_code == 200
    waiting = await get(house, f"/ds/delivery/messages/incoming/{bob.name}", answer.json())
    assert len(waiting.json()) == 1
    assert await account(house, bob) is None


async def test_logging_in_does_not_open_what_was_closed(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    await house.gateway.store.commit(CloseAccount(bob.address))
    await token_of(house, bob, "bob")
    assert (await house.gateway.store.read(AccountOf(bob.address))).closed
    assert (await register(house, bob.name, bob.signed_profile())).status_code == 200
    await submit_text(house, alice, bob, "welcome back")


# --- rotation -------------------------------------------------------------------------------------------------------


class Shifted:
    """The wall clock, moved on by the test."""

    def __init__(self) -> None:
        self.by = 0

    def __call__(self) -> int:
        return now_ms() + self.by


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
async def shifted_house(tmp_path: Path, clock: Shifted) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", working=False, clock=clock) as running:
        yield running


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_a_new_key_works_at_once_and_ends_the_old_one_s_sessions(house: House, bob: Dm3Client) -> None:
    old = await token_of(house, bob, "bob")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    assert (await get(house, path, old)).status_code == 200
    keys = signing_pair()
    await write(house, bob.name, profile_of(house, bob, "bob", keys=keys))
    answer = await log_in(house, bob.name, keys)
    assert answer.status_code == 200, "a signature that fails is checked against a fresh profile"
    assert (await get(house, path, answer.json())).status_code == 200
    assert (await get(house, path, old)).status_code == 401
    assert_refused(await log_in(house, bob.name, keys_of(house, "bob").signing))


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_an_old_key_ends_within_five_minutes_whoever_looks(shifted_house: House, clock: Shifted) -> None:
    """Nobody tells us of a rotation: what is remembered of ENS ends by itself."""
    house = shifted_house
    bob = await house.native("bob.eth", "bob")
    old = await token_of(house, bob, "bob")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    await write(house, bob.name, profile_of(house, bob, "bob", keys=signing_pair()))
    clock.by += 4 * 60_000
    assert (await get(house, path, old)).status_code == 200, "or ENS is asked for every request"
    clock.by += 61_000
    assert (await get(house, path, old)).status_code == 401
    assert_refused(await log_in(house, bob.name, keys_of(house, "bob").signing))


@pytest.mark.attack(37)
async def test_a_sold_name_takes_no_mailbox_along(shifted_house: House, clock: Shifted) -> None:
    """The buyer's profile is at another address: the seller's mail stays the seller's."""
    house = shifted_house
    alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
    await submit_text(house, alice, bob, "secret")
    old = await token_of(house, bob, "bob")
    buyer = Dm3Client(
        name=bob.name,
        wallet=house.chain.accounts["carol"].key,
        profiles=house.profiles,
        http=house.http,
        service=house.gateway.service_name,
    )
    await asyncio.to_thread(house.chain.ens.set_addr, bob.name, buyer.address)
    await write(house, bob.name, buyer.signed_profile())
    clock.by += 5 * 60_000 + 1
    token = await token_of(house, buyer, "carol")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    assert (await get(house, path, token)).json() == []
    assert (await get(house, path, old)).status_code == 401
