"""Key pairs and their derivation: vectors of the reference, lengths, and silence about private parts."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_kx_client_session_keys, crypto_kx_server_session_keys

from gateway.dm3.canonical import sha256_hex
from gateway.dm3.keys import (
    DEFAULT_NONCE,
    KeyPair,
    ProfileKeys,
    ServiceKeys,
    encryption_pair,
    signing_pair,
    storage_key_from_signature,
    storage_key_text,
)
from gateway.errors import InvalidInput
from gateway.ids import EthAddress
from tests.unit.dm3.vectors import ids, load, pair

PAIRS = load("key_pairs")
DERIVATION = load("key_derivation_and_profile")


@pytest.mark.parametrize("vector", PAIRS["seedVectors"])
def test_pairs_from_a_seed(vector: dict[str, Any]) -> None:
    seed = base64.b64decode(vector["inputs"]["seedB64"])
    assert encryption_pair(seed) == pair(vector["expected"]["kx"])
    assert signing_pair(seed) == pair(vector["expected"]["sign"])
    assert ProfileKeys.from_storage_key(seed) == ProfileKeys(encryption_pair(seed), signing_pair(seed))


def test_session_keys_of_both_sides() -> None:
    client, server = (pair(PAIRS["sessionKeys"]["inputs"][side]) for side in ("client", "server"))
    expected = PAIRS["sessionKeys"]["expected"]
    views = {
        "clientView": crypto_kx_client_session_keys(client.public, client.private, server.public),
        "serverView": crypto_kx_server_session_keys(server.public, server.private, client.public),
    }
    for view, (rx, tx) in views.items():
        assert base64.b64encode(rx).decode() == expected[view]["sharedRx"]
        assert base64.b64encode(tx).decode() == expected[view]["sharedTx"]


def test_default_nonce() -> None:
    assert DERIVATION["defaultNonce"]["value"] == DEFAULT_NONCE == sha256_hex(DERIVATION["defaultNonce"]["preimage"])


@pytest.mark.parametrize("vector", DERIVATION["vectors"], ids=ids(DERIVATION["vectors"]))
def test_from_wallet_signature_to_profile_keys(vector: dict[str, Any]) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    text = storage_key_text(EthAddress(inputs["ethAddressLower"]), inputs["nonce"])
    assert text == expected["storageKeyCreationMessage"]
    assert sha256_hex(text) == expected["storageKeyCreationMessageSha256"]
    storage_key = storage_key_from_signature(expected["storageKeyCreationSignature"])
    assert base64.b64encode(storage_key).decode() == expected["storageKeyB64"]
    keys = ProfileKeys.from_storage_key(storage_key)
    assert keys.encryption == pair(expected["encryptionKeyPair"])
    assert keys.signing == pair(expected["signingKeyPair"])
    assert keys.encryption.public_base64 == expected["profile"]["publicEncryptionKey"]


def test_another_nonce_gives_another_text() -> None:
    address = EthAddress("0x" + "11" * 20)
    assert storage_key_text(address, "0x00").endswith("Nonce: 0x00")
    assert storage_key_text(address, "0x00") != storage_key_text(address)


def test_storage_key_is_of_the_text_and_not_of_the_bytes() -> None:
    assert storage_key_from_signature("0xAB") != storage_key_from_signature("0xab")


@given(st.binary(min_size=32, max_size=32))
def test_private_parts_are_in_no_repr(seed: bytes) -> None:
    keys = ProfileKeys.from_storage_key(seed)
    shown = repr(keys) + str(keys) + f"{keys.signing}{keys.encryption}"
    for secret in (keys.encryption.private, keys.signing.private, seed):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
    assert "private" not in shown


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(size: int) -> None:
    for make in (encryption_pair, signing_pair, ProfileKeys.from_storage_key):
        with pytest.raises(InvalidInput):
            make(bytes(size))


def test_fresh_pairs_differ() -> None:
    assert len({encryption_pair().public for _ in range(8)}) == 8
    assert len({signing_pair().private for _ in range(8)}) == 8


def test_lengths() -> None:
    assert [len(part) for part in (encryption_pair().public, encryption_pair().private)] == [32, 32]
    assert [len(part) for part in (signing_pair().public, signing_pair().private)] == [32, 64]


def test_service_keys_are_independent() -> None:
    keys = ServiceKeys.from_seeds(b"\x01" * 32, b"\x02" * 32)
    assert keys == ServiceKeys(encryption_pair(b"\x01" * 32), signing_pair(b"\x02" * 32))
    assert ServiceKeys.generate() != ServiceKeys.generate()
    with pytest.raises(InvalidInput, match="differ"):
        ServiceKeys.from_seeds(b"\x01" * 32, b"\x01" * 32)


def test_pairs_compare_by_value() -> None:
    assert KeyPair(b"a", b"b") == KeyPair(b"a", b"b")
    assert KeyPair(b"a", b"b") != KeyPair(b"a", b"c")
