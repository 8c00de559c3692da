"""ENSRegistry (EIP-137): owners, resolvers, operators, events; on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.demo.chain.accounts import Account
from gateway.dm3.eth import keccak256
from gateway.ens.names import labelhash, namehash
from gateway.ids import EnsName, EthAddress
from tests.integration.chain.node import CallFailed, Contract

ROOT = bytes(32)
ETH = namehash(EnsName("eth"))
ALICE_ETH = namehash(EnsName("alice.eth"))
ZERO = EthAddress("0x" + "00" * 20)
SUBNODE_RECORD = "setSubnodeRecord(bytes32,bytes32,address,address,uint64)"


def events(receipt: dict[str, Any]) -> list[str]:
    """First topics of a receipt's events."""
    return [log["topics"][0] for log in receipt["logs"]]


def topic(signature: str) -> str:
    return "0x" + keccak256(signature.encode()).hex()


def test_names_come_from_the_root_down(registry: Contract, people: Mapping[str, Account]) -> None:
    root, alice = people["root"], people["alice"]
    registry.do(root, "setSubnodeOwner(bytes32,bytes32,address)", ROOT, labelhash("eth"), root.address)
    registry.do(root, SUBNODE_RECORD, ETH, labelhash("alice"), alice.address, people["bob"].address, 300)
    assert registry.ask("owner(bytes32)", ALICE_ETH) == alice.address
    assert registry.ask("resolver(bytes32)", ALICE_ETH) == people["bob"].address
    assert registry.ask("ttl(bytes32)", ALICE_ETH) == 300
    assert registry.ask("recordExists(bytes32)", ALICE_ETH) is True


def test_unknown_name(registry: Contract) -> None:
    assert registry.ask("owner(bytes32)", ALICE_ETH) == ZERO
    assert registry.ask("resolver(bytes32)", ALICE_ETH) == ZERO
    assert registry.ask("recordExists(bytes32)", ALICE_ETH) is False


def test_subnode_owner_returns_the_node(registry: Contract, people: Mapping[str, Account]) -> None:
    root = people["root"].address
    made = registry.ask("setSubnodeOwner(bytes32,bytes32,address)", ROOT, labelhash("eth"), root, sender=root)
    assert made == ETH


def test_events(registry: Contract, people: Mapping[str, Account]) -> None:
    root, bob = people["root"], people["bob"]
    made = registry.do(root, SUBNODE_RECORD, ROOT, labelhash("eth"), root.address, bob.address, 7)
    assert events(made) == [
        topic("NewOwner(bytes32,bytes32,address)"),
        topic("NewResolver(bytes32,address)"),
        topic("NewTTL(bytes32,uint64)"),
    ]
    assert made["logs"][0]["topics"][1:] == ["0x" + ROOT.hex(), "0x" + labelhash("eth").hex()]
    moved = registry.do(root, "setRecord(bytes32,address,address,uint64)", ETH, bob.address, bob.address, 7)
    assert events(moved) == [topic("Transfer(bytes32,address)")]


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("setOwner(bytes32,address)", (ROOT, ZERO)),
        ("setResolver(bytes32,address)", (ROOT, ZERO)),
        ("setTTL(bytes32,uint64)", (ROOT, 1)),
        ("setRecord(bytes32,address,address,uint64)", (ROOT, ZERO, ZERO, 1)),
        ("setSubnodeOwner(bytes32,bytes32,address)", (ROOT, labelhash("eth"), ZERO)),
        (SUBNODE_RECORD, (ROOT, labelhash("eth"), ZERO, ZERO, 1)),
    ],
)
def test_only_the_owner_or_an_operator_writes(
    registry: Contract, people: Mapping[str, Account], signature: str, arguments: tuple[object, ...]
) -> None:
    root, mallory = people["root"], people["mallory"]
    with pytest.raises(CallFailed, match="not authorised"):
        registry.do(mallory, signature, *arguments)
    approved = registry.do(root, "setApprovalForAll(address,bool)", mallory.address, True)
    assert events(approved) == [topic("ApprovalForAll(address,address,bool)")]
    assert registry.ask("isApprovedForAll(address,address)", root.address, mallory.address) is True
    registry.do(mallory, signature, *arguments)


def test_an_operator_can_be_dismissed(registry: Contract, people: Mapping[str, Account]) -> None:
    root, bob = people["root"], people["bob"]
    for approved in (True, False):
        registry.do(root, "setApprovalForAll(address,bool)", bob.address, approved)
    with pytest.raises(CallFailed, match="not authorised"):
        registry.do(bob, "setTTL(bytes32,uint64)", ROOT, 1)
