"""Derivation: RFC 5869's vectors, our golden vectors, and that no two contexts meet."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.custody.derive import (
    context,
    eth_key,
    fingerprint,
    hkdf_sha256,
    notification_code_key,
    salt_sealing_key,
    storage_key,
    webhook_sealing_key,
)
from gateway.custody.seed import MasterSeed
from gateway.dm3.eth import address_of, checksum
from gateway.dm3.keys import ProfileKeys
from gateway.ids import CanonicalId, Network

GOLDEN = json.loads((Path(__file__).parents[2] / "vectors" / "custody" / "derived_keys.json").read_text("utf-8"))
SEED = MasterSeed(b"\x11" * 32)
SALT = b"\x22" * 32
MATRIX, ALICE = Network("matrix"), CanonicalId("@alice:example.org")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

RFC5869 = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        82,
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    (
        "0b" * 22,
        "",
        "",
        42,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]
"""Test cases 1 to 3 of RFC 5869 appendix A."""


@pytest.mark.parametrize(("secret", "salt", "info", "length", "output"), RFC5869)
def test_hkdf_of_the_rfc(secret: str, salt: str, info: str, length: int, output: str) -> None:
    derived = hkdf_sha256(bytes.fromhex(secret), bytes.fromhex(salt), bytes.fromhex(info), length)
    assert derived.hex() == output


@pytest.mark.parametrize("length", [0, -1, 255 * 32 + 1])
def test_hkdf_length(length: int) -> None:
    with pytest.raises(ValueError, match="8160"):
        hkdf_sha256(b"", b"", b"", length)
    assert len(hkdf_sha256(b"", b"", b"", 255 * 32)) == 255 * 32


@pytest.mark.parametrize(
    "vector", GOLDEN["identities"], ids=lambda vector: f"{vector['canonicalId']}#{vector['epoch']}"
)
def test_golden_identities(vector: dict[str, Any]) -> None:
    """A change here means that every bridged person would lose their address and their mail."""
    seed = MasterSeed(bytes.fromhex(vector["seed"]))
    person = (bytes.fromhex(vector["salt"]), Network(vector["network"]), CanonicalId(vector["canonicalId"]))
    wallet = eth_key(seed, *person, vector["epoch"])
    assert wallet.hex() == vector["ethKey"]
    assert checksum(address_of(wallet)) == vector["address"]
    storage = storage_key(seed, *person, vector["epoch"])
    assert storage.hex() == vector["storageKey"]
    keys = ProfileKeys.from_storage_key(storage)
    assert keys.encryption.public_base64 == vector["publicEncryptionKey"]
    assert keys.signing.public_base64 == vector["publicSigningKey"]


@pytest.mark.parametrize("vector", GOLDEN["seeds"], ids=lambda vector: vector["fingerprint"])
def test_golden_seeds(vector: dict[str, Any]) -> None:
    seed = MasterSeed(bytes.fromhex(vector["seed"]))
    assert hashlib.sha256(salt_sealing_key(seed)).hexdigest() == vector["sha256OfSaltSealingKey"]
    assert fingerprint(seed) == vector["fingerprint"]


def test_golden_vectors_once_more_by_hand() -> None:
    """The derivation written out with hashlib alone, so that the vectors rest on two programs."""
    import hmac

    vector = GOLDEN["identities"][0]
    fields = [
        "dm3-gateway/custody/v1",
        vector["network"],
        vector["canonicalId"],
        "dm3-storage-key",
        str(vector["epoch"]),
    ]
    info = b"".join(len(field.encode()).to_bytes(4, "big") + field.encode() for field in fields)
    extracted = hmac.new(bytes.fromhex(vector["salt"]), bytes.fromhex(vector["seed"]), hashlib.sha256).digest()
    assert hmac.new(extracted, info + b"\x01", hashlib.sha256).hexdigest() == vector["storageKey"]


fields = st.lists(st.text(max_size=6), max_size=5)


@given(fields, fields)
def test_contexts_are_unambiguous(left: list[str], right: list[str]) -> None:
    assert (context(*left) == context(*right)) == (left == right)


def test_moving_a_character_between_fields_changes_all() -> None:
    assert storage_key(SEED, SALT, Network("ab"), CanonicalId("c"), 0) != storage_key(
        SEED, SALT, Network("a"), CanonicalId("bc"), 0
    )


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(0, 1000))
def test_every_output_is_a_valid_key(secret: bytes, salt: bytes, epoch: int) -> None:
    key = eth_key(MasterSeed(secret), salt, MATRIX, ALICE, epoch)
    assert 0 < int.from_bytes(key, "big") < ORDER
    assert address_of(key).startswith("0x")


def test_each_input_matters() -> None:
    base = (SEED, SALT, MATRIX, ALICE, 0)
    others = [
        (MasterSeed(b"\x12" * 32), SALT, MATRIX, ALICE, 0),
        (SEED, b"\x23" * 32, MATRIX, ALICE, 0),
        (SEED, SALT, Network("xmpp"), ALICE, 0),
        (SEED, SALT, MATRIX, CanonicalId("@Alice:example.org"), 0),
        (SEED, SALT, MATRIX, ALICE, 1),
    ]
    for derive in (eth_key, storage_key):
        results = {derive(*arguments) for arguments in [base, *others]}
        assert len(results) == 6
        assert derive(*base) == derive(*base)
    assert eth_key(*base) != storage_key(*base)
    assert salt_sealing_key(SEED) not in (eth_key(*base), storage_key(*base))
    assert notification_code_key(SEED) not in (salt_sealing_key(SEED), eth_key(*base), storage_key(*base))
    assert notification_code_key(SEED) != notification_code_key(MasterSeed(b"\x12" * 32))
    assert len(notification_code_key(SEED)) == 32
    sealing = (salt_sealing_key(SEED), notification_code_key(SEED), webhook_sealing_key(MasterSeed(b"\x12" * 32)))
    assert webhook_sealing_key(SEED) not in sealing
    assert len(webhook_sealing_key(SEED)) == 32


def test_the_fingerprint_tells_seeds_apart_and_nothing_else() -> None:
    assert fingerprint(SEED) != fingerprint(MasterSeed(b"\x12" * 32))
    assert len(fingerprint(SEED)) == 16
    assert SEED.secret.hex()[:8] not in fingerprint(SEED)
