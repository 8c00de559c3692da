"""Deposits count when they are final: a reorganisation of a real chain takes the others back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, accounts
from gateway.dm3.sender_rules import SenderRules, Stake
from gateway.ens.chain import Chain
from gateway.ens.holdings import HoldingLimits, Holdings
from tests.integration.chain.node import http_node
from tests.integration.ens.rpc import forwarding
from tests.integration.ens.servers import scripted
from tests.integration.ens.tokens import TokenWorld, found_tokens
from tests.support.anvil import running_anvil

CHAIN_ID = 31337
UNMET_TTL = 15.0


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenWorld]:
    """A chain on which the block two below the newest is final."""
    people = accounts()
    folder = tmp_path_factory.mktemp("anvil")
    with running_anvil(folder, "--slots-in-an-epoch", "1") as url, http_node("anvil", url) as node:
        for person in people.values():
            node.rpc("anvil_setBalance", person.address, hex(ACCOUNT_BALANCE))
        made = TokenWorld(url, node, people, found_tokens(node, people))
        for _ in range(3):
            node.rpc("evm_mine")
        yield made


class Watched:
    """Whether bob is let in, asked as if the last answer were long ago."""

    def __init__(self, world: TokenWorld, chain: Chain, block: str) -> None:
        self.bob = world.people["bob"]
        self._rules = SenderRules(min_stake=Stake(world.tokens.stakes.address, 100))
        self._now = 0.0
        self._holdings = Holdings(chain, block=block, limits=HoldingLimits(patience=60), clock=lambda: self._now)

    async def let_in(self) -> bool:
        self._now += 1_000
        return await self._holdings.unmet(self.bob.address, self._rules) == ()


@asynccontextmanager
async def watching(world: TokenWorld, block: str, url: str = "") -> AsyncIterator[Watched]:
    chain = Chain([url or world.url], CHAIN_ID, timeout=30)
    yield Watched(world, chain, block)
    await chain.close()


@pytest.mark.attack(38)
async def test_a_deposit_counts_when_it_is_final_and_not_before(world: TokenWorld) -> None:
    async with watching(world, "finalized") as watched, watching(world, "latest") as hasty:
        assert not await watched.let_in()
        world.tokens.stakes.do(watched.bob, "deposit()", value=100)
        assert not await watched.let_in()
        assert await hasty.let_in()
        world.node.rpc("evm_mine")
        assert not await watched.let_in()
        world.node.rpc("evm_mine")
        assert await watched.let_in()


@pytest.mark.attack(38)
async def test_a_deposit_that_is_reorganised_away_never_lets_anybody_in(world: TokenWorld) -> None:
    async with watching(world, "finalized") as watched, watching(world, "latest") as hasty:
        seen = [await watched.let_in()]
        world.tokens.stakes.do(watched.bob, "deposit()", value=100)
        assert await hasty.let_in(), "a node that looks at the newest block is deceived"
        seen.append(await watched.let_in())
        world.node.rpc("anvil_reorg", 1, [])
        for _ in range(4):
            seen.append(await watched.let_in())
            world.node.rpc("evm_mine")
        assert not any(seen)
        assert not await hasty.let_in(), "the deposit is gone"
        assert world.tokens.stakes.ask("stakeOf(address)", watched.bob.address) == 0


@pytest.mark.attack(38)
async def test_a_slashed_stake_lets_in_until_that_is_final_too(world: TokenWorld) -> None:
    """The same block for both: what was final stays true until its end is final."""
    stakes = world.tokens.stakes
    async with watching(world, "finalized") as watched:
        stakes.do(watched.bob, "deposit()", value=100)
        for _ in range(2):
            world.node.rpc("evm_mine")
        assert await watched.let_in()
        stakes.do(world.people["root"], "slash(address,uint256)", watched.bob.address, 1)
        assert await watched.let_in()
        for _ in range(2):
            world.node.rpc("evm_mine")
        assert not await watched.let_in()


async def test_safe_is_between(world: TokenWorld) -> None:
    async with watching(world, "safe") as watched:
        world.tokens.stakes.do(watched.bob, "deposit()", value=100)
        assert not await watched.let_in()
        world.node.rpc("evm_mine")
        assert await watched.let_in()


async def test_a_chain_without_finality_is_read_at_its_newest_block(world: TokenWorld) -> None:
    def unknowing(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if "finalized" in request["params"]:
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": "invalid argument"}}
        return reply

    async with (
        scripted(forwarding(world.url, unknowing)) as server,
        watching(world, "finalized", server.url()) as watched,
    ):
        world.tokens.stakes.do(watched.bob, "deposit()", value=100)
        assert await watched.let_in()
