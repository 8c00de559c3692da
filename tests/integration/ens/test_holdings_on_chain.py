"""Holdings on two real chains: every rule around its bound, several at once, and contracts that misbehave."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from gateway.demo.chain import running_chain
from gateway.demo.chain.accounts import ACCOUNT_BALANCE, accounts
from gateway.dm3.sender_rules import SenderRules, Stake, TokenBalance, TokenOwnership, TokenStandard
from gateway.ens.chain import Chain
from gateway.ens.facts import READ_GAS
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.ens.questions import MAX_RETURN
from gateway.ens.unmet import RuleKind
from gateway.errors import ChainUnavailable
from gateway.ids import EthAddress
from tests.integration.chain.node import embedded_node, http_node
from tests.integration.ens.tokens import ART, ITEM, TokenWorld, found_tokens
from tests.support.anvil import running_anvil

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAIN_ID = 31337
MOST = 2**256 - 1


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "anvil"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TokenWorld]:
    if request.param == "embedded":
        async with running_chain() as running:
            node = embedded_node(running.core)
            yield TokenWorld(running.url, node, running.accounts, found_tokens(node, running.accounts))
        return
    people = accounts()
    # One slot an epoch: what is three blocks old is final.
    with (
        running_anvil(tmp_path_factory.mktemp("anvil"), "--slots-in-an-epoch", "1") as url,
        http_node("anvil", url) as node,
    ):
        for person in people.values():
            node.rpc("anvil_setBalance", person.address, hex(ACCOUNT_BALANCE))
        made = TokenWorld(url, node, people, found_tokens(node, people))
        settle(made)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def holdings(world: TokenWorld) -> AsyncIterator[Holdings]:
    # The embedded chain takes a third of a second to burn the gas of one read.
    chain = Chain([world.url], CHAIN_ID, timeout=30)
    opened = Holdings(chain, limits=HoldingLimits(patience=60))
    yield opened
    await opened.close()
    await chain.close()


def settle(world: TokenWorld) -> None:
    """Let everything so far be final."""
    for _ in range(3):
        world.node.rpc("evm_mine")


def owns(world: TokenWorld, token: int | None, amount: int) -> SenderRules:
    rule = TokenOwnership(TokenStandard.ERC721, world.tokens.art.address, token, amount)
    return SenderRules(owns_token=(rule,))


def has_coins(world: TokenWorld, amount: int) -> SenderRules:
    return SenderRules(min_token_balance=TokenBalance(world.tokens.coin.address, amount))


def has_items(world: TokenWorld, amount: int) -> SenderRules:
    rule = TokenOwnership(TokenStandard.ERC1155, world.tokens.items.address, ITEM, amount)
    return SenderRules(owns_token=(rule,))


BOUNDS: list[tuple[str, int, Callable[[TokenWorld, int], SenderRules]]] = [
    ("nonce", 1, lambda world, amount: SenderRules(min_nonce=amount)),
    ("coins", 1_000, has_coins),
    ("art", 2, lambda world, amount: owns(world, None, amount)),
    ("items", 3, has_items),
    ("stake", 5, lambda world, amount: SenderRules(min_stake=Stake(world.tokens.stakes.address, amount))),
]


@pytest.mark.parametrize(("held", "rules"), [each[1:] for each in BOUNDS], ids=[each[0] for each in BOUNDS])
async def test_exactly_enough_is_enough(
    world: TokenWorld, holdings: Holdings, held: int, rules: Callable[[TokenWorld, int], SenderRules]
) -> None:
    for amount in {1, held}:
        assert await holdings.unmet(world.alice, rules(world, amount)) == ()
    for amount in (held + 1, MOST):
        (unmet,) = await holdings.unmet(world.alice, rules(world, amount))
        assert (unmet.required, unmet.found) == (amount, held)


async def test_the_balance_around_its_bound(world: TokenWorld, holdings: Holdings) -> None:
    wei = int(world.node.rpc("eth_getBalance", world.alice, "finalized"), 16)
    assert 0 < wei < ACCOUNT_BALANCE
    for amount, met in ((wei - 1, True), (wei, True), (wei + 1, False)):
        assert (await holdings.unmet(world.alice, SenderRules(min_balance=amount)) == ()) is met


async def test_the_owner_of_one_token(world: TokenWorld, holdings: Holdings) -> None:
    mallory = world.people["mallory"].address
    assert await holdings.unmet(world.alice, owns(world, ART, 1)) == ()
    for somebody, token in ((mallory, ART), (world.alice, ART + 2), (world.alice, MOST)):
        (unmet,) = await holdings.unmet(somebody, owns(world, token, 1))
        assert (unmet.kind, unmet.found, unmet.token_id) == (RuleKind.OWNS_TOKEN, 0, token)


async def test_somebody_who_has_nothing(world: TokenWorld, holdings: Holdings) -> None:
    nobody = EthAddress("0x" + "99" * 20)
    for _, _, rules in BOUNDS:
        (unmet,) = await holdings.unmet(nobody, rules(world, 1))
        assert unmet.found == 0


async def test_rules_are_joined(world: TokenWorld, holdings: Holdings) -> None:
    tokens = world.tokens

    def rules(coins: int, stake: int) -> SenderRules:
        return SenderRules(
            min_nonce=1,
            min_balance=10**18,
            min_token_balance=TokenBalance(tokens.coin.address, coins),
            owns_token=(
                TokenOwnership(TokenStandard.ERC721, tokens.art.address, ART),
                TokenOwnership(TokenStandard.ERC1155, tokens.items.address, ITEM, 3),
            ),
            min_stake=Stake(tokens.stakes.address, stake),
        )

    assert await holdings.unmet(world.alice, rules(1_000, 5)) == ()
    assert [each.kind for each in await holdings.unmet(world.alice, rules(1_000, 6))] == [RuleKind.STAKE]
    both = await holdings.unmet(world.alice, rules(1_001, 6))
    assert [each.kind for each in both] == [RuleKind.TOKEN_BALANCE, RuleKind.STAKE]
    assert [each.kind for each in await holdings.unmet(world.people["mallory"].address, rules(1, 1))] == [
        RuleKind.NONCE,
        RuleKind.TOKEN_BALANCE,
        RuleKind.OWNS_TOKEN,
        RuleKind.OWNS_TOKEN,
        RuleKind.STAKE,
    ]


async def test_a_deposit_that_was_taken_for_spam_no_longer_counts(world: TokenWorld, holdings: Holdings) -> None:
    stakes, root, bob = world.tokens.stakes, world.people["root"], world.people["bob"]
    rules = SenderRules(min_stake=Stake(stakes.address, 100))
    stakes.do(bob, "deposit()", value=100)
    settle(world)
    now = time.monotonic()
    clock = [now]
    chain = Chain([world.url], CHAIN_ID, timeout=30)
    watched = Holdings(chain, limits=HoldingLimits(patience=60), clock=lambda: clock[0])
    assert await watched.unmet(bob.address, rules) == ()
    stakes.do(root, "slash(address,uint256)", bob.address, 1)
    settle(world)
    clock[0] = now + 60
    (unmet,) = await watched.unmet(bob.address, rules)
    assert (unmet.kind, unmet.found) == (RuleKind.STAKE, 99)
    await chain.close()


# Each is the whole code of a contract.
ODD: dict[str, str] = {
    "nothing": "00",
    "revert": "5f5ffd",
    "revert with the amount that is wanted": "5f19" + "5f52" + "60205ffd",
    "invalid opcode": "fe",
    "stack underflow": "50",
    "jump into nowhere": "60ff56",
    "burns gas for ever": "5b5f56",
    "one byte": "5f195f5260015ff3",
    "31 bytes": "5f195f52601f5ff3",
    "33 bytes": "5f195f5260215ff3",
    "two words": "5f195f5260405ff3",
    "a quarter of a megabyte": "5f195f52620400005ff3",
    "more memory than there is gas": "5f195f5263ffffffff5ff3",
    "calls itself for ever": "5f5f5f5f5f305af15b5f5ff3",
    "writes to the chain": "60015f55" + "5f195f5260205f",
}
"""PUSH0 NOT is the greatest number there is: it must not be taken for a balance."""


@pytest.mark.parametrize("code", ODD.values(), ids=ODD.keys())
async def test_a_contract_that_misbehaves_holds_nobody_up_and_lets_nobody_in(
    world: TokenWorld, holdings: Holdings, code: str
) -> None:
    odd = world.deploy_code(bytes.fromhex(code))
    settle(world)
    rules = SenderRules(
        min_nonce=1,
        min_token_balance=TokenBalance(odd, 1),
        owns_token=(
            TokenOwnership(TokenStandard.ERC721, odd),
            TokenOwnership(TokenStandard.ERC721, odd, 7),
            TokenOwnership(TokenStandard.ERC1155, odd, 7),
            TokenOwnership(TokenStandard.ERC721, world.tokens.art.address, ART),
        ),
        min_stake=Stake(odd, 1),
    )
    unmet = await holdings.unmet(world.alice, rules)
    assert [(each.contract, each.found) for each in unmet] == [(odd, 0)] * 5


async def test_an_address_without_a_contract_holds_nothing(world: TokenWorld, holdings: Holdings) -> None:
    for empty in (EthAddress("0x" + "00" * 20), EthAddress("0x" + "77" * 20), EthAddress("0x" + "00" * 19 + "04")):
        rules = SenderRules(min_stake=Stake(empty, 1), owns_token=(TokenOwnership(TokenStandard.ERC721, empty, 7),))
        assert [each.found for each in await holdings.unmet(world.alice, rules)] == [0, 0]


async def test_gas_bounds_what_a_contract_can_return(world: TokenWorld) -> None:
    """A result past the bound of the chain client would look like a fault of the node, and stop mail."""
    words = MAX_RETURN // 32
    assert 3 * words + words**2 // 512 > READ_GAS
    chain = Chain([world.url], CHAIN_ID, timeout=30)
    largest = world.deploy_code(bytes.fromhex("620a00005ff3"))
    settle(world)
    holdings = Holdings(chain, limits=HoldingLimits(patience=60))
    (unmet,) = await holdings.unmet(world.alice, SenderRules(min_token_balance=TokenBalance(largest, 1)))
    assert unmet.found == 0
    await chain.close()


async def test_another_view_of_a_stake_contract(world: TokenWorld) -> None:
    chain = Chain([world.url], CHAIN_ID, timeout=30)
    rules = SenderRules(min_stake=Stake(world.tokens.coin.address, 1_000))
    assert await Holdings(chain, stake_view="balanceOf(address)").unmet(world.alice, rules) == ()
    assert len(await Holdings(chain).unmet(world.alice, rules)) == 1
    await chain.close()


async def test_a_node_that_is_down(world: TokenWorld) -> None:
    chain = Chain(["http://127.0.0.1:9"], CHAIN_ID, timeout=0.5)
    with pytest.raises(ChainUnavailable):
        await Holdings(chain).unmet(world.alice, SenderRules(min_nonce=1))
    await chain.close()
