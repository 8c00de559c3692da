"""Facts: calldata byte for byte, answers of honest and of odd contracts, and what rules ask for."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.eth import keccak256
from gateway.dm3.sender_rules import SenderRules, Stake, TokenBalance, TokenOwnership, TokenStandard
from gateway.ens.facts import (
    READ_GAS,
    Amount,
    AmountOfToken,
    Fact,
    Need,
    Owner,
    SentTransactions,
    Wei,
    needs_of,
    view_selector,
)
from gateway.ens.questions import Answer, Reverted
from gateway.ens.unmet import RuleKind, Unmet
from gateway.errors import InvalidInput
from gateway.ids import EthAddress
from gateway.settings import StakeSettings

ALICE = EthAddress("0x" + "a1" * 20)
COIN = EthAddress("0x" + "c0" * 20)
STAKE_OF = view_selector("stakeOf(address)")
MOST = 2**256 - 1


@pytest.mark.parametrize(
    ("fact", "signature", "types", "arguments"),
    [
        (Amount(COIN), "balanceOf(address)", ["address"], [ALICE]),
        (Amount(COIN, STAKE_OF), "stakeOf(address)", ["address"], [ALICE]),
        (Owner(COIN, 7), "ownerOf(uint256)", ["uint256"], [7]),
        (Owner(COIN, MOST), "ownerOf(uint256)", ["uint256"], [MOST]),
        (AmountOfToken(COIN, 7), "balanceOf(address,uint256)", ["address", "uint256"], [ALICE, 7]),
    ],
)
def test_calldata_is_that_of_the_standards(
    fact: Fact, signature: str, types: list[str], arguments: list[object]
) -> None:
    question = fact.question(ALICE)
    assert question.method == "eth_call"
    data = keccak256(signature.encode())[:4] + encode(types, arguments)
    assert question.subject == {"to": COIN, "data": "0x" + data.hex(), "gas": hex(READ_GAS)}


def test_what_the_node_itself_knows() -> None:
    assert (SentTransactions().question(ALICE).method, Wei().question(ALICE).method) == (
        "eth_getTransactionCount",
        "eth_getBalance",
    )
    assert SentTransactions().question(ALICE).subject == Wei().question(ALICE).subject == ALICE
    assert SentTransactions().amount(ALICE, 5) == Wei().amount(ALICE, 5) == 5


@pytest.mark.parametrize("fact", [Amount(COIN), AmountOfToken(COIN, 7)])
@given(amount=st.integers(0, MOST))
def test_one_word_is_the_amount(fact: Fact, amount: int) -> None:
    assert fact.amount(ALICE, encode(["uint256"], [amount])) == amount


def test_one_owner() -> None:
    assert Owner(COIN, 7).amount(ALICE, encode(["address"], [ALICE])) == 1
    assert Owner(COIN, 7).amount(ALICE, encode(["address"], [COIN])) == 0


@pytest.mark.parametrize("fact", [Amount(COIN), AmountOfToken(COIN, 7), Owner(COIN, 7)])
@pytest.mark.parametrize(
    "answer",
    [
        Reverted(b""),
        Reverted(encode(["uint256"], [MOST])),
        b"",
        b"\xff" * 31,
        b"\xff" * 33,
        b"\xff" * 64,
        b"\xff" * 900_000,
        bytes.fromhex("a1" * 20),
        b"\xff" * 12 + bytes.fromhex("a1" * 20) + b"\xff",
    ],
)
def test_everything_else_is_nothing(fact: Fact, answer: Answer) -> None:
    assert fact.amount(ALICE, answer) == 0


def test_an_owner_with_something_before_the_address_is_nobody() -> None:
    assert Owner(COIN, 7).amount(ALICE, b"\1" + bytes(11) + bytes.fromhex("a1" * 20)) == 0


@pytest.mark.parametrize("fact", [SentTransactions(), Wei()])
def test_a_node_that_says_reverted_of_a_balance_says_nothing(fact: Fact) -> None:
    assert fact.amount(ALICE, Reverted(b"")) == 0


def test_rules_ask_for_facts_in_the_order_of_their_fields() -> None:
    rules = SenderRules(
        min_nonce=1,
        min_balance=2,
        min_token_balance=TokenBalance(COIN, 3),
        owns_token=(
            TokenOwnership(TokenStandard.ERC721, COIN, None, 4),
            TokenOwnership(TokenStandard.ERC721, COIN, 0),
            TokenOwnership(TokenStandard.ERC1155, COIN, 8, 5),
        ),
        min_stake=Stake(COIN, 6),
        message_requests=True,
    )
    assert needs_of(rules, STAKE_OF) == (
        Need(RuleKind.NONCE, SentTransactions(), 1),
        Need(RuleKind.BALANCE, Wei(), 2),
        Need(RuleKind.TOKEN_BALANCE, Amount(COIN), 3),
        Need(RuleKind.OWNS_TOKEN, Amount(COIN), 4),
        Need(RuleKind.OWNS_TOKEN, Owner(COIN, 0), 1),
        Need(RuleKind.OWNS_TOKEN, AmountOfToken(COIN, 8), 5),
        Need(RuleKind.STAKE, Amount(COIN, STAKE_OF), 6),
    )
    assert needs_of(SenderRules(message_requests=True), STAKE_OF) == ()


def test_every_rule_that_asks_the_chain_asks_for_something() -> None:
    for rules in (SenderRules(), SenderRules(min_nonce=1), SenderRules(min_stake=Stake(COIN, 1))):
        assert bool(needs_of(rules, STAKE_OF)) is rules.asks_the_chain


@pytest.mark.parametrize(
    ("fact", "unmet"),
    [
        (Wei(), Unmet(RuleKind.BALANCE, 2, 1)),
        (SentTransactions(), Unmet(RuleKind.BALANCE, 2, 1)),
        (Amount(COIN), Unmet(RuleKind.BALANCE, 2, 1, COIN)),
        (Owner(COIN, 0), Unmet(RuleKind.BALANCE, 2, 1, COIN, 0)),
        (AmountOfToken(COIN, 7), Unmet(RuleKind.BALANCE, 2, 1, COIN, 7)),
    ],
)
def test_what_is_missing_names_contract_and_token(fact: Fact, unmet: Unmet) -> None:
    assert Need(RuleKind.BALANCE, fact, 2).unmet(1) == unmet


def test_the_same_fact_is_one_fact() -> None:
    """ERC-20 and ERC-721 ask alike, so that two rules about one contract are one read."""
    assert {Amount(COIN), Amount(COIN), Owner(COIN, 1), Owner(COIN, 1)} == {Amount(COIN), Owner(COIN, 1)}


VIEWS = ["stakeOf(address)", "balanceOf(address)", "$_x1(address)", "a" * 64 + "(address)"]
NO_VIEWS = [
    "",
    "stakeOf",
    "stakeOf()",
    "stakeOf(uint256)",
    "stakeOf(address,uint256)",
    "stakeOf(address) ",
    " stakeOf(address)",
    "stakeOf(address)\n",
    "stakeOf( address)",
    "stake-of(address)",
    "1stake(address)",
    "(address)",
    "stakeÖf(address)",
    "a" * 65 + "(address)",
    "f(address)g(address)",
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_called_by_its_selector(view: str) -> None:
    assert view_selector(view) == keccak256(view.encode())[:4]
    assert StakeSettings(view=view).view == view


@pytest.mark.parametrize("view", NO_VIEWS)
def test_what_is_no_view_is_refused_by_the_settings_too(view: str) -> None:
    with pytest.raises(InvalidInput):
        view_selector(view)
    with pytest.raises(ValueError, match="view"):
        StakeSettings(view=view)


def test_selectors_of_the_standards() -> None:
    assert view_selector("balanceOf(address)").hex() == "70a08231"
    assert keccak256(b"ownerOf(uint256)")[:4].hex() == "6352211e"
    assert keccak256(b"balanceOf(address,uint256)")[:4].hex() == "00fdd58e"
