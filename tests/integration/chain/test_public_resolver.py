"""PublicResolver: the record profiles of EIP-137 and the ENSIPs, written by owners only; on every machine."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.demo.chain.accounts import Account
from gateway.dm3.eth import address_bytes
from gateway.ens.names import labelhash, namehash
from gateway.ids import EnsName, EthAddress
from tests.integration.chain.node import CallFailed, Contract, Node

NODE = namehash(EnsName("alice"))
OTHER = namehash(EnsName("bob"))
ZERO = EthAddress("0x" + "00" * 20)
BTC_SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")


@pytest.fixture
def resolver(node: Node, registry: Contract, people: Mapping[str, Account]) -> Contract:
    """Knows the name ``alice`` of the account alice."""
    root, alice = people["root"], people["alice"].address
    registry.do(root, "setSubnodeOwner(bytes32,bytes32,address)", bytes(32), labelhash("alice"), alice)
    return node.deploy(root, "PublicResolver", registry.address)


def test_nothing_is_there_at_first(resolver: Contract) -> None:
    assert resolver.ask("text(bytes32,string)", NODE, "url") == ""
    assert resolver.ask("contenthash(bytes32)", NODE) == b""
    assert resolver.ask("name(bytes32)", NODE) == ""
    assert resolver.ask("addr(bytes32,uint256)", NODE, 60) == b""


def test_addr_without_a_coin_gives_an_address(resolver: Contract, people: Mapping[str, Account]) -> None:
    """EIP-137 wants one word here, ENSIP-9 bytes for addr(bytes32,uint256)."""
    alice = people["alice"]
    call = resolver.artefact.call("addr(bytes32)", NODE)
    assert resolver.node.call(resolver.address, call) == bytes(32)
    resolver.do(alice, "setAddr(bytes32,uint256,bytes)", NODE, 60, address_bytes(alice.address))
    assert resolver.node.call(resolver.address, call) == bytes(12) + address_bytes(alice.address)
    assert resolver.ask("addr(bytes32,uint256)", NODE, 60) == address_bytes(alice.address)


@pytest.mark.parametrize(("coin", "value"), [(0, BTC_SCRIPT), (0x80000000 | 8453, b"\7" * 20), (2**255, b"\1")])
def test_coins(resolver: Contract, people: Mapping[str, Account], coin: int, value: bytes) -> None:
    resolver.do(people["alice"], "setAddr(bytes32,uint256,bytes)", NODE, coin, value)
    assert resolver.ask("addr(bytes32,uint256)", NODE, coin) == value
    assert resolver.ask("addr(bytes32,uint256)", NODE, coin + 1) == b""


def test_ethereum_address_of_a_wrong_length_is_no_address(resolver: Contract, people: Mapping[str, Account]) -> None:
    resolver.do(people["alice"], "setAddr(bytes32,uint256,bytes)", NODE, 60, b"\7" * 21)
    assert resolver.node.call(resolver.address, resolver.artefact.call("addr(bytes32)", NODE)) == bytes(32)


@pytest.mark.parametrize("value", ["", "https://example", "Grüße 👋", "x" * 16_384])
def test_text(resolver: Contract, people: Mapping[str, Account], value: str) -> None:
    resolver.do(people["alice"], "setText(bytes32,string,string)", NODE, "network.dm3.profile", value)
    assert resolver.ask("text(bytes32,string)", NODE, "network.dm3.profile") == value
    assert resolver.ask("text(bytes32,string)", NODE, "network.dm3.profil") == ""


def test_contenthash_and_name(resolver: Contract, people: Mapping[str, Account]) -> None:
    resolver.do(people["alice"], "setContenthash(bytes32,bytes)", NODE, b"\xe3\1\1\x70")
    resolver.do(people["alice"], "setName(bytes32,string)", NODE, "alice")
    assert resolver.ask("contenthash(bytes32)", NODE) == b"\xe3\1\1\x70"
    assert resolver.ask("name(bytes32)", NODE) == "alice"


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("setAddr(bytes32,uint256,bytes)", (60, b"\7" * 20)),
        ("setText(bytes32,string,string)", ("url", "https://mallory")),
        ("setContenthash(bytes32,bytes)", (b"\1",)),
        ("setName(bytes32,string)", ("mallory",)),
    ],
)
def test_only_the_owner_or_an_operator_writes(
    resolver: Contract,
    registry: Contract,
    people: Mapping[str, Account],
    signature: str,
    arguments: tuple[object, ...],
) -> None:
    alice, mallory = people["alice"], people["mallory"]
    with pytest.raises(CallFailed, match="not authorised"):
        resolver.do(mallory, signature, NODE, *arguments)
    registry.do(alice, "setApprovalForAll(address,bool)", mallory.address, True)
    resolver.do(mallory, signature, NODE, *arguments)
    with pytest.raises(CallFailed, match="not authorised"):
        resolver.do(mallory, signature, OTHER, *arguments)


def test_multicall_writes_for_the_caller_and_reads(resolver: Contract, people: Mapping[str, Account]) -> None:
    alice = people["alice"]
    call = resolver.artefact.call
    writes = [
        call("setText(bytes32,string,string)", NODE, "url", "https://example"),
        call("setAddr(bytes32,uint256,bytes)", NODE, 60, b"\7" * 20),
    ]
    resolver.do(alice, "multicall(bytes[])", writes)
    texts, address = resolver.ask(
        "multicall(bytes[])", [call("text(bytes32,string)", NODE, "url"), call("addr(bytes32)", NODE)]
    )
    assert resolver.artefact.decode("text(bytes32,string)", texts) == ("https://example",)
    assert address == bytes(12) + b"\7" * 20


def test_multicall_is_all_or_nothing(resolver: Contract, people: Mapping[str, Account]) -> None:
    call = resolver.artefact.call
    writes = [call("setName(bytes32,string)", NODE, "alice"), call("setName(bytes32,string)", OTHER, "alice")]
    with pytest.raises(CallFailed):
        resolver.do(people["alice"], "multicall(bytes[])", writes)
    assert resolver.ask("name(bytes32)", NODE) == ""


@pytest.mark.parametrize(
    ("interface", "supported"),
    [
        ("01ffc9a7", True),
        ("3b3b57de", True),
        ("f1cb7e06", True),
        ("59d1d43c", True),
        ("bc1c58d1", True),
        ("691f3431", True),
        ("9061b923", False),
        ("ffffffff", False),
    ],
)
def test_interfaces(resolver: Contract, interface: str, supported: bool) -> None:
    assert resolver.ask("supportsInterface(bytes4)", bytes.fromhex(interface)) is supported
