"""Look-ups in a real EVM: registry, public resolver, our offchain resolver, and our own CCIP-read endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from gateway.demo.chain import RunningChain, running_chain
from gateway.demo.chain.ens import ccip_url
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens, FoundResolver
from gateway.errors import FetchFailed, FetchRefused, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.records import DEFAULT_EVM, NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from tests.integration.ens.servers import Script, ShortClient, answering, response, scripted, silence
from tests.support.asgi import serving
from tests.unit.resolver import support

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICE = EnsName("alice.eth")
SIGNER = KeySigner.of(b"\x07" * 32)
ADDRESS = EthAddress("0x71c7656ec7ab88b098defb751b7401b5f6d8976f")
SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
HASH = bytes.fromhex("e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f")
BOBS = NameRecords(
    address=bytes.fromhex(ADDRESS[2:]),
    coins={0: SCRIPT, DEFAULT_EVM: b"\x05" * 20},
    texts={"url": "https://example.org", "ключ": "значение 💩 " * 200},
    contenthash=HASH,
)


@dataclass(frozen=True, slots=True)
class Zone:
    """A name whose resolver contract sends to gateways, and its person."""

    name: EnsName
    contract: EthAddress
    resolver: Resolver

    @property
    def bob(self) -> EnsName:
        """The only sub-name with records."""
        return EnsName(f"bob.{self.name}")


@dataclass(frozen=True, slots=True)
class World:
    """A chain and a reader of it."""

    running: RunningChain
    chain: Chain
    ens: Ens

    @asynccontextmanager
    async def zone(
        self,
        name: str,
        *urls: str,
        signer: KeySigner = SIGNER,
        records: NameRecords = BOBS,
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[Zone]:
        """A zone served by our endpoint; ``urls``, with "ours" for it, are what the contract says."""
        parent = EnsName(name)
        world = self.running.ens
        contract = await asyncio.to_thread(world.deploy_offchain_resolver, [], [SIGNER.address])
        await asyncio.to_thread(world.register, parent, None, contract)
        source = Fixed({EnsName(f"bob.{parent}"): records, parent: records})
        resolver = Resolver([source], signer, [contract], 300, [parent], clock=clock)
        async with serving(CcipEndpoint(resolver)) as port:
            ours = ccip_url(f"http://127.0.0.1:{port}")
            await asyncio.to_thread(
                world.set_urls, contract, [ours if url == "ours" else url for url in urls or ("ours",)]
            )
            yield Zone(parent, contract, resolver)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """One chain for all tests of this module."""
    async with running_chain() as running, GuardedClient(allow_private=True, timeout=30) as client:
        chain = Chain([running.url], running.chain_id, timeout=30)
        await asyncio.to_thread(_write, running)
        yield World(running, chain, Ens(chain, running.registry, client))
        await chain.close()


def _write(running: RunningChain) -> None:
    running.ens.register(ALICE)
    running.ens.set_addr(ALICE, ADDRESS)
    running.ens.set_coin(ALICE, 0, SCRIPT)
    running.ens.set_contenthash(ALICE, HASH)
    running.ens.set_text(ALICE, "url", "https://alice.example")
    running.ens.set_text(ALICE, "ключ", "значение 💩")
    for name in ("ξένος.echo.eth", "💩.echo.eth"):
        running.ens.register(EnsName(name))
        running.ens.set_text(EnsName(name), "url", name)
    running.ens.register(EnsName("bare.eth"), None, EthAddress("0x" + "00" * 20))
    running.ens.register(EnsName("nocode.eth"), None, EthAddress("0x" + "99" * 20))


async def test_names_on_chain(world: World) -> None:
    assert await world.ens.text(ALICE, "url") == "https://alice.example"
    assert await world.ens.text(ALICE, "ключ") == "значение 💩"
    assert await world.ens.text(ALICE, "absent") == ""
    assert await world.ens.address(ALICE) == ADDRESS
    assert await world.ens.addr(ALICE) == bytes.fromhex(ADDRESS[2:])
    assert await world.ens.addr(ALICE, 0) == SCRIPT
    assert await world.ens.addr(ALICE, 2) is None
    assert await world.ens.contenthash(ALICE) == HASH
    found = await world.ens.resolver_of(ALICE)
    assert found == FoundResolver(world.running.ens.public_resolver, extended=False)


async def test_names_outside_ascii(world: World) -> None:
    for name in ("ξένος.echo.eth", "💩.echo.eth"):
        assert await world.ens.text(EnsName(name), "url") == name


@pytest.mark.parametrize("name", ["nobody.eth", "sub.alice.eth", "bare.eth", "nocode.eth", "eth", "a.b.c.d.e.f.g.h.i"])
async def test_names_without_records(world: World, name: str) -> None:
    """A sub-name does not get the records of an ancestor whose resolver takes no part in ENSIP-10."""
    assert await world.ens.text(EnsName(name), "url") == ""
    assert await world.ens.address(EnsName(name)) is None
    assert await world.ens.addr(EnsName(name), 0) is None
    assert await world.ens.contenthash(EnsName(name)) == b""


async def test_names_outside_the_chain(world: World) -> None:
    async with world.zone("gw.eth") as zone:
        assert await world.ens.text(zone.bob, "url") == "https://example.org"
        assert await world.ens.text(zone.bob, "ключ") == "значение 💩 " * 200
        assert await world.ens.text(zone.bob, "absent") == ""
        assert await world.ens.address(zone.bob) == ADDRESS
        assert await world.ens.addr(zone.bob, 0) == SCRIPT
        assert await world.ens.addr(zone.bob, DEFAULT_EVM | 8453) == b"\x05" * 20
        assert await world.ens.addr(zone.bob, 2) is None
        assert await world.ens.contenthash(zone.bob) == HASH
        assert await world.ens.text(zone.name, "url") == "https://example.org"
        for nobody in ("nobody.gw.eth", "a.b.c.d.e.f.gw.eth"):
            assert await world.ens.text(EnsName(nobody), "url") == ""
            assert await world.ens.address(EnsName(nobody)) is None
        found = await world.ens.resolver_of(EnsName("a.b.c.d.e.f.gw.eth"))
        assert found == FoundResolver(zone.contract, extended=True)
        assert await world.ens.text(zone.bob, "url", at=found) == "https://example.org"


async def test_a_signature_of_somebody_else(world: World) -> None:
    async with world.zone("wrong-signer.eth", signer=KeySigner.of(b"\x08" * 32)) as zone:
        with pytest.raises(FetchFailed, match="refused"):
            await world.ens.text(zone.bob, "url")


async def test_an_answer_that_has_expired(world: World) -> None:
    async with world.zone("expired.eth", clock=lambda: time.time() - 1_000) as zone:
        with pytest.raises(FetchFailed, match="refused"):
            await world.ens.text(zone.bob, "url")


async def test_a_signer_that_was_removed(world: World) -> None:
    async with world.zone("rotated.eth") as zone:
        assert await world.ens.text(zone.bob, "url") == "https://example.org"
        await asyncio.to_thread(world.running.ens.remove_signer, zone.contract, SIGNER.address)
        with pytest.raises(FetchFailed, match="refused"):
            await world.ens.text(zone.bob, "url")
        await asyncio.to_thread(world.running.ens.add_signer, zone.contract, SIGNER.address)
        assert await world.ens.text(zone.bob, "url") == "https://example.org"


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("second-to-500.eth", answering(response(500))),
        ("second-to-empty.eth", answering(response(200, b"{}"))),
        ("second-to-mute.eth", silence),
    ],
)
async def test_a_second_gateway(world: World, name: str, script: Script) -> None:
    async with scripted(script) as bad, world.zone(name, bad.url("/{sender}/{data}"), "ours") as zone:
        async with ShortClient(*([bad] if script is silence else [])) as client:
            ens = Ens(world.chain, world.running.registry, client)
            assert await ens.text(zone.bob, "url") == "https://example.org"
        assert len(bad.asked) == 1


async def test_an_answer_to_another_question(world: World) -> None:
    """A reply that we signed for another record does not pass for this one."""
    async with world.zone("replayed.eth") as zone:
        recorded = await zone.resolver.answer(zone.contract, support.resolve(zone.bob, support.text(zone.bob, "ключ")))
        async with scripted(answering(response(200, b'{"data":"0x%s"}' % recorded.data.hex().encode()))) as liar:
            await asyncio.to_thread(world.running.ens.set_urls, zone.contract, [liar.url("/{sender}/{data}")])
            with pytest.raises(FetchFailed, match="refused"):
                await world.ens.text(zone.bob, "url")
            assert await world.ens.text(zone.bob, "ключ") == "значение 💩 " * 200


async def test_a_gateway_that_denies_the_name(world: World) -> None:
    denial = answering(response(404, b'{"message":"unknown"}'))
    async with scripted(denial) as denying, world.zone("denied.eth", denying.url("/{data}"), "ours") as zone:
        with pytest.raises(UnknownName):
            await world.ens.text(zone.bob, "url")


async def test_gateways_of_this_machine_are_refused_by_default(world: World) -> None:
    async with world.zone("guarded.eth") as zone, GuardedClient() as strict:
        ens = Ens(world.chain, world.running.registry, strict)
        with pytest.raises(FetchRefused):
            await ens.text(zone.bob, "url")


async def test_a_long_text(world: World) -> None:
    async with world.zone("long.eth", records=replace(BOBS, texts={"url": "x" * 40_000})) as zone:
        assert await world.ens.text(zone.bob, "url") == "x" * 40_000
