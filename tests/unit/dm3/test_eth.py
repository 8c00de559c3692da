"""Addresses and recoverable signatures against published values."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dm3.eth import (
    address_bytes,
    address_from_bytes,
    address_of,
    checksum,
    eip191_hash,
    keccak256,
    parse_address,
    recover,
    sign_digest,
    sign_text,
    signed_by,
)
from gateway.errors import BadSignature, InvalidInput
from gateway.ids import EthAddress
from tests.unit.dm3.vectors import ids, load

VECTORS = load("key_derivation_and_profile")["vectors"]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
keys = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)

ERC55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]
"""Examples of ERC-55."""


@pytest.mark.parametrize("address", ERC55)
def test_checksum(address: str) -> None:
    assert checksum(EthAddress(address.lower())) == address
    assert parse_address(address) == address.lower()


def test_keccak_of_nothing() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "0x" + "0" * 39,
        "0x" + "0" * 41,
        "0X" + "0" * 40,
        "0" * 42,
        "0x" + "g" * 40,
        "0x" + "0" * 40 + "\n",
        "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "vitalik.eth",
        None,
    ],
)
def test_no_address(text: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text)


@pytest.mark.parametrize("text", ["0x" + "ab" * 20, "0x" + "AB" * 20])
def test_one_case_needs_no_checksum(text: str) -> None:
    assert parse_address(text) == "0x" + "ab" * 20


@given(st.binary(min_size=20, max_size=20))
def test_bytes_round_trip(data: bytes) -> None:
    address = address_from_bytes(data)
    assert address_bytes(address) == data
    assert parse_address(checksum(address)) == address


@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_bytes_of_another_length(size: int) -> None:
    with pytest.raises(InvalidInput):
        address_from_bytes(bytes(size))


@pytest.mark.parametrize("vector", VECTORS, ids=ids(VECTORS))
def test_reference_wallets(vector: dict[str, Any]) -> None:
    key = bytes.fromhex(vector["inputs"]["ethPrivateKey"][2:])
    expected = vector["expected"]
    assert address_of(key) == vector["inputs"]["ethAddressLower"]
    assert checksum(address_of(key)) == vector["inputs"]["ethAddress"]
    assert sign_text(key, expected["storageKeyCreationMessage"]) == expected["storageKeyCreationSignature"]
    message = bytes.fromhex(expected["profileCreationMessageUtf8Hex"][2:])
    assert "0x" + eip191_hash(message).hex() == expected["profileCreationEip191Hash"]


@settings(max_examples=40)
@given(keys, digests)
def test_recover_finds_the_signer(key: bytes, digest: bytes) -> None:
    signature = sign_digest(key, digest)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert sign_digest(key, digest) == signature
    assert recover(digest, signature) == address_of(key)
    assert recover(digest, signature[:64] + bytes((signature[64] - 27,))) == address_of(key)


@settings(max_examples=60)
@given(keys, digests, st.integers(0, 64 * 8 - 1))
def test_a_flipped_bit_is_never_the_signer(key: bytes, digest: bytes, bit: int) -> None:
    broken = bytearray(sign_digest(key, digest))
    broken[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(BadSignature):
        assert recover(digest, bytes(broken)) != address_of(key)


@given(keys, digests)
@settings(max_examples=20)
def test_malleable_twin_is_refused(key: bytes, digest: bytes) -> None:
    signature = sign_digest(key, digest)
    twin_s = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + twin_s.to_bytes(32, "big") + bytes((55 - signature[64],))
    with pytest.raises(BadSignature, match="malleable"):
        recover(digest, twin)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        bytes(65),
        bytes(66),
        b"\xff" * 65,
        bytes(64) + b"\x1d",
        b"\x01" * 64 + b"\x02",
        b"\x01" * 64 + b"\x25",
    ],
)
def test_broken_signatures(signature: bytes) -> None:
    with pytest.raises(BadSignature):
        recover(bytes(32), signature)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_digest_length(size: int) -> None:
    with pytest.raises(InvalidInput):
        sign_digest(b"\x01" * 32, bytes(size))
    with pytest.raises(BadSignature):
        recover(bytes(size), bytes(65))


@pytest.mark.parametrize("key", [b"", bytes(32), bytes(31), b"\xff" * 32, ORDER.to_bytes(32, "big")])
def test_no_private_key(key: bytes) -> None:
    with pytest.raises(InvalidInput):
        address_of(key)
    with pytest.raises(InvalidInput):
        sign_digest(key, bytes(32))


@pytest.mark.parametrize(
    "signature", ["", "0x", "0x00", "00" * 65, "0x" + "00" * 65, "0x" + "zz" * 65, "0x" + "00" * 64]
)
def test_signed_by_never_raises(signature: str) -> None:
    assert not signed_by("text", signature, EthAddress("0x" + "00" * 20))


def test_signed_by() -> None:
    key = b"\x07" * 32
    signature = sign_text(key, "Grüße")
    assert signed_by("Grüße", signature, address_of(key))
    assert signed_by("Grüße", "0x" + signature[2:].upper(), address_of(key))
    assert not signed_by("Grüsse", signature, address_of(key))
    assert not signed_by("Grüße", signature, address_of(b"\x08" * 32))
    assert not signed_by("\ud800", signature, address_of(key))
