"""UniversalResolver: finding resolvers, passing lookups on, reverse names; on every machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from gateway.demo.chain.accounts import Account
from gateway.demo.chain.artefacts import load_artefact
from gateway.dm3.eth import address_bytes, keccak256, sign_digest
from gateway.ens.names import dns_encode, labelhash, namehash
from gateway.ids import EnsName, EthAddress
from gateway.resolver.signer import answer_digest, encode_response
from tests.integration.chain.node import CallFailed, Contract, Node, OffchainLookup
from tests.support.require import require

ZERO = EthAddress("0x" + "00" * 20)
URL = "https://gw.example/{sender}/{data}"
BATCH_GATEWAY = "x-batch-gateway:true"
HTTP_ERROR = bytes.fromhex("01800152")
PUBLIC = load_artefact("PublicResolver")
OLD_RESOLVER = """
@internal
@view
def _ask():
    urls: DynArray[String[32], 1] = ["https://old"]
    raw_revert(
        abi_encode(
            self,
            urls,
            b"ask",
            method_id("callback(bytes,bytes)", output_type=bytes4),
            b"extra",
            method_id=method_id("OffchainLookup(address,string[],bytes,bytes4,bytes)"),
        )
    )

@external
@view
def resolve(name: Bytes[256], data: Bytes[1024]) -> Bytes[1024]:
    self._ask()
    return b""

@external
@view
def callback(response: Bytes[1024], extra: Bytes[32]) -> Bytes[1024]:
    assert extra == b"extra"
    if response == b"again":
        self._ask()
    return response

@external
@view
def supportsInterface(interfaceId: bytes4) -> bool:
    return interfaceId == 0x9061b923
"""
"""ENSIP-10 and ERC-3668 and nothing newer; asks again when the gateway says ``again``."""


@dataclass(frozen=True)
class Names:
    """``alice.eth`` on chain, ``gw.eth`` through an offchain resolver that believes bob."""

    universal: Contract
    registry: Contract
    public: Contract
    offchain: Contract
    people: Mapping[str, Account]

    @property
    def node(self) -> Node:
        return self.universal.node

    def register(self, name: EnsName, resolver: EthAddress) -> None:
        """Name of the account root; the parent must be there."""
        label, _, parent = name.partition(".")
        self.registry.do(
            self.people["root"],
            "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
            namehash(EnsName(parent)),
            labelhash(label),
            self.people["root"].address,
            resolver,
            0,
        )

    def write(self, name: EnsName, signature: str, *arguments: object) -> None:
        self.public.do(self.people["root"], signature, namehash(name), *arguments)


@pytest.fixture
def names(node: Node, registry: Contract, people: Mapping[str, Account]) -> Names:
    root, bob = people["root"], people["bob"].address
    public = node.deploy(root, "PublicResolver", registry.address)
    offchain = node.deploy(root, "OffchainResolver", root.address, [URL], [bob])
    universal = node.deploy(root, "UniversalResolver", registry.address, ["https://batch.example"])
    found = Names(universal, registry, public, offchain, people)
    found.register(EnsName("eth"), ZERO)
    found.register(EnsName("alice.eth"), public.address)
    found.register(EnsName("gw.eth"), offchain.address)
    return found


def text_call(name: str, key: str = "url") -> bytes:
    return PUBLIC.call("text(bytes32,string)", namehash(EnsName(name)), key)


def lookup(names: Names, name: str, call: bytes, *, gateways: list[str] | None = None) -> OffchainLookup:
    """The lookup with which a resolution begins."""
    wire = dns_encode(EnsName(name))
    own: tuple[object, ...] = () if gateways is None else (gateways,)
    signature = "resolveWithGateways(bytes,bytes,string[])" if own else "resolve(bytes,bytes)"
    with pytest.raises(CallFailed) as caught:
        names.universal.ask(signature, wire, call, *own)
    return OffchainLookup.of(caught.value)


def answered(names: Names, request: bytes, result: bytes, signer: str = "bob") -> bytes:
    """A gateway's signed response for the offchain resolver."""
    expires = names.node.now() + 300
    digest = answer_digest(names.offchain.address, expires, request, result)
    return encode_response(result, expires, sign_digest(names.people[signer].key, digest))


def called_back(names: Names, found: OffchainLookup, response: bytes, types: list[str]) -> tuple[Any, ...]:
    """What the universal resolver returns when the client calls back."""
    data = found.callback + encode(["bytes", "bytes"], [response, found.extra_data])
    return decode(types, names.node.call(names.universal.address, data))


class TestFinding:
    @pytest.mark.parametrize(
        ("name", "offset"), [("alice.eth", 0), ("a.alice.eth", 2), ("b.a.alice.eth", 4), ("💩.alice.eth", 5)]
    )
    def test_nearest_ancestor_with_a_resolver(self, names: Names, name: str, offset: int) -> None:
        found = names.universal.ask("findResolver(bytes)", dns_encode(EnsName(name)))
        assert found == (names.public.address, namehash(EnsName(name)), offset)

    def test_none(self, names: Names) -> None:
        resolver, node, _ = names.universal.ask("findResolver(bytes)", dns_encode(EnsName("bob.eth")))
        assert (resolver, node) == (ZERO, namehash(EnsName("bob.eth")))

    @pytest.mark.parametrize(
        ("name", "resolver", "offset", "extended"),
        [("alice.eth", "public", 0, False), ("gw.eth", "offchain", 0, True), ("x.y.gw.eth", "offchain", 4, True)],
    )
    def test_require_tells_what_it_found(
        self, names: Names, name: str, resolver: str, offset: int, extended: bool
    ) -> None:
        wire = dns_encode(EnsName(name))
        info = names.universal.ask("requireResolver(bytes)", wire)
        assert info == (wire, offset, namehash(EnsName(name)), getattr(names, resolver).address, extended)

    @pytest.mark.parametrize("name", ["bob.eth", "org", "a.alice.eth"])
    def test_require_refuses_what_has_none(self, names: Names, name: str) -> None:
        """An ordinary resolver answers for its own name only (ENSIP-10)."""
        with pytest.raises(CallFailed) as caught:
            names.universal.ask("requireResolver(bytes)", dns_encode(EnsName(name)))
        assert caught.value.data == _error("ResolverNotFound(bytes)", ["bytes"], dns_encode(EnsName(name)))

    def test_require_refuses_an_address_without_code(self, names: Names) -> None:
        names.register(EnsName("empty.eth"), names.people["bob"].address)
        wire = dns_encode(EnsName("empty.eth"))
        with pytest.raises(CallFailed) as caught:
            names.universal.ask("requireResolver(bytes)", wire)
        expected = _error("ResolverNotContract(bytes,address)", ["bytes", "address"], wire, names.people["bob"].address)
        assert caught.value.data == expected

    @pytest.mark.parametrize("wire", [b"", b"\5alice", b"\5alice\3eth", b"\0\0", b"\5alice\3eth\0\0", b"\xff"])
    def test_malformed_names(self, names: Names, wire: bytes) -> None:
        with pytest.raises(CallFailed):
            names.universal.ask("findResolver(bytes)", wire)


class TestOnChain:
    def test_record(self, names: Names) -> None:
        names.write(EnsName("alice.eth"), "setText(bytes32,string,string)", "url", "https://alice.example")
        result, resolver = names.universal.ask(
            "resolve(bytes,bytes)", dns_encode(EnsName("alice.eth")), text_call("alice.eth")
        )
        assert PUBLIC.decode("text(bytes32,string)", result) == ("https://alice.example",)
        assert resolver == names.public.address

    def test_profile_that_the_resolver_does_not_know(self, names: Names) -> None:
        call = bytes.fromhex("c8690233") + namehash(EnsName("alice.eth"))
        with pytest.raises(CallFailed) as caught:
            names.universal.ask("resolve(bytes,bytes)", dns_encode(EnsName("alice.eth")), call)
        assert caught.value.data == _error("ResolverError(bytes)", ["bytes"], b"")


class TestDirect:
    """Resolvers with ENSIP-22 features are asked without a batch gateway."""

    def test_lookup_has_our_address_and_the_resolvers_urls(self, names: Names) -> None:
        call = text_call("bob.gw.eth")
        found = lookup(names, "bob.gw.eth", call, gateways=[BATCH_GATEWAY])
        assert (found.sender, found.urls) == (names.universal.address, (URL,))
        assert found.call_data == names.offchain.artefact.call(
            "resolve(bytes,bytes)", dns_encode(EnsName("bob.gw.eth")), call
        )

    @pytest.mark.parametrize("size", [0, 19, 60_000])
    def test_answer_is_checked_and_unwrapped(self, names: Names, size: int) -> None:
        found = lookup(names, "bob.gw.eth", text_call("bob.gw.eth"))
        result = encode(["string"], ["x" * size])
        response = answered(names, found.call_data, result)
        assert called_back(names, found, response, ["bytes", "address"]) == (result, names.offchain.address)

    def test_multicall_goes_in_one_request(self, names: Names) -> None:
        call = PUBLIC.call("multicall(bytes[])", [text_call("bob.gw.eth"), text_call("bob.gw.eth", "email")])
        found = lookup(names, "bob.gw.eth", call, gateways=[BATCH_GATEWAY])
        result = encode(["bytes[]"], [[encode(["string"], ["a"]), encode(["string"], ["b"])]])
        response = answered(names, found.call_data, result)
        assert called_back(names, found, response, ["bytes", "address"])[0] == result

    def test_refusal_of_the_resolver_comes_through(self, names: Names) -> None:
        found = lookup(names, "bob.gw.eth", text_call("bob.gw.eth"))
        response = answered(names, found.call_data, b"", signer="mallory")
        with pytest.raises(CallFailed) as caught:
            called_back(names, found, response, ["bytes", "address"])
        (inner,) = decode(["bytes"], caught.value.data[4:])
        assert caught.value.data[:4] == keccak256(b"ResolverError(bytes)")[:4]
        assert b"unknown signer" in inner


@pytest.fixture(scope="module")
def old_resolver() -> bytes:
    require(importlib.util.find_spec("vyper"), "vyper is not installed (pip install vyper==0.4.3)")
    from vyper.compiler import compile_code

    compiled: str = compile_code(OLD_RESOLVER, output_formats=["bytecode"])["bytecode"]
    return bytes.fromhex(compiled[2:])


class TestBatch:
    """Resolvers without features are asked through an ENSIP-21 batch gateway."""

    @pytest.fixture
    def plain(self, names: Names, old_resolver: bytes) -> Names:
        """``old.eth`` on a resolver without features."""
        receipt = names.node.send(names.people["root"], None, old_resolver)
        names.register(EnsName("old.eth"), EthAddress(receipt["contractAddress"].lower()))
        return names

    def test_lookup_is_wrapped(self, plain: Names) -> None:
        found = lookup(plain, "old.eth", text_call("old.eth"), gateways=[BATCH_GATEWAY])
        assert (found.sender, found.urls) == (plain.universal.address, (BATCH_GATEWAY,))
        assert found.call_data[:4].hex() == "a780bab6"
        (queries,) = decode(["(address,string[],bytes)[]"], found.call_data[4:])
        resolver = plain.registry.ask("resolver(bytes32)", namehash(EnsName("old.eth")))
        assert queries == ((resolver, ("https://old",), b"ask"),)

    def test_own_gateways_are_the_default(self, plain: Names) -> None:
        assert lookup(plain, "old.eth", text_call("old.eth")).urls == ("https://batch.example",)

    def test_failure_of_the_gateway_is_passed_on(self, plain: Names) -> None:
        found = lookup(plain, "old.eth", text_call("old.eth"))
        failure = HTTP_ERROR + encode(["uint16", "string"], [500, "no"])
        with pytest.raises(CallFailed) as caught:
            called_back(plain, found, encode(["bool[]", "bytes[]"], [[True], [failure]]), ["bytes", "address"])
        assert caught.value.data == failure

    def test_answer_is_unwrapped(self, plain: Names) -> None:
        found = lookup(plain, "old.eth", text_call("old.eth"))
        result, _ = called_back(
            plain, found, encode(["bool[]", "bytes[]"], [[False], [b"hello"]]), ["bytes", "address"]
        )
        assert result == b"hello"

    def test_a_resolver_may_ask_again(self, plain: Names) -> None:
        """Its callback reverts with another lookup, which comes out wrapped as the first one did."""
        found = lookup(plain, "old.eth", text_call("old.eth"))
        with pytest.raises(CallFailed) as caught:
            called_back(plain, found, encode(["bool[]", "bytes[]"], [[False], [b"again"]]), ["bytes", "address"])
        again = OffchainLookup.of(caught.value)
        assert (again.sender, again.call_data) == (plain.universal.address, found.call_data)


class TestReverse:
    def claim(self, names: Names, who: EthAddress, zone: str, primary: str) -> None:
        """Let ``<hex>.<zone>.reverse`` say ``primary``."""
        for parent in ("reverse", f"{zone}.reverse"):
            names.register(EnsName(parent), ZERO)
        pointer = EnsName(f"{who[2:]}.{zone}.reverse")
        names.register(pointer, names.public.address)
        names.write(pointer, "setName(bytes32,string)", primary)

    def reverse(self, names: Names, who: EthAddress, coin: int = 60) -> Any:
        return names.universal.ask("reverse(bytes,uint256)", address_bytes(who), coin)

    @pytest.mark.parametrize(("zone", "coin"), [("addr", 60), ("default", 0x80000000), ("80002105", 0x80000000 | 8453)])
    def test_name_that_agrees(self, names: Names, zone: str, coin: int) -> None:
        alice = names.people["alice"].address
        self.claim(names, alice, zone, "alice.eth")
        names.write(EnsName("alice.eth"), "setAddr(bytes32,uint256,bytes)", coin, address_bytes(alice))
        assert self.reverse(names, alice, coin) == ("alice.eth", names.public.address, names.public.address)

    def test_name_that_does_not_agree(self, names: Names) -> None:
        mallory = names.people["mallory"].address
        self.claim(names, mallory, "addr", "alice.eth")
        names.write(EnsName("alice.eth"), "setAddr(bytes32,uint256,bytes)", 60, b"\7" * 20)
        with pytest.raises(CallFailed) as caught:
            self.reverse(names, mallory)
        assert caught.value.data == _error(
            "ReverseAddressMismatch(string,bytes)", ["string", "bytes"], "alice.eth", b"\7" * 20
        )

    def test_no_claim(self, names: Names) -> None:
        with pytest.raises(CallFailed) as caught:
            self.reverse(names, names.people["bob"].address)
        assert caught.value.data[:4] == keccak256(b"ResolverNotFound(bytes)")[:4]

    def test_empty_claim(self, names: Names) -> None:
        bob = names.people["bob"].address
        self.claim(names, bob, "addr", "")
        assert self.reverse(names, bob) == ("", ZERO, names.public.address)

    def test_name_whose_address_is_offchain(self, names: Names) -> None:
        bob = names.people["bob"].address
        self.claim(names, bob, "addr", "bob.gw.eth")
        with pytest.raises(CallFailed) as caught:
            names.universal.ask("reverseWithGateways(bytes,uint256,string[])", address_bytes(bob), 60, [BATCH_GATEWAY])
        found = OffchainLookup.of(caught.value)
        response = answered(names, found.call_data, bytes(12) + address_bytes(bob))
        assert called_back(names, found, response, ["string", "address", "address"]) == (
            "bob.gw.eth",
            names.offchain.address,
            names.public.address,
        )

    def test_no_address(self, names: Names) -> None:
        with pytest.raises(CallFailed, match="empty address"):
            names.universal.ask("reverse(bytes,uint256)", b"", 60)


def _error(signature: str, types: list[str], *values: object) -> bytes:
    return keccak256(signature.encode())[:4] + encode(types, values)
