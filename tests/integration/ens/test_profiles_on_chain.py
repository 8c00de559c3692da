"""DM3 profiles through a real chain: found, checked against the name's address, remembered, renewed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gateway.demo.chain import RunningChain, running_chain
from gateway.dm3.eth import address_of
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import (
    DeliveryServiceProfile,
    SignedProfile,
    UserProfile,
    data_uri,
    dm3_hash,
    sign_profile,
)
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.memo import MemoLimits
from gateway.ens.profiles import DELIVERY_SERVICE_KEY, PROFILE_KEY, Profiles
from gateway.errors import BadProfile, ChainUnavailable, FetchFailed, UnknownName
from gateway.ids import EnsName, EthAddress
from tests.integration.ens.servers import answering, response, scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY, OTHER_KEY = b"\x11" * 32, b"\x12" * 32
SERVICE = DeliveryServiceProfile.of(ServiceKeys.from_seeds(b"\x01" * 32, b"\x02" * 32), "https://ds.example/ds")


def profile(mark: int, key: bytes = KEY) -> SignedProfile:
    """A profile signed by ``key``; ``mark`` tells profiles apart."""
    return sign_profile(UserProfile(bytes((mark,)) * 32, b"\x0b" * 32, ("ds.eth",)), key)


@dataclass(slots=True)
class World:
    """A chain, a client, and a clock that tests move."""

    running: RunningChain
    chain: Chain
    client: GuardedClient
    now: int = 1_800_000_000_000

    def profiles(self, chain: Chain | None = None) -> Profiles:
        """With nothing remembered yet."""
        ens = Ens(chain or self.chain, self.running.registry, self.client)
        limits = MemoLimits(ttl=300_000, negative_ttl=30_000, fresh_interval=10_000)
        return Profiles(ens, self.client, clock=lambda: self.now, limits=limits)

    async def publish(self, name: str, text: str, *, key: str = PROFILE_KEY, owner: bytes | None = KEY) -> EnsName:
        """Write a record, and the address that belongs to the key ``owner``."""

        def write() -> None:
            self.running.ens.register(EnsName(name))
            self.running.ens.set_text(EnsName(name), key, text)
            if owner is not None:
                self.running.ens.set_addr(EnsName(name), address_of(owner))

        await asyncio.to_thread(write)
        return EnsName(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """One chain for all tests of this module; each uses names of its own."""
    async with running_chain() as running, GuardedClient(allow_private=True, timeout=30) as client:
        chain = Chain([running.url], running.chain_id, timeout=30)
        yield World(running, chain, client)
        await chain.close()


async def test_a_profile(world: World) -> None:
    signed = profile(1)
    name = await world.publish("alice.eth", data_uri(signed.to_text()))
    found = await world.profiles().user(name)
    assert (found.name, found.address) == (name, address_of(KEY))
    assert (found.profile, found.signed) == (signed.profile, signed)
    assert found.fetched_at == world.now


async def test_a_delivery_service(world: World) -> None:
    name = await world.publish("ds.eth", data_uri(SERVICE.to_text()), key=DELIVERY_SERVICE_KEY, owner=None)
    assert await world.profiles().delivery_service(name) == SERVICE


async def test_a_profile_on_a_web_server(world: World) -> None:
    signed = profile(2)
    async with scripted(answering(response(200, json.dumps(signed.to_json(), indent=2).encode()))) as server:
        uri = server.url(f"/p?dm3Hash={dm3_hash(signed.to_json())}")
        name = await world.publish("web.eth", uri)
        assert (await world.profiles().user(name)).signed == signed


async def test_names_without_a_profile(world: World) -> None:
    empty = await world.publish("empty.eth", "")
    for name in (empty, EnsName("nobody.eth"), EnsName("sub.alice.eth")):
        with pytest.raises(UnknownName):
            await world.profiles().user(name)
        with pytest.raises(UnknownName):
            await world.profiles().delivery_service(name)


async def test_profiles_that_are_not_of_the_name(world: World) -> None:
    """Signed by another key, for another address, altered, or of a name without an address."""
    altered = json.loads(profile(3).to_text())
    altered["profile"]["deliveryServices"] = ["evil.eth"]
    for number, (text, owner) in enumerate(
        [
            (profile(3, OTHER_KEY).to_text(), KEY),
            (profile(3).to_text(), OTHER_KEY),
            (json.dumps(altered), KEY),
            (profile(3).to_text(), None),
            ('{"profile":{},"signature":"0x"}', KEY),
            ("{}", KEY),
        ]
    ):
        name = await world.publish(f"bad{number}.eth", data_uri(text), owner=owner)
        with pytest.raises(BadProfile):
            await world.profiles().user(name)
    service = await world.publish("bad-ds.eth", data_uri('{"url":"x"}'), key=DELIVERY_SERVICE_KEY)
    with pytest.raises(BadProfile):
        await world.profiles().delivery_service(service)


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_a_sold_name_is_its_new_owners_after_five_minutes(world: World) -> None:
    name = await world.publish("sold.eth", data_uri(profile(4).to_text()))
    profiles = world.profiles()
    assert (await profiles.user(name)).address == address_of(KEY)
    bought = profile(5, OTHER_KEY)
    await world.publish(name, data_uri(bought.to_text()), owner=OTHER_KEY)
    world.now += 299_999
    assert (await profiles.user(name)).address == address_of(KEY)
    world.now += 1
    found = await profiles.user(name)
    assert (found.address, found.signed) == (address_of(OTHER_KEY), bought)


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_new_keys_are_seen_after_five_minutes_or_on_demand(world: World) -> None:
    name = await world.publish("mover.eth", data_uri(profile(4).to_text()))
    profiles = world.profiles()
    assert (await profiles.user(name)).signed == profile(4)
    await world.publish(name, data_uri(profile(5).to_text()))
    assert (await profiles.user(name)).signed == profile(4)
    assert (await profiles.user(name, fresh=True)).signed == profile(5)
    await world.publish(name, data_uri(profile(6, OTHER_KEY).to_text()), owner=OTHER_KEY)
    assert (await profiles.user(name, fresh=True)).signed == profile(5), "asked a moment ago"
    world.now += 299_999
    assert (await profiles.user(name)).signed == profile(5)
    world.now += 1
    assert (await profiles.user(name)).address == address_of(OTHER_KEY)


async def test_a_name_that_comes_into_being(world: World) -> None:
    profiles = world.profiles()
    name = EnsName("late.eth")
    with pytest.raises(UnknownName):
        await profiles.user(name)
    await world.publish(name, data_uri(profile(7).to_text()))
    with pytest.raises(UnknownName):
        await profiles.user(name)
    world.now += 30_000
    assert (await profiles.user(name)).signed == profile(7)


async def test_an_outage_of_the_chain(world: World) -> None:
    name = await world.publish("outage.eth", data_uri(profile(8).to_text()))
    dead = Chain(["http://127.0.0.1:9"], world.running.chain_id, timeout=0.5)
    profiles = world.profiles(dead)
    with pytest.raises(ChainUnavailable):
        await profiles.user(name)
    with pytest.raises(ChainUnavailable):
        await profiles.delivery_service(name)
    await dead.close()


async def test_an_outage_of_a_web_server(world: World) -> None:
    async with scripted(answering(response(503))) as server:
        name = await world.publish("down.eth", server.url(f"/?dm3Hash={dm3_hash({})}"))
        with pytest.raises(FetchFailed):
            await world.profiles().user(name)


async def test_a_record_longer_than_we_read(world: World) -> None:
    name = await world.publish("long.eth", "data:application/json,{}" + " " * 3_000)
    with pytest.raises(BadProfile):
        await world.profiles().user(name)


async def test_a_record_that_is_no_text(world: World) -> None:
    """A contract that answers with bytes that are no ABI must not look like a name without a profile."""
    name = EnsName("strange.eth")
    await asyncio.to_thread(world.running.ens.register, name, None, EthAddress("0x" + "00" * 19 + "04"))
    with pytest.raises(BadProfile):
        await world.profiles().user(name)
