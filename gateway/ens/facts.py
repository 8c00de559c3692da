"""What an address has on chain, fact by fact: how each is asked for, and how the answer is read.

The contracts are named by strangers. Whatever one of them does (refuse, burn its gas, return nothing or something
else than one word) reads as 0: it holds nobody up, and lets nobody in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.dm3.eth import address_bytes, keccak256
from gateway.dm3.sender_rules import SenderRules, TokenOwnership, TokenStandard
from gateway.ens.abi import SELECTOR, WORD, address_word, pack, word
from gateway.ens.questions import Answer, Question, balance_of, contract_call, transaction_count_of
from gateway.ens.unmet import RuleKind, Unmet
from gateway.errors import InvalidInput
from gateway.ids import EthAddress

READ_GAS: Final = 1_000_000
"""Bound for one read; a token needs some ten thousand. What memory costs keeps the result below a megabyte, too."""
STAKE_VIEW: Final = "stakeOf(address)"

_BALANCE_OF: Final = bytes.fromhex("70a08231")  # balanceOf(address), ERC-20 and ERC-721
_OWNER_OF: Final = bytes.fromhex("6352211e")  # ownerOf(uint256), ERC-721
_BALANCE_OF_ID: Final = bytes.fromhex("00fdd58e")  # balanceOf(address,uint256), ERC-1155
_VIEW: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}\(address\)")


@dataclass(frozen=True, slots=True)
class SentTransactions:
    """How many transactions the address has sent."""

    def question(self, address: EthAddress) -> Question:
        """Ask the node."""
        return transaction_count_of(address)

    def amount(self, address: EthAddress, answer: Answer) -> int:
        """The count."""
        return answer if isinstance(answer, int) else 0


@dataclass(frozen=True, slots=True)
class Wei:
    """How much of the chain's own coin the address has."""

    def question(self, address: EthAddress) -> Question:
        """Ask the node."""
        return balance_of(address)

    def amount(self, address: EthAddress, answer: Answer) -> int:
        """Wei."""
        return answer if isinstance(answer, int) else 0


@dataclass(frozen=True, slots=True)
class Amount:
    """What a contract's ``view(address)`` says of the address; ``selector`` is the view's."""

    contract: EthAddress
    selector: bytes = _BALANCE_OF

    def question(self, address: EthAddress) -> Question:
        """Ask the contract."""
        return contract_call(self.contract, self.selector + address_word(address_bytes(address)), READ_GAS)

    def amount(self, address: EthAddress, answer: Answer) -> int:
        """A ``uint256``."""
        return _uint(answer)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whether the address owns one token of an ERC-721 collection."""

    contract: EthAddress
    token_id: int

    def question(self, address: EthAddress) -> Question:
        """Ask the collection for the token's owner."""
        return contract_call(self.contract, _OWNER_OF + word(self.token_id), READ_GAS)

    def amount(self, address: EthAddress, answer: Answer) -> int:
        """1 when it is the address."""
        return int(answer == address_word(address_bytes(address)))


@dataclass(frozen=True, slots=True)
class AmountOfToken:
    """How many of one token of an ERC-1155 collection the address has."""

    contract: EthAddress
    token_id: int

    def question(self, address: EthAddress) -> Question:
        """Ask the collection."""
        arguments = pack(address_word(address_bytes(address)), word(self.token_id))
        return contract_call(self.contract, _BALANCE_OF_ID + arguments, READ_GAS)

    def amount(self, address: EthAddress, answer: Answer) -> int:
        """A ``uint256``."""
        return _uint(answer)


Fact: TypeAlias = SentTransactions | Wei | Amount | Owner | AmountOfToken


@dataclass(frozen=True, slots=True)
class Need:
    """One rule: of which fact it asks how much."""

    kind: RuleKind
    fact: Fact
    required: int

    def unmet(self, found: int) -> Unmet:
        """The rule as somebody does not meet it."""
        contract = None if isinstance(self.fact, SentTransactions | Wei) else self.fact.contract
        token_id = self.fact.token_id if isinstance(self.fact, Owner | AmountOfToken) else None
        return Unmet(self.kind, self.required, found, contract, token_id)


def needs_of(rules: SenderRules, stake_selector: bytes) -> tuple[Need, ...]:
    """Everything that the rules ask of the chain, in the order of their fields."""
    needs: list[Need] = []
    if rules.min_nonce:
        needs.append(Need(RuleKind.NONCE, SentTransactions(), rules.min_nonce))
    if rules.min_balance:
        needs.append(Need(RuleKind.BALANCE, Wei(), rules.min_balance))
    if (token := rules.min_token_balance) is not None:
        needs.append(Need(RuleKind.TOKEN_BALANCE, Amount(token.address), token.amount))
    needs += [Need(RuleKind.OWNS_TOKEN, _ownership(rule), rule.amount) for rule in rules.owns_token]
    if (stake := rules.min_stake) is not None:
        needs.append(Need(RuleKind.STAKE, Amount(stake.contract, stake_selector), stake.amount))
    return tuple(needs)


def view_selector(view: str) -> bytes:
    """The four bytes that call a function ``name(address)``; raises InvalidInput when it is none."""
    if not _VIEW.fullmatch(view):
        raise InvalidInput("a stake view is name(address), such as stakeOf(address)")
    return keccak256(view.encode("ascii"))[:SELECTOR]


def _ownership(rule: TokenOwnership) -> Fact:
    if rule.token_id is None:
        return Amount(rule.address)
    if rule.standard is TokenStandard.ERC721:
        return Owner(rule.address, rule.token_id)
    return AmountOfToken(rule.address, rule.token_id)


def _uint(answer: Answer) -> int:
    return int.from_bytes(answer, "big") if isinstance(answer, bytes) and len(answer) == WORD else 0
