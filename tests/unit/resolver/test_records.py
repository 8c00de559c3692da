"""Answers to calls: encodings, empty records, EVM defaults, foreign nodes."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode

from gateway.ens.names import namehash
from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.resolver.calls import AddrCall, CoinCall, ContenthashCall, Multicall, TextCall, UnsupportedCall
from gateway.resolver.records import DEFAULT_EVM, EMPTY, ETHEREUM, EVM_BIT, NameRecords, answer_call

NODE = namehash(EnsName("bob.gw.eth"))
ADDRESS = bytes.fromhex("71c7656ec7ab88b098defb751b7401b5f6d8976f")
BASE = EVM_BIT | 8453
SCRIPT = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
RECORDS = NameRecords(
    address=ADDRESS,
    coins={0: SCRIPT, BASE: b"\x02" * 20},
    texts={"url": "https://example.org", "ключ": "значение 💩"},
    contenthash=bytes.fromhex("e301"),
)


@pytest.mark.weakness(20)
def test_addr() -> None:
    assert answer_call(AddrCall(NODE), NODE, RECORDS) == bytes(12) + ADDRESS
    assert answer_call(AddrCall(NODE), NODE, EMPTY) == bytes(32)


@pytest.mark.weakness(20)
@pytest.mark.parametrize(
    ("coin", "expected"),
    [(0, SCRIPT), (ETHEREUM, ADDRESS), (BASE, b"\x02" * 20), (EVM_BIT | 10, b""), (2, b""), (2**256 - 1, b"")],
)
def test_coins(coin: int, expected: bytes) -> None:
    assert decode(["bytes"], answer_call(CoinCall(NODE, coin), NODE, RECORDS)) == (expected,)


def test_no_coin_is_empty_bytes_and_not_a_zero_address() -> None:
    assert decode(["bytes"], answer_call(CoinCall(NODE, ETHEREUM), NODE, EMPTY)) == (b"",)


def test_the_default_of_evm_chains() -> None:
    """ENSIP-19: it stands in for every EVM chain without an address of its own, Ethereum too, and for no other."""
    records = NameRecords(coins={DEFAULT_EVM: ADDRESS, BASE: b"\x02" * 20})
    assert records.coin(EVM_BIT | 10) == ADDRESS
    assert records.coin(DEFAULT_EVM) == ADDRESS
    assert records.coin(BASE) == b"\x02" * 20
    assert records.coin(ETHEREUM) == ADDRESS
    assert records.coin(0) == b""
    assert records.coin(2 * EVM_BIT) == b""
    assert answer_call(AddrCall(NODE), NODE, records) == bytes(12) + ADDRESS


def test_a_record_of_its_own_goes_first() -> None:
    records = NameRecords(address=b"\x01" * 20, coins={ETHEREUM: b"\x02" * 20, BASE: b"", DEFAULT_EVM: b"\x03" * 20})
    assert records.coin(ETHEREUM) == b"\x02" * 20
    assert records.coin(BASE) == b""


def test_an_address_of_another_size_is_no_addr() -> None:
    assert answer_call(AddrCall(NODE), NODE, NameRecords(coins={ETHEREUM: SCRIPT})) == bytes(32)


@pytest.mark.weakness(20)
@pytest.mark.parametrize(("key", "expected"), [("url", "https://example.org"), ("ключ", "значение 💩"), ("no", "")])
def test_texts(key: str, expected: str) -> None:
    assert decode(["string"], answer_call(TextCall(NODE, key), NODE, RECORDS)) == (expected,)


@pytest.mark.weakness(20)
def test_contenthash() -> None:
    assert decode(["bytes"], answer_call(ContenthashCall(NODE), NODE, RECORDS)) == (b"\xe3\x01",)
    assert decode(["bytes"], answer_call(ContenthashCall(NODE), NODE, EMPTY)) == (b"",)


def test_multicall() -> None:
    call = Multicall((AddrCall(NODE), UnsupportedCall(b"\1\2\3\4"), Multicall((TextCall(NODE, "url"),))))
    ((first, second, third),) = decode(["bytes[]"], answer_call(call, NODE, RECORDS))
    assert first == bytes(12) + ADDRESS
    assert second == b""
    ((text,),) = decode(["bytes[]"], third)
    assert decode(["string"], text) == ("https://example.org",)


def test_an_unsupported_call_has_no_data() -> None:
    assert answer_call(UnsupportedCall(b"\1\2\3\4"), NODE, RECORDS) == b""


@pytest.mark.parametrize("call", [AddrCall, ContenthashCall, lambda node: TextCall(node, "url")])
def test_calls_about_another_node(call: type[AddrCall]) -> None:
    other = namehash(EnsName("alice.gw.eth"))
    with pytest.raises(InvalidInput, match="another node"):
        answer_call(call(other), NODE, RECORDS)
    with pytest.raises(InvalidInput, match="another node"):
        answer_call(Multicall((AddrCall(NODE), call(other))), NODE, RECORDS)
