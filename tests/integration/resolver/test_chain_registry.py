"""Records that live on another chain: which of them are read, and when they count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, Account, accounts
from gateway.ens.chain import Chain
from gateway.ens.names import labelhash, namehash
from gateway.errors import BadRegistryAnswer, ChainUnavailable, RegistryDown
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import now_ms
from gateway.registry_settings import EvmRegistry
from gateway.resolver.calls import TextCall
from gateway.resolver.records import DEFAULT_EVM, NameRecords
from gateway.resolver.registries.breaker import Breaker, BreakerLimits
from gateway.resolver.registries.chain_registry import ChainOrigin, Contracts
from gateway.resolver.registries.opening import Ground, open_registries
from gateway.resolver.registries.registry import Reading
from gateway.resolver.registries.wanted import Wanted
from tests.integration.chain.node import Contract, Node, http_node
from tests.integration.ens.rpc import forwarding
from tests.integration.ens.servers import Script, answering, response, scripted, silence
from tests.support.anvil import running_anvil

CHAIN_ID = 31337
ALICE, BOB = EnsName("alice.eth"), EnsName("ξένος.eth")
ALL = Wanted(frozenset({60, 0, DEFAULT_EVM, DEFAULT_EVM | 10}), frozenset({"url", "ключ", "absent"}), contenthash=True)
URL = Wanted(texts=frozenset({"url"}))


@dataclass(frozen=True)
class World:
    """A chain of its own kind, on which the block two below the newest is final."""

    url: str
    node: Node
    root: Account
    registry: Contract
    resolver: Contract

    def register(self, name: str, resolver: EthAddress | None = None) -> None:
        label, _, parent = name.partition(".")
        self.registry.do(
            self.root,
            "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
            namehash(EnsName(parent)),
            labelhash(label),
            self.root.address,
            resolver or self.resolver.address,
            0,
        )

    def set_text(self, name: str, key: str, value: str) -> None:
        self.resolver.do(self.root, "setText(bytes32,string,string)", namehash(EnsName(name)), key, value)

    def settle(self) -> None:
        for _ in range(2):
            self.node.rpc("evm_mine")

    def deploy_code(self, code: bytes) -> EthAddress:
        # PUSH2 size, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
        creation = bytes.fromhex(f"61{len(code):04x}80600a5f395ff3") + code
        return EthAddress(self.node.send(self.root, None, creation)["contractAddress"].lower())

    @asynccontextmanager
    async def origin(
        self,
        *urls: str,
        at: Contracts | None = None,
        block: str = "finalized",
        quorum: int = 1,
        timeout: float = 20,
    ) -> AsyncIterator[ChainOrigin]:
        chain = Chain(urls or [self.url], CHAIN_ID, quorum=quorum, strict=True, timeout=timeout, rest=0)
        where = at or Contracts(registry=self.registry.address)
        breaker = Breaker(BreakerLimits(2, 30), clock=lambda: 0.0)
        yield ChainOrigin(chain, where, block=block, timeout=timeout, breaker=breaker)
        await chain.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    people = accounts()
    folder = tmp_path_factory.mktemp("anvil")
    with running_anvil(folder, "--slots-in-an-epoch", "1") as url, http_node("anvil", url) as node:
        for person in people.values():
            node.rpc("anvil_setBalance", person.address, hex(ACCOUNT_BALANCE))
        root = people["root"]
        registry = node.deploy(root, "ENSRegistry", root.address)
        made = World(url, node, root, registry, node.deploy(root, "PublicResolver", registry.address))
        for name in ("eth", ALICE, BOB):
            made.register(name)
        made.set_text(ALICE, "url", "https://alice.example")
        made.set_text(ALICE, "ключ", "значение 💩" * 50)
        made.set_text(BOB, "url", "https://bob.example")
        setter = "setAddr(bytes32,uint256,bytes)"
        made.resolver.do(root, setter, namehash(ALICE), 60, b"\x11" * 20)
        made.resolver.do(root, setter, namehash(ALICE), 0, b"\x00\x14" + b"\x22" * 20)
        made.resolver.do(root, setter, namehash(ALICE), DEFAULT_EVM, b"\x33" * 20)
        made.resolver.do(root, "setContenthash(bytes32,bytes)", namehash(ALICE), b"\xe3\x01")
        made.settle()
        yield made


async def test_the_wanted_records_are_read_by_registry_or_by_one_resolver(world: World) -> None:
    for contracts in (Contracts(registry=world.registry.address), Contracts(resolver=world.resolver.address)):
        async with world.origin(at=contracts) as origin:
            reading = await origin.read(ALICE, ALL)
            assert reading.records is not None
            assert reading.records.coins[60] == b"\x11" * 20
            assert reading.records.coins[0] == b"\x00\x14" + b"\x22" * 20
            assert reading.records.coins[DEFAULT_EVM] == b"\x33" * 20
            assert reading.records.texts == {"url": "https://alice.example", "ключ": "значение 💩" * 50}
            assert reading.records.contenthash == b"\xe3\x01"
            assert await origin.read(BOB, URL) == Reading(NameRecords(texts={"url": "https://bob.example"}))


async def test_a_name_without_a_resolver_is_not_known_and_one_without_records_is_empty(world: World) -> None:
    world.register("bare.eth")
    world.settle()
    async with world.origin() as origin:
        assert await origin.read(EnsName("nobody.eth"), ALL) == Reading(None)
        assert await origin.read(EnsName("below.alice.eth"), URL) == Reading(None)
        assert await origin.read(EnsName("bare.eth"), ALL) == Reading(NameRecords())


async def test_a_record_counts_when_it_is_final_and_not_before(world: World) -> None:
    name = EnsName("fresh.eth")
    async with world.origin() as origin, world.origin(block="latest") as hasty:
        world.register(name)
        world.set_text(name, "url", "one")
        assert await origin.read(name, URL) == Reading(None)
        assert await hasty.read(name, URL) == Reading(NameRecords(texts={"url": "one"}))
        world.settle()
        assert await origin.read(name, URL) == Reading(NameRecords(texts={"url": "one"}))
        world.set_text(name, "url", "two")
        assert await origin.read(name, URL) == Reading(NameRecords(texts={"url": "one"}))


async def test_a_record_that_is_reorganised_away_was_never_told(world: World) -> None:
    world.register("shaky.eth")
    world.set_text("shaky.eth", "url", "kept")
    world.settle()
    seen = []
    async with world.origin() as origin, world.origin(block="latest") as hasty:
        world.set_text("shaky.eth", "url", "taken back")
        assert await hasty.read(EnsName("shaky.eth"), URL) == Reading(NameRecords(texts={"url": "taken back"}))
        seen.append(await origin.read(EnsName("shaky.eth"), URL))
        world.node.rpc("anvil_reorg", 1, [])
        for _ in range(4):
            seen.append(await origin.read(EnsName("shaky.eth"), URL))
            world.node.rpc("evm_mine")
    assert seen == [Reading(NameRecords(texts={"url": "kept"}))] * 5


async def test_a_node_without_finality_has_no_answer_instead_of_its_newest(world: World) -> None:
    def unknowing(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if "finalized" in request["params"]:
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": "invalid argument"}}
        return reply

    async with scripted(forwarding(world.url, unknowing)) as server, world.origin(server.url()) as origin:
        with pytest.raises(ChainUnavailable):
            await origin.read(ALICE, URL)


@pytest.mark.parametrize(
    "script",
    [
        answering(response(500)),
        answering(response(200, b"<html>", "text/html")),
        silence,
    ],
)
async def test_a_chain_that_is_down_is_an_error_and_then_left_alone(world: World, script: Script) -> None:
    async with scripted(script) as server, world.origin(server.url(), timeout=0.2) as origin:
        for _ in range(2):
            with pytest.raises(ChainUnavailable):
                await origin.read(ALICE, URL)
        asked = len(server.asked)
        with pytest.raises(RegistryDown):
            await origin.read(ALICE, URL)
        assert len(server.asked) == asked


async def test_a_node_that_hangs_leaves_time_for_the_next(world: World) -> None:
    table = EvmRegistry.model_validate(
        {
            "type": "evm",
            "zone": "base",
            "target": "eth",
            "rpc_urls": [world.url],
            "chain_id": CHAIN_ID,
            "registry": world.registry.address,
        }
    )
    async with scripted(silence) as hanging, AsyncExitStack() as closing:
        table = table.model_copy(update={"rpc_urls": (hanging.url(), world.url), "timeout": 6})
        main = Chain(["http://127.0.0.1:1"], 1)
        ground = Ground(
            parent=EnsName("gw.eth"),
            resolvers=[],
            chain=main,
            ens_registry=world.registry.address,
            allow_private_gateways=True,
            clock=now_ms,
        )
        found = open_registries([table], [], ground, closing)
        records = await found.find(EnsName("alice.base.gw.eth"), TextCall(b"", "url"))
        assert records.texts == {"url": "https://alice.example"}
        assert hanging.asked


async def test_a_chain_of_another_id_is_never_believed(world: World) -> None:
    chain = Chain([world.url], 1, strict=True, timeout=30)
    contracts = Contracts(registry=world.registry.address)
    origin = ChainOrigin(chain, contracts, block="finalized", timeout=30, breaker=Breaker(BreakerLimits(2, 30)))
    with pytest.raises(ChainUnavailable):
        await origin.read(ALICE, URL)
    await chain.close()


async def test_with_a_quorum_one_node_cannot_lie(world: World) -> None:
    def lying(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "eth_call":
            return reply | {"result": reply["result"][:-64] + "ab" * 32}
        return reply

    async with (
        scripted(forwarding(world.url, lying)) as liar,
        scripted(forwarding(world.url)) as honest,
        world.origin(liar.url(), world.url, honest.url(), quorum=2) as origin,
    ):
        assert await origin.read(ALICE, URL) == Reading(NameRecords(texts={"url": "https://alice.example"}))


async def test_where_no_contract_is_nothing_is_said(world: World) -> None:
    nowhere = EthAddress("0x" + "99" * 20)
    for contracts in (Contracts(registry=nowhere), Contracts(resolver=nowhere)):
        async with world.origin(at=contracts) as origin:
            with pytest.raises(BadRegistryAnswer, match="there is no"):
                await origin.read(ALICE, URL)


@pytest.mark.parametrize(
    ("code", "reading"),
    [
        ("00", NameRecords()),  # STOP: returns nothing
        ("5f5ffd", NameRecords()),  # reverts
        ("5b5f56", NameRecords()),  # loops until its gas is used up
        ("fe", NameRecords()),  # invalid
        ("7f" + "ff" * 32 + "5f5260205ff3", None),  # an offset of 2**256-1
        ("620f42405ff3", None),  # a million zero bytes
        ("621100005ff3", NameRecords()),  # more than is read
        ("63556f18305f526004601cfd", None),  # OffchainLookup
    ],
)
async def test_resolvers_of_strangers_can_harm_their_own_name_only(
    world: World, code: str, reading: NameRecords | None
) -> None:
    resolver = world.deploy_code(bytes.fromhex(code))
    world.register("odd.eth", resolver)
    world.settle()
    async with world.origin() as origin:
        for wanted in (ALL, URL):
            if reading is None:
                with pytest.raises(BadRegistryAnswer):
                    await origin.read(EnsName("odd.eth"), wanted)
            else:
                assert await origin.read(EnsName("odd.eth"), wanted) == Reading(reading)
        assert (await origin.read(ALICE, URL)).records is not None
