"""OffchainResolver: what it asks for (ERC-3668), which answers it believes, and who may change that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi.abi import encode

from gateway.demo.chain.accounts import Account
from gateway.dm3.eth import address_bytes, keccak256, sign_digest
from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName, EthAddress
from gateway.resolver.signer import answer_digest, encode_response
from tests.integration.chain.node import CallFailed, Contract, Node, OffchainLookup

NAME = EnsName("bob.gw.eth")
DNS_NAME = dns_encode(NAME)
CALL = bytes.fromhex("59d1d43c") + encode(["bytes32", "string"], [namehash(NAME), "url"])
URLS = ["https://one.example/{sender}/{data}.json", "https://two.example/{sender}/{data}.json"]
RESULT = encode(["string"], ["https://bob.example"])
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ZERO = EthAddress("0x" + "00" * 20)
LIFE = 300


@pytest.fixture
def resolver(node: Node, people: Mapping[str, Account]) -> Contract:
    """Owned by parent-owner, believes bob."""
    return node.deploy(
        people["root"], "OffchainResolver", people["parent-owner"].address, URLS, [people["bob"].address]
    )


def lookup(resolver: Contract, name: bytes = DNS_NAME, call: bytes = CALL) -> OffchainLookup:
    """What the resolver wants the client to fetch."""
    with pytest.raises(CallFailed) as caught:
        resolver.ask("resolve(bytes,bytes)", name, call)
    return OffchainLookup.of(caught.value)


def signed(resolver: Contract, signer: Account, expires: int, result: bytes = RESULT, **changes: Any) -> bytes:
    """A gateway's response to ``lookup``; ``changes`` replace what is signed."""
    request = lookup(resolver).call_data
    digest = answer_digest(
        changes.get("verifier", resolver.address),
        changes.get("until", expires),
        changes.get("request", request),
        changes.get("answer", result),
    )
    return encode_response(result, expires, sign_digest(signer.key, digest))


def prove(resolver: Contract, response: bytes) -> Any:
    """What the resolver makes of the response."""
    return resolver.ask("resolveWithProof(bytes,bytes)", response, lookup(resolver).extra_data)


class TestLookup:
    def test_holds_all_that_erc_3668_asks_for(self, resolver: Contract) -> None:
        found = lookup(resolver)
        assert found.sender == resolver.address
        assert found.urls == tuple(URLS)
        assert found.call_data == resolver.artefact.call("resolve(bytes,bytes)", DNS_NAME, CALL)
        assert found.callback == resolver.artefact.functions["resolveWithProof(bytes,bytes)"].selector
        assert found.extra_data == found.call_data

    @pytest.mark.parametrize("size", [0, 4, 31, 32, 33, 30_000])
    def test_of_calls_of_any_size(self, resolver: Contract, size: int) -> None:
        call = bytes(range(256)) * (size // 256) + bytes(size % 256)
        assert lookup(resolver, call=call).call_data == resolver.artefact.call("resolve(bytes,bytes)", DNS_NAME, call)

    def test_of_long_names(self, resolver: Contract) -> None:
        name = dns_encode(EnsName(".".join(["x" * 60] * 4)))
        assert lookup(resolver, name=name).call_data == resolver.artefact.call("resolve(bytes,bytes)", name, CALL)

    @pytest.mark.parametrize(("name", "call"), [(bytes(1025), CALL), (DNS_NAME, bytes(32_769))])
    def test_is_bounded(self, resolver: Contract, name: bytes, call: bytes) -> None:
        with pytest.raises(CallFailed) as caught:
            resolver.ask("resolve(bytes,bytes)", name, call)
        assert caught.value.data == b""


class TestProof:
    def test_of_a_signer_is_believed(self, resolver: Contract, node: Node, people: Mapping[str, Account]) -> None:
        assert prove(resolver, signed(resolver, people["bob"], node.now() + LIFE)) == RESULT

    @pytest.mark.parametrize("result", [b"", b"\0", bytes(31), bytes(33), bytes(60_000)])
    def test_of_results_of_any_size(
        self, resolver: Contract, node: Node, people: Mapping[str, Account], result: bytes
    ) -> None:
        assert prove(resolver, signed(resolver, people["bob"], node.now() + LIFE, result)) == result

    def test_expires(self, resolver: Contract, node: Node, people: Mapping[str, Account]) -> None:
        response = signed(resolver, people["bob"], node.now() + LIFE)
        prove(resolver, response)
        node.pass_time(LIFE + 5)
        with pytest.raises(CallFailed, match="answer expired"):
            prove(resolver, response)

    def test_expired_from_the_start(self, resolver: Contract, node: Node, people: Mapping[str, Account]) -> None:
        with pytest.raises(CallFailed, match="answer expired"):
            prove(resolver, signed(resolver, people["bob"], node.now() - 5))

    def test_of_a_stranger(self, resolver: Contract, node: Node, people: Mapping[str, Account]) -> None:
        with pytest.raises(CallFailed, match="unknown signer"):
            prove(resolver, signed(resolver, people["mallory"], node.now() + LIFE))

    @pytest.mark.parametrize(
        "changes",
        [
            {"verifier": EthAddress("0x" + "77" * 20)},
            {"until": 2**63},
            {"request": b"another question"},
            {"answer": b"another answer"},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_over_something_else(
        self, resolver: Contract, node: Node, people: Mapping[str, Account], changes: dict[str, Any]
    ) -> None:
        with pytest.raises(CallFailed, match="unknown signer"):
            prove(resolver, signed(resolver, people["bob"], node.now() + LIFE, **changes))

    def test_for_another_question(self, resolver: Contract, node: Node, people: Mapping[str, Account]) -> None:
        response = signed(resolver, people["bob"], node.now() + LIFE)
        other = resolver.artefact.call("resolve(bytes,bytes)", dns_encode(EnsName("eve.gw.eth")), CALL)
        with pytest.raises(CallFailed, match="unknown signer"):
            resolver.ask("resolveWithProof(bytes,bytes)", response, other)

    @pytest.mark.parametrize(
        ("malform", "reason"),
        [
            (lambda good: good[:64], "signature length"),
            (lambda good: b"", "signature length"),
            (lambda good: good[:64] + bytes((good[64] - 27,)), "signature recovery id"),
            (lambda good: good[:64] + b"\x1d", "signature recovery id"),
            (lambda good: good[:32] + _flipped_s(good) + bytes((55 - good[64],)), "signature not canonical"),
            (lambda good: bytes(64) + b"\x1b", "signature invalid"),
            (lambda good: ORDER.to_bytes(32, "big") + good[32:], "signature invalid"),
        ],
        ids=["eip-2098", "empty", "v-0-or-1", "v-29", "high-s", "zeros", "r-out-of-range"],
    )
    def test_malformed_signatures(
        self, resolver: Contract, node: Node, people: Mapping[str, Account], malform: Any, reason: str
    ) -> None:
        expires = node.now() + LIFE
        digest = answer_digest(resolver.address, expires, lookup(resolver).call_data, RESULT)
        response = encode_response(RESULT, expires, malform(sign_digest(people["bob"].key, digest)))
        with pytest.raises(CallFailed, match=reason):
            prove(resolver, response)

    def test_zero_address_can_never_be_a_signer(self, node: Node, people: Mapping[str, Account]) -> None:
        """ecrecover gives zero for garbage: were zero a signer, garbage would be believed."""
        with pytest.raises(CallFailed, match="signer is zero"):
            node.deploy(people["root"], "OffchainResolver", people["root"].address, [], [ZERO])

    @pytest.mark.parametrize("response", [b"", bytes(95), b"\xff" * 96, encode(["bytes", "uint64"], [b"", 2**63])])
    def test_undecodable_response(self, resolver: Contract, response: bytes) -> None:
        with pytest.raises(CallFailed):
            prove(resolver, response)

    def test_overlong_signature(self, resolver: Contract, node: Node) -> None:
        response = encode(["bytes", "uint64", "bytes"], [RESULT, node.now() + LIFE, bytes(66)])
        with pytest.raises(CallFailed):
            prove(resolver, response)

    def test_digest_is_the_contracts_own(self, resolver: Contract) -> None:
        digest = resolver.ask("makeSignatureHash(address,uint64,bytes,bytes)", resolver.address, 5, b"ask", b"answer")
        preimage = b"\x19\0" + address_bytes(resolver.address) + bytes(7) + b"\5" + keccak256(b"ask")
        assert digest == keccak256(preimage + keccak256(b"answer"))
        assert digest == answer_digest(resolver.address, 5, b"ask", b"answer")


class TestSigners:
    def test_added_and_removed(self, resolver: Contract, node: Node, people: Mapping[str, Account]) -> None:
        owner, old, new = people["parent-owner"], people["bob"], people["carol"]
        expires = node.now() + LIFE
        added = resolver.do(owner, "addSigner(address)", new.address)
        assert added["logs"][0]["topics"] == [_topic("SignerAdded(address)"), _padded(new.address)]
        assert prove(resolver, signed(resolver, old, expires)) == RESULT
        assert prove(resolver, signed(resolver, new, expires)) == RESULT
        removed = resolver.do(owner, "removeSigner(address)", old.address)
        assert removed["logs"][0]["topics"] == [_topic("SignerRemoved(address)"), _padded(old.address)]
        with pytest.raises(CallFailed, match="unknown signer"):
            prove(resolver, signed(resolver, old, expires))
        assert prove(resolver, signed(resolver, new, expires)) == RESULT

    def test_removing_one_who_is_none(self, resolver: Contract, people: Mapping[str, Account]) -> None:
        with pytest.raises(CallFailed, match="no such signer"):
            resolver.do(people["parent-owner"], "removeSigner(address)", people["carol"].address)

    def test_several_at_deployment(self, node: Node, people: Mapping[str, Account]) -> None:
        signers = [people["bob"].address, people["carol"].address]
        resolver = node.deploy(people["root"], "OffchainResolver", people["root"].address, [], signers)
        assert [resolver.ask("signers(address)", signer) for signer in signers] == [True, True]


class TestOwner:
    @pytest.mark.parametrize(
        ("signature", "arguments"),
        [
            ("setURLs(string[])", (["https://mallory"],)),
            ("addSigner(address)", (ZERO,)),
            ("removeSigner(address)", (ZERO,)),
            ("transferOwnership(address)", (ZERO,)),
        ],
    )
    def test_nobody_else_changes_anything(
        self, resolver: Contract, people: Mapping[str, Account], signature: str, arguments: tuple[object, ...]
    ) -> None:
        for stranger in ("mallory", "root", "bob"):
            with pytest.raises(CallFailed, match="not the owner"):
                resolver.do(people[stranger], signature, *arguments)

    def test_urls(self, resolver: Contract, people: Mapping[str, Account]) -> None:
        urls = [f"https://{at}.example/" + "x" * 480 for at in range(8)]
        changed = resolver.do(people["parent-owner"], "setURLs(string[])", urls)
        assert changed["logs"][0]["topics"] == [_topic("URLsChanged(string[])")]
        assert list(resolver.ask("urls()")) == urls
        assert lookup(resolver).urls == tuple(urls)
        resolver.do(people["parent-owner"], "setURLs(string[])", urls[:1])
        assert list(resolver.ask("urls()")) == urls[:1]

    @pytest.mark.parametrize("urls", [["https://x"] * 9, ["x" * 513]])
    def test_urls_are_bounded(self, resolver: Contract, people: Mapping[str, Account], urls: list[str]) -> None:
        with pytest.raises(CallFailed):
            resolver.do(people["parent-owner"], "setURLs(string[])", urls)

    def test_handing_over_takes_two_steps(self, resolver: Contract, people: Mapping[str, Account]) -> None:
        old, new = people["parent-owner"], people["alice"]
        offered = resolver.do(old, "transferOwnership(address)", new.address)
        assert offered["logs"][0]["topics"][0] == _topic("OwnershipTransferStarted(address,address)")
        assert (resolver.ask("owner()"), resolver.ask("pendingOwner()")) == (old.address, new.address)
        with pytest.raises(CallFailed, match="not the owner"):
            resolver.do(new, "setURLs(string[])", [])
        accepted = resolver.do(new, "acceptOwnership()")
        assert accepted["logs"][0]["topics"][1:] == [_padded(old.address), _padded(new.address)]
        assert (resolver.ask("owner()"), resolver.ask("pendingOwner()")) == (new.address, ZERO)
        with pytest.raises(CallFailed, match="not the owner"):
            resolver.do(old, "setURLs(string[])", [])

    def test_an_offer_can_be_withdrawn(self, resolver: Contract, people: Mapping[str, Account]) -> None:
        owner, alice = people["parent-owner"], people["alice"]
        resolver.do(owner, "transferOwnership(address)", alice.address)
        resolver.do(owner, "transferOwnership(address)", ZERO)
        with pytest.raises(CallFailed, match="not the next owner"):
            resolver.do(alice, "acceptOwnership()")

    def test_an_uninvited_guest_cannot_accept(self, resolver: Contract, people: Mapping[str, Account]) -> None:
        resolver.do(people["parent-owner"], "transferOwnership(address)", people["alice"].address)
        with pytest.raises(CallFailed, match="not the next owner"):
            resolver.do(people["mallory"], "acceptOwnership()")

    def test_without_an_owner_it_cannot_be_deployed(self, node: Node, people: Mapping[str, Account]) -> None:
        with pytest.raises(CallFailed, match="owner is zero"):
            node.deploy(people["root"], "OffchainResolver", ZERO, [], [])


@pytest.mark.parametrize(
    ("interface", "supported"),
    [("01ffc9a7", True), ("9061b923", True), ("582de3e7", True), ("ffffffff", False), ("3b3b57de", False)],
)
def test_interfaces(resolver: Contract, interface: str, supported: bool) -> None:
    """ERC-165 wants 0xffffffff refused; ENSIP-10 and ERC-7996 are there."""
    assert resolver.ask("supportsInterface(bytes4)", bytes.fromhex(interface)) is supported


@pytest.mark.parametrize(("feature", "supported"), [("96b62db8", True), ("ffffffff", False), ("00000000", False)])
def test_features(resolver: Contract, feature: str, supported: bool) -> None:
    assert keccak256(b"eth.ens.resolver.extended.multicall")[:4].hex() == "96b62db8"
    assert resolver.ask("supportsFeature(bytes4)", bytes.fromhex(feature)) is supported


def _flipped_s(signature: bytes) -> bytes:
    return (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")


def _topic(signature: str) -> str:
    return "0x" + keccak256(signature.encode()).hex()


def _padded(address: EthAddress) -> str:
    return "0x" + "00" * 12 + address[2:]
