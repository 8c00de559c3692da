"""Answers to calls: encodings, empty records, EVM defaults, foreign nodes."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode

from gateway.ens.names import namehash
from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.resolver.calls import (
    AbiCall,
    AddrCall,
    CoinCall,
    ContenthashCall,
    DataCall,
    InterfaceCall,
    Multicall,
    NameCall,
    PubkeyCall,
    TextCall,
    UnsupportedCall,
)
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
    name="bob.gw.eth",
    pubkey=(b"\x03" * 32, b"\x04" * 32),
    abis={4: b"cbor", 1: b"[]", 8: b""},
    interfaces={b"\1\2\3\4": b"\x05" * 20},
    data={"agent": b"\0\xff", "ключ": b"x" * 33},
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


@pytest.mark.parametrize(("records", "expected"), [(RECORDS, "bob.gw.eth"), (EMPTY, "")])
def test_name(records: NameRecords, expected: str) -> None:
    assert decode(["string"], answer_call(NameCall(NODE), NODE, records)) == (expected,)


@pytest.mark.parametrize(
    ("records", "expected"), [(RECORDS, (b"\x03" * 32, b"\x04" * 32)), (EMPTY, (bytes(32), bytes(32)))]
)
def test_pubkey(records: NameRecords, expected: tuple[bytes, bytes]) -> None:
    assert decode(["bytes32", "bytes32"], answer_call(PubkeyCall(NODE), NODE, records)) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (1, (1, b"[]")),
        (4, (4, b"cbor")),
        (2**256 - 1, (1, b"[]")),
        (4 | 2, (4, b"cbor")),
        (2, (0, b"")),
        (8, (0, b"")),
        (0, (0, b"")),
    ],
)
def test_abi(wanted: int, expected: tuple[int, bytes]) -> None:
    """EIP-205: the lowest wanted content type that exists; an empty one does not."""
    assert decode(["uint256", "bytes"], answer_call(AbiCall(NODE, wanted), NODE, RECORDS)) == expected


def test_no_abi() -> None:
    assert decode(["uint256", "bytes"], answer_call(AbiCall(NODE, 15), NODE, EMPTY)) == (0, b"")


def test_interface() -> None:
    found = answer_call(InterfaceCall(NODE, b"\1\2\3\4"), NODE, RECORDS)
    assert found == bytes(12) + b"\x05" * 20
    assert answer_call(InterfaceCall(NODE, b"\1\2\3\5"), NODE, RECORDS) == bytes(32)


@pytest.mark.parametrize(("key", "expected"), [("agent", b"\0\xff"), ("ключ", b"x" * 33), ("no", b"")])
def test_data(key: str, expected: bytes) -> None:
    assert decode(["bytes"], answer_call(DataCall(NODE, key), NODE, RECORDS)) == (expected,)


def test_multicall() -> None:
    call = Multicall((AddrCall(NODE), UnsupportedCall(b"\1\2\3\4"), Multicall((TextCall(NODE, "url"),))))
    ((first, second, third),) = decode(["bytes[]"], answer_call(call, NODE, RECORDS))
    assert first == bytes(12) + ADDRESS
    assert second == b""
    ((text,),) = decode(["bytes[]"], third)
    assert decode(["string"], text) == ("https://example.org",)


def test_an_unsupported_call_has_no_data() -> None:
    assert answer_call(UnsupportedCall(b"\1\2\3\4"), NODE, RECORDS) == b""


@pytest.mark.parametrize(
    "call",
    [
        AddrCall,
        ContenthashCall,
        NameCall,
        PubkeyCall,
        lambda node: CoinCall(node, 60),
        lambda node: TextCall(node, "url"),
        lambda node: AbiCall(node, 1),
        lambda node: InterfaceCall(node, b"\1\2\3\4"),
        lambda node: DataCall(node, "agent"),
    ],
)
def test_calls_about_another_node(call: type[AddrCall]) -> None:
    other = namehash(EnsName("alice.gw.eth"))
    with pytest.raises(InvalidInput, match="another node"):
        answer_call(call(other), NODE, RECORDS)
    with pytest.raises(InvalidInput, match="another node"):
        answer_call(Multicall((AddrCall(NODE), call(other))), NODE, RECORDS)
