"""An alias by itself: faults of the chain, of the gateways and of what names say there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway.demo.chain import RunningChain, running_chain
from gateway.demo.chain.wallet import send
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.errors import BadRegistryAnswer, ChainUnavailable, FetchFailed, RegistryDown, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.breaker import Breaker, BreakerLimits
from gateway.resolver.registries.registry import Reading
from gateway.resolver.registries.wanted import Wanted
from gateway.resolver.registries.zone_alias import AliasOrigin
from tests.integration.ens.servers import Asked, Script, answering, response, scripted, silence

URL = Wanted(texts=frozenset({"url"}))
PARENT = EnsName("gw.eth")
NOBODY = EthAddress("0x" + "99" * 20)


@dataclass
class World:
    """A chain with a plain name, and the time of the breakers."""

    running: RunningChain
    chain: Chain
    seconds: float = 0.0
    clients: list[GuardedClient] = field(default_factory=list)

    def alias(self, *, chain: Chain | None = None, timeout: float = 30, private: bool = True) -> AliasOrigin:
        client = GuardedClient(allow_private=private, timeout=30)
        self.clients.append(client)
        return AliasOrigin(
            Ens(chain or self.chain, self.running.registry, client),
            own_parent=PARENT,
            own_resolvers=[NOBODY],
            timeout=timeout,
            breaker=lambda: Breaker(BreakerLimits(2, 30), clock=lambda: self.seconds),
        )

    async def zone(self, name: str, *urls: str) -> None:
        """A name whose records are behind these URLs."""
        contract = await asyncio.to_thread(self.running.ens.deploy_offchain_resolver, urls, [NOBODY])
        await asyncio.to_thread(self.running.ens.register, EnsName(name), None, contract)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_chain() as running:
        await asyncio.to_thread(running.ens.register, EnsName("plain.eth"))
        await asyncio.to_thread(running.ens.set_text, EnsName("plain.eth"), "url", "on chain")
        made = World(running, Chain([running.url], running.chain_id, timeout=30))
        await made.chain.block_number()
        yield made
        await made.chain.close()
        for client in made.clients:
            await client.close()


@pytest.mark.parametrize("name", ["gw.eth", "bob.gw.eth", "a.b.gw.eth"])
async def test_names_below_our_own_parent_are_not_looked_up(world: World, name: str) -> None:
    nowhere = Chain(["http://127.0.0.1:1"], 1)
    with pytest.raises(UnknownName, match="leads back"):
        await world.alias(chain=nowhere).read(EnsName(name), URL)
    await nowhere.close()


@pytest.mark.parametrize("script", [answering(response(500)), silence])
async def test_a_chain_that_is_down_is_an_error_and_then_left_alone(world: World, script: Script) -> None:
    async with scripted(script) as server:
        broken = Chain([server.url()], 31337, timeout=10)
        alias = world.alias(chain=broken, timeout=0.1)
        for _ in range(2):
            with pytest.raises(ChainUnavailable):
                await alias.read(EnsName("plain.eth"), URL)
        asked = len(server.asked)
        with pytest.raises(RegistryDown):
            await alias.read(EnsName("plain.eth"), URL)
        assert len(server.asked) == asked
    await broken.close()


async def test_slow_gateways_are_given_up_left_alone_and_tried_again(world: World) -> None:
    answers: list[Script] = [silence]

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answers[0](asked, writer)

    async with scripted(script) as server:
        await world.zone("slow.eth", server.url("/{sender}/{data}"))
        alias = world.alias(timeout=2)
        for _ in range(2):
            with pytest.raises(FetchFailed):
                await alias.read(EnsName("bob.slow.eth"), URL)
        alias._timeout = 30
        with pytest.raises(RegistryDown):
            await alias.read(EnsName("bob.slow.eth"), URL)
        assert len(server.asked) == 2
        await still_told(alias)
        world.seconds, answers[0] = 30, answering(response(404, b"{}"))
        with pytest.raises(UnknownName):
            await alias.read(EnsName("bob.slow.eth"), URL)
        assert len(server.asked) == 3


async def test_gateways_that_must_not_be_asked_are_not(world: World) -> None:
    async with scripted(answering(response(200, b"{}"))) as server:
        await world.zone("inside.eth", server.url("/{sender}/{data}"))
        with pytest.raises(BadRegistryAnswer, match=r"must not be fetched|only https"):
            await world.alias(private=False).read(EnsName("bob.inside.eth"), URL)
        assert server.asked == []


async def test_a_contract_that_returns_too_much_closes_nothing(world: World) -> None:
    # RETURN of 17 times 64 KiB to every call, supportsInterface among them.
    creation = bytes.fromhex("6006600a5f3960065ff3") + bytes.fromhex("621100005ff3")
    root = world.running.accounts["root"]
    created = (await asyncio.to_thread(send, world.running.core, root, None, creation)).created
    assert created is not None
    await asyncio.to_thread(world.running.ens.register, EnsName("huge.eth"), None, EthAddress("0x" + created.hex()))
    alias = world.alias()
    for _ in range(3):
        assert (await alias.read(EnsName("huge.eth"), URL)).records is not None
    await still_told(alias)


async def still_told(alias: AliasOrigin) -> None:
    assert await alias.read(EnsName("plain.eth"), URL) == Reading(NameRecords(texts={"url": "on chain"}))
