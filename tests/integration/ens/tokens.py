"""Chains with tokens, stakes, and contracts that answer as no contract should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.demo.chain.accounts import Account
from gateway.ids import EthAddress
from tests.integration.chain.node import Contract, Node
from tests.support.contracts import compiled

ART, ITEM = 7, 42
"""Ids of tokens."""


@dataclass(frozen=True)
class Tokens:
    """Contracts in which ``alice`` has something and ``mallory`` nothing."""

    coin: Contract
    art: Contract
    items: Contract
    stakes: Contract


@dataclass(frozen=True)
class TokenWorld:
    """A chain behind a URL; ``node`` writes to it without the event loop."""

    url: str
    node: Node
    people: Mapping[str, Account]
    tokens: Tokens

    @property
    def alice(self) -> EthAddress:
        """Somebody who has 1000 coins, two works of art (one of them ART), 3 of ITEM, and a stake of 5 wei."""
        return self.people["alice"].address

    def deploy_code(self, code: bytes) -> EthAddress:
        """A contract whose whole code is ``code``."""
        # PUSH2 size, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
        creation = bytes.fromhex(f"61{len(code):04x}80600a5f395ff3") + code
        assert len(creation) - len(code) == 10
        receipt = self.node.send(self.people["root"], None, creation)
        return EthAddress(receipt["contractAddress"].lower())


def found_tokens(node: Node, people: Mapping[str, Account]) -> Tokens:
    """Deploy all contracts and give alice her part."""
    root, alice = people["root"], people["alice"]
    coin, art, items, stakes = (node.deploy(root, compiled(name)) for name in ("Coin", "Collection", "Items", "Stakes"))
    coin.do(root, "mint(address,uint256)", alice.address, 1_000)
    art.do(root, "mint(address,uint256)", alice.address, ART)
    art.do(root, "mint(address,uint256)", alice.address, ART + 1)
    items.do(root, "mint(address,uint256,uint256)", alice.address, ITEM, 3)
    stakes.do(alice, "deposit()", value=5)
    return Tokens(coin, art, items, stakes)
