"""k of n: liars among the endpoints, honest ones at different blocks, and endpoints that are away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.demo.chain import RunningChain, running_chain
from gateway.dm3.canonical import Json
from gateway.dm3.sender_rules import SenderRules, Stake
from gateway.ens.chain import CallReverted, Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.ens.lookup import Ens
from gateway.errors import ChainUnavailable, ConfigError
from gateway.ids import EnsName, EthAddress
from tests.integration.chain.node import embedded_node
from tests.integration.ens.rpc import forwarding, reverting, rpc, short_with
from tests.integration.ens.servers import Asked, Script, Server, scripted, silence
from tests.integration.ens.tokens import TokenWorld, found_tokens

NOBODY = EthAddress("0x" + "99" * 20)
CHAIN_ID = 31337
LIE = "0x" + "ff" * 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[RunningChain]:
    """A real chain."""
    async with running_chain() as found:
        yield found


@pytest.fixture(scope="module")
def world(running: RunningChain) -> TokenWorld:
    """The same with tokens."""
    node = embedded_node(running.core)
    return TokenWorld(running.url, node, running.accounts, found_tokens(node, running.accounts))


class Nodes:
    """Endpoints of one test and the chain clients over them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def start(self, *scripts: Script) -> list[Server]:
        return [await self._stack.enter_async_context(scripted(script)) for script in scripts]

    def chain(self, servers: list[Server], quorum: int = 2, timeout: float = 30) -> Chain:
        chain = Chain([each.url("/secret-key") for each in servers], CHAIN_ID, quorum=quorum, timeout=timeout)
        self._stack.push_async_callback(chain.close)
        return chain


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        yield Nodes(stack)


def lying(value: str) -> Any:
    """Says ``value`` whatever a contract returns."""

    def alter(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] != "eth_call":
            return reply
        return {"jsonrpc": "2.0", "id": request["id"], "result": value}

    return alter


def disagreements(logs: list[Any]) -> list[Any]:
    return [each for each in logs if each["event"] == "chain.disagreement"]


@pytest.mark.attack(39)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("liar_at", [0, 1, 2])
async def test_one_of_three_lies_and_the_two_are_believed(world: TokenWorld, liar_at: int) -> None:
    scripts = [forwarding(world.url), forwarding(world.url)]
    scripts.insert(liar_at, forwarding(world.url, lying(LIE)))
    async with AsyncExitStack() as stack:
        nodes = Nodes(stack)
        chain = nodes.chain(await nodes.start(*scripts))
        holdings = Holdings(chain, limits=HoldingLimits(patience=60))
        rich = SenderRules(min_stake=Stake(world.tokens.stakes.address, 6), min_nonce=1)
        with capture_logs() as logs:
            (unmet,) = await holdings.unmet(world.alice, rich)
        assert unmet.found == 5, "the liar said that alice has more than anybody"
        assert not disagreements(logs)


@pytest.mark.attack(39)
@pytest.mark.asyncio(loop_scope="module")
async def test_three_that_all_differ_are_refused_with_an_alert(world: TokenWorld) -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(stack)
        liars = [forwarding(world.url, lying("0x" + f"{number:064x}")) for number in (6, 7)]
        servers = await nodes.start(forwarding(world.url), *liars)
        holdings = Holdings(nodes.chain(servers), limits=HoldingLimits(patience=60))
        with capture_logs() as logs, pytest.raises(ChainUnavailable, match="do not agree") as caught:
            await holdings.unmet(world.alice, SenderRules(min_stake=Stake(world.tokens.stakes.address, 1)))
        (alert,) = disagreements(logs)
        assert alert["log_level"] == "error"
        assert alert["hosts"] == ("127.0.0.1",)
        assert alert["methods"] == ["eth_call"]
        assert "secret-key" not in str(logs) + caught.value.detail


@pytest.mark.attack(39)
@pytest.mark.asyncio(loop_scope="module")
async def test_names_are_read_by_agreement_too(running: RunningChain) -> None:
    """A lying endpoint must not be able to give a name to somebody else."""
    name, owner = EnsName("agreed.eth"), running.accounts["bob"].address
    await asyncio.to_thread(running.ens.register, name, owner)
    await asyncio.to_thread(running.ens.set_addr, name, owner)
    thief = lying("0x" + "00" * 12 + "66" * 20)
    async with AsyncExitStack() as stack:
        nodes = Nodes(stack)
        servers = await nodes.start(forwarding(running.url, thief), forwarding(running.url), forwarding(running.url))
        client = await stack.enter_async_context(GuardedClient(allow_private=True, timeout=30))
        ens = Ens(nodes.chain(servers), running.registry, client)
        assert await ens.address(name) == owner


async def test_without_a_quorum_the_first_that_works_is_believed_and_nobody_else_is_asked(nodes: Nodes) -> None:
    servers = await nodes.start(rpc(eth_getBalance="0x1"), rpc(eth_getBalance="0x2"))
    assert await nodes.chain(servers, quorum=1).balance(NOBODY) == 1
    assert len(servers[1].asked) == 0


@pytest.mark.attack(39)
@pytest.mark.parametrize(
    ("replies", "found"),
    [
        (["0x5", "0x5", "0x6"], 5),
        (["0x05", "0x5", "0x6"], 5),
        (["0x6", "0x5", "0x5"], 5),
        (["0x5", {"error": {"code": -32000, "message": "sleepy"}}, "0x5"], 5),
        (["much", "0x5", "0x5"], 5),
        ([None, "0x5", "0x5"], 5),
        (["0x5", "0x6", "0x7"], None),
        (["0x5", "0x6", "much"], None),
    ],
)
async def test_numbers(nodes: Nodes, replies: list[Json], found: int | None) -> None:
    block = {"number": "0x10"}
    servers = await nodes.start(*(rpc(eth_getBalance=each, eth_getBlockByNumber=block) for each in replies))
    chain = nodes.chain(servers)
    with capture_logs() as logs:
        if found is None:
            with pytest.raises(ChainUnavailable, match="do not agree"):
                await chain.balance(NOBODY)
        else:
            assert await chain.balance(NOBODY) == found
    assert len(disagreements(logs)) == (found is None)


REVERTED = reverting(b"\1\2\3\4")


@pytest.mark.attack(39)
@pytest.mark.parametrize(
    ("replies", "data"),
    [
        ([REVERTED, REVERTED, "0x01"], "01020304"),
        ([REVERTED, "0x01", REVERTED], "01020304"),
        ([reverting(b""), reverting(b""), REVERTED], ""),
        ([{"error": {"code": -32000, "message": "out of gas"}}, {"error": {"code": 3, "message": "reverted"}}], ""),
        ([REVERTED, reverting(b"\1\2\3\5")], None),
        ([REVERTED, reverting(b""), "0x"], None),
    ],
)
async def test_refusals_of_contracts_with_their_reasons(nodes: Nodes, replies: list[Json], data: str | None) -> None:
    block = {"number": "0x10"}
    servers = await nodes.start(*(rpc(eth_call=each, eth_getBlockByNumber=block) for each in replies))
    chain = nodes.chain(servers)
    if data is None:
        with pytest.raises(ChainUnavailable, match="do not agree"):
            await chain.eth_call(NOBODY, b"")
    else:
        with pytest.raises(CallReverted) as caught:
            await chain.eth_call(NOBODY, b"")
        assert caught.value.data.hex() == data


@pytest.mark.parametrize("away", [silence, rpc(eth_chainId="0x1"), rpc(eth_getBalance=None)])
async def test_an_endpoint_that_is_away_is_not_waited_for(nodes: Nodes, away: Script) -> None:
    servers = await nodes.start(away, rpc(eth_getBalance="0x5"), rpc(eth_getBalance="0x5"))
    chain = short_with(nodes.chain(servers), 0)
    with capture_logs() as logs:
        assert await chain.balance(NOBODY) == 5
    assert not disagreements(logs)


async def test_too_few_endpoints_are_an_outage_and_no_alert(nodes: Nodes) -> None:
    servers = await nodes.start(silence, silence, rpc(eth_getBalance="0x5"))
    chain = nodes.chain(servers, timeout=0.3)
    with capture_logs() as logs, pytest.raises(ChainUnavailable) as caught:
        await chain.balance(NOBODY)
    assert "no answer within" in caught.value.detail
    assert not disagreements(logs)
    assert "secret-key" not in str(logs) + caught.value.detail


async def test_endpoints_that_rest_are_asked_when_the_others_do_not_agree(nodes: Nodes) -> None:
    five = rpc(eth_getBalance="0x5")
    resting, awake, other, liar = await nodes.start(five, five, five, rpc(eth_getBalance="0x6"))
    content = nodes.chain([resting, awake, other])
    content._endpoints[0].resting_until = float("inf")
    assert await content.balance(NOBODY) == 5
    assert len(resting.asked) == 0
    deceived = nodes.chain([resting, awake, liar])
    deceived._endpoints[0].resting_until = float("inf")
    with capture_logs() as logs:
        assert await deceived.balance(NOBODY) == 5
    assert len(resting.asked) > 0
    assert [each["event"] for each in logs] == ["chain.dissent"]


async def test_endpoints_that_rest_are_asked_at_once_when_there_are_too_few_others(nodes: Nodes) -> None:
    servers = await nodes.start(rpc(eth_getBalance="0x5"), rpc(eth_getBalance="0x5"))
    chain = nodes.chain(servers)
    for endpoint in chain._endpoints:
        endpoint.resting_until = float("inf")
    assert await chain.balance(NOBODY) == 5


def at_blocks(balances: dict[int, int], newest: int) -> Script:
    """A node that knows the chain up to a block; ``balances`` by the block from which they hold."""

    def height(params: list[Any]) -> dict[str, Any]:
        return {"number": hex(newest)}

    def balance(params: list[Any]) -> object:
        block = newest if params[1] in ("latest", "finalized") else int(params[1], 16)
        if block > newest:
            return {"error": {"code": -32000, "message": "header not found"}}
        return hex(balances[max(each for each in balances if each <= block)])

    return rpc(eth_getBlockByNumber=height, eth_getBalance=balance)


@pytest.mark.parametrize("block", ["latest", "finalized"])
async def test_honest_endpoints_at_different_blocks_are_asked_at_one(nodes: Nodes, block: str) -> None:
    """The balance changes with block 17, which one of two has not seen yet: that is no lie."""
    story = {0: 5, 17: 6}
    servers = await nodes.start(at_blocks(story, 16), at_blocks(story, 17))
    with capture_logs() as logs:
        assert await nodes.chain(servers).balance(NOBODY, block) == 5
    assert not disagreements(logs)


@pytest.mark.attack(39)
@pytest.mark.parametrize("claimed", [0, 10**9])
async def test_a_liar_does_not_choose_the_block(nodes: Nodes, claimed: int) -> None:
    story = {0: 5, 17: 6}
    liar = rpc(eth_getBlockByNumber={"number": hex(claimed)}, eth_getBalance="0xffff")
    servers = await nodes.start(liar, at_blocks(story, 17), at_blocks(story, 17), at_blocks(story, 16))
    chain = nodes.chain(servers)
    assert await chain.balance(NOBODY) == 6
    assert await chain.block_number() == 17


@pytest.mark.parametrize(("quorum", "height"), [(2, 17), (3, 16)])
async def test_the_newest_block_is_one_that_enough_endpoints_have(nodes: Nodes, quorum: int, height: int) -> None:
    servers = await nodes.start(*(at_blocks({0: 0}, newest) for newest in (16, 17, 18)))
    assert await nodes.chain(servers, quorum).block_number() == height


async def test_too_few_that_know_their_newest_block(nodes: Nodes) -> None:
    servers = await nodes.start(rpc(eth_getBlockByNumber=None), at_blocks({0: 0}, 16))
    with pytest.raises(ChainUnavailable, match="1 endpoints tell"):
        await nodes.chain(servers).block_number()


async def test_a_batch_is_agreed_on_question_by_question(nodes: Nodes) -> None:
    """Two lie, each about something else: for every question there are two that do not."""
    block = {"number": "0x10"}
    servers = await nodes.start(
        rpc(eth_getBlockByNumber=block, eth_getBalance="0x9", eth_getTransactionCount="0x7"),
        rpc(eth_getBlockByNumber=block, eth_getBalance="0x5", eth_getTransactionCount="0x9"),
        rpc(eth_getBlockByNumber=block, eth_getBalance="0x5", eth_getTransactionCount="0x7"),
    )
    holdings = Holdings(nodes.chain(servers), limits=HoldingLimits(patience=60))
    unmet = await holdings.unmet(NOBODY, SenderRules(min_balance=100, min_nonce=100))
    assert [each.found for each in unmet] == [7, 5]
    assert any(isinstance(json.loads(asked.body), list) for asked in servers[0].asked)


async def test_the_check_at_the_start_wants_as_many_as_must_agree(nodes: Nodes) -> None:
    good, other, mute, wrong = await nodes.start(rpc(), rpc(), silence, rpc(eth_chainId="0x1"))
    await short_with(nodes.chain([good, other, mute]), 2).check_chain_id()
    with pytest.raises(ChainUnavailable, match="1 endpoints of the chain answer, and 2 must"):
        await short_with(nodes.chain([good, mute]), 1).check_chain_id()
    with pytest.raises(ConfigError, match="chain 1, not 31337"):
        await nodes.chain([good, other, wrong]).check_chain_id()


async def test_one_who_gives_up_leaves_web3_to_its_end(nodes: Nodes) -> None:
    """Calls that are cut off would leave web3's lock taken; see the tests of the chain client."""
    released = asyncio.Event()

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await rpc(eth_getBalance="0x5")(asked, writer)

    servers = await nodes.start(slow, rpc(eth_getBalance="0x5"), rpc(eth_getBalance="0x5"))
    chain = nodes.chain(servers)
    assert await chain.balance(NOBODY) == 5
    asking = asyncio.create_task(nodes.chain([servers[0]], quorum=1).balance(NOBODY))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    released.set()
    assert await chain.balance(NOBODY) == 5
    await chain.close()
    assert await chain.balance(NOBODY) == 5
