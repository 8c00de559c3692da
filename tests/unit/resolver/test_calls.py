"""Calldata: every shape that we read, and every bound."""

from __future__ import annotations

import random

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.eth import keccak256
from gateway.ens.names import namehash
from gateway.errors import InvalidInput, InvalidName
from gateway.ids import EnsName
from gateway.resolver import calls
from tests.unit.resolver import support

NAME = EnsName("bob.example.org.matrix.gw.eth")
NODE = namehash(NAME)


@pytest.mark.parametrize(
    ("signature", "selector"),
    [
        ("resolve(bytes,bytes)", calls.RESOLVE),
        ("addr(bytes32)", calls.ADDR),
        ("addr(bytes32,uint256)", calls.ADDR_COIN),
        ("text(bytes32,string)", calls.TEXT),
        ("contenthash(bytes32)", calls.CONTENTHASH),
        ("name(bytes32)", calls.NAME),
        ("pubkey(bytes32)", calls.PUBKEY),
        ("ABI(bytes32,uint256)", calls.CONTRACT_ABI),
        ("interfaceImplementer(bytes32,bytes4)", calls.INTERFACE),
        ("data(bytes32,string)", calls.DATA),
        ("multicall(bytes[])", calls.MULTICALL),
    ],
)
def test_selectors(signature: str, selector: bytes) -> None:
    assert keccak256(signature.encode())[:4] == selector


@pytest.mark.parametrize(
    ("inner", "call"),
    [
        (support.addr(NAME), calls.AddrCall(NODE)),
        (support.coin(NAME, 0), calls.CoinCall(NODE, 0)),
        (support.coin(NAME, 2**256 - 1), calls.CoinCall(NODE, 2**256 - 1)),
        (support.text(NAME, "network.dm3.profile"), calls.TextCall(NODE, "network.dm3.profile")),
        (support.text(NAME, "ключ 💩"), calls.TextCall(NODE, "ключ 💩")),
        (support.text(NAME, ""), calls.TextCall(NODE, "")),
        (support.contenthash(NAME), calls.ContenthashCall(NODE)),
        (support.multicall([]), calls.Multicall(())),
        (
            support.multicall([support.addr(NAME), support.text(NAME, "url")]),
            calls.Multicall((calls.AddrCall(NODE), calls.TextCall(NODE, "url"))),
        ),
        (
            support.multicall([support.multicall([support.addr(NAME)])]),
            calls.Multicall((calls.Multicall((calls.AddrCall(NODE),)),)),
        ),
        (support.name(NAME), calls.NameCall(NODE)),
        (support.pubkey(NAME), calls.PubkeyCall(NODE)),
        (support.contract_abi(NAME, 2**256 - 1), calls.AbiCall(NODE, 2**256 - 1)),
        (support.interface(NAME, b"\1\2\3\4"), calls.InterfaceCall(NODE, b"\1\2\3\4")),
        (support.data(NAME, "ключ 💩"), calls.DataCall(NODE, "ключ 💩")),
        (bytes.fromhex("deadbeef"), calls.UnsupportedCall(bytes.fromhex("deadbeef"))),
    ],
)
def test_calls(inner: bytes, call: calls.Call) -> None:
    assert calls.parse_request(support.resolve(NAME, inner)) == calls.Request(NAME, call)


@pytest.mark.parametrize(
    "calldata",
    [
        b"",
        calls.RESOLVE,
        calls.RESOLVE[:3],
        support.addr(NAME),
        calls.RESOLVE + bytes(64),
        calls.RESOLVE + encode(["bytes", "bytes"], [b"\x03eth", support.addr("eth")]),
        calls.RESOLVE + encode(["bytes", "bytes"], [b"\x05Alice\x03eth\0", support.addr("eth")]),
        support.resolve(NAME, b""),
        support.resolve(NAME, b"\x01\x02\x03"),
        support.resolve(NAME, calls.ADDR + bytes(31)),
        support.resolve(NAME, calls.ADDR_COIN + bytes(63)),
        support.resolve(NAME, calls.TEXT + NODE),
        support.resolve(NAME, calls.TEXT + encode(["bytes32", "bytes"], [NODE, b"\xff"])),
        support.resolve(NAME, support.text(NAME, "k" * 1025)),
        support.resolve(NAME, support.data(NAME, "k" * 1025)),
        support.resolve(NAME, calls.NAME + bytes(31)),
        support.resolve(NAME, calls.PUBKEY),
        support.resolve(NAME, calls.CONTRACT_ABI + bytes(63)),
        support.resolve(NAME, calls.INTERFACE + bytes(63)),
        support.resolve(NAME, calls.INTERFACE + NODE + bytes(31) + b"\1"),
        support.resolve(NAME, calls.DATA + encode(["bytes32", "bytes"], [NODE, b"\xff"])),
        support.resolve(NAME, support.multicall([support.addr(NAME)] * 65)),
        support.resolve(NAME, support.multicall([support.multicall([support.multicall([])])])),
        support.resolve(NAME, support.multicall([b""])),
        support.resolve(NAME, support.text(NAME, "k") + bytes(32 * 1024)),
        bytes(10**6),
    ],
)
def test_calldata_that_is_refused(calldata: bytes) -> None:
    with pytest.raises(InvalidInput):
        calls.parse_request(calldata)


def test_bad_names_are_named_so() -> None:
    with pytest.raises(InvalidName):
        calls.parse_request(calls.RESOLVE + encode(["bytes", "bytes"], [b"\x02a.\0", support.addr("eth")]))


def test_bounds_are_reached_and_not_passed() -> None:
    longest_key = support.text(NAME, "k" * 1024)
    assert calls.parse_request(support.resolve(NAME, longest_key)).call == calls.TextCall(NODE, "k" * 1024)
    # 63 calls and the multicall around them are 64.
    request = calls.parse_request(support.resolve(NAME, support.multicall([support.addr(NAME)] * 63)))
    assert isinstance(request.call, calls.Multicall)
    assert len(request.call.calls) == 63


def test_calls_in_nested_multicalls_are_counted_together() -> None:
    eight_by_eight = support.multicall([support.multicall([support.addr(NAME)] * 8)] * 8)
    with pytest.raises(InvalidInput, match="64 calls"):
        calls.parse_request(support.resolve(NAME, eight_by_eight))


def test_shared_offsets_make_no_bomb() -> None:
    """64 items that are all the same long call would be 64 times as much to read as was sent."""
    item = support.text(NAME, "k" * 1000)
    folded = encode(["uint256", "uint256"], [32, 60]) + encode(["uint256"], [60 * 32]) * 60
    folded += encode(["uint256"], [len(item)]) + item
    with pytest.raises(InvalidInput):
        calls.parse_request(support.resolve(NAME, calls.MULTICALL + folded))


@given(st.binary(max_size=600))
def test_any_calldata_is_read_or_refused(data: bytes) -> None:
    for calldata in (data, calls.RESOLVE + data, support.resolve(NAME, data), support.resolve(NAME, calls.TEXT + data)):
        try:
            calls.parse_request(calldata)
        except InvalidInput:
            continue


def test_bent_calldata_is_read_or_refused() -> None:
    """Real requests with a few bytes changed reach deeper than random ones."""
    chance = random.Random(0)
    seeds = [
        support.resolve(NAME, support.text(NAME, "network.dm3.profile")),
        support.resolve(NAME, support.multicall([support.addr(NAME), support.text(NAME, "url")])),
        support.resolve(NAME, support.coin(NAME, 60)),
    ]
    read = refused = 0
    for _ in range(20_000):
        bent = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            bent[chance.randrange(len(bent))] = chance.choice((0, 1, 32, 64, 255, chance.randrange(256)))
        try:
            calls.parse_request(bytes(bent[: chance.choice((len(bent), chance.randrange(len(bent) + 1)))]))
            read += 1
        except InvalidInput:
            refused += 1
    assert read > 1_000
    assert refused > 1_000
