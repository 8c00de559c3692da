"""Encryption: vectors of the reference, every size around the padding, and any flipped bit refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dm3.encryption import (
    EncryptedPayload,
    Ephemeral,
    SealingKey,
    decrypt,
    decrypt_payload,
    decrypt_symmetric,
    encrypt,
    encrypt_payload,
    encrypt_symmetric,
    parse_payload,
)
from gateway.dm3.keys import encryption_pair
from gateway.errors import DecryptionFailed, InvalidInput
from tests.unit.dm3.vectors import ids, load, pair

VECTORS = load("encryption")
RECEIVER = encryption_pair(b"\x21" * 32)
SEALED = encrypt_payload(RECEIVER.public, "a text that must not change")
LOW_ORDER = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]

beyond_the_reference = {"nonce_without_0x"}
"""Negative vectors of the reference that we take on purpose."""


@pytest.mark.parametrize("vector", VECTORS["symmetric"], ids=ids(VECTORS["symmetric"]))
def test_symmetric_vectors(vector: dict[str, Any]) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    key, nonce = base64.b64decode(inputs["keyB64"]), bytes.fromhex(inputs["nonceHex"][2:])
    payload = encrypt_symmetric(key, inputs["plaintext"], nonce=nonce)
    assert payload.to_text() == expected["stringified"]
    assert len(payload.ciphertext) == expected["ciphertextLen"]
    assert decrypt_symmetric(key, parse_payload(expected["stringified"])) == inputs["plaintext"]


@pytest.mark.parametrize("vector", VECTORS["asymmetric"], ids=ids(VECTORS["asymmetric"]))
def test_asymmetric_vectors(vector: dict[str, Any]) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    receiver = pair(inputs["receiver"])
    ephemeral = Ephemeral(pair(inputs["ephemeral"]), bytes.fromhex(inputs["nonceHex"][2:]))
    assert encrypt(receiver.public, inputs["plaintext"], ephemeral=ephemeral) == expected["stringified"]
    assert json.loads(expected["stringified"]) == expected["encrypted"]
    assert decrypt(receiver, expected["stringified"]) == inputs["plaintext"]


@pytest.mark.parametrize("vector", VECTORS["negative"], ids=ids(VECTORS["negative"]))
def test_negative_vectors(vector: dict[str, Any]) -> None:
    assert vector["referenceResult"]["ok"] is False
    receiver, sealed = pair(vector["inputs"]["receiver"]), json.dumps(vector["inputs"]["encrypted"])
    if vector["id"] in beyond_the_reference:
        assert decrypt(receiver, sealed) == "a"
    else:
        with pytest.raises(DecryptionFailed):
            decrypt(receiver, sealed)


def test_what_we_take_beyond_the_reference_is_in_the_vectors() -> None:
    assert beyond_the_reference <= {vector["id"] for vector in VECTORS["negative"]}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
@example(0)
@example(2047)
@example(2048)
@example(100_000)
def test_every_size_comes_back(size: int) -> None:
    text = ("0123456789abcdef" * (size // 16 + 1))[:size]
    payload = encrypt_payload(RECEIVER.public, text)
    assert len(payload.ciphertext) == 2048 * (size // 2048 + 1) + 16
    assert decrypt_payload(RECEIVER, parse_payload(payload.to_text())) == text


@given(st.text(max_size=300))
def test_every_text_comes_back(text: str) -> None:
    assert decrypt(RECEIVER, encrypt(RECEIVER.public, text)) == text


def test_each_encryption_differs() -> None:
    sealed = [encrypt_payload(RECEIVER.public, "same") for _ in range(8)]
    assert len({payload.ephemeral_public_key for payload in sealed}) == 8
    assert len({payload.nonce for payload in sealed}) == 8


def flipped(data: bytes, bit: int) -> bytes:
    broken = bytearray(data)
    broken[bit // 8] ^= 1 << bit % 8
    return bytes(broken)


def refused(payload: EncryptedPayload) -> None:
    with pytest.raises(DecryptionFailed):
        decrypt_payload(RECEIVER, payload)


@given(st.integers(0, len(SEALED.ciphertext) * 8 - 1))
def test_a_flipped_bit_of_the_ciphertext_is_refused(bit: int) -> None:
    refused(EncryptedPayload(flipped(SEALED.ciphertext, bit), SEALED.nonce, SEALED.ephemeral_public_key))


@pytest.mark.parametrize("bit", range(96))
def test_a_flipped_bit_of_the_nonce_is_refused(bit: int) -> None:
    refused(EncryptedPayload(SEALED.ciphertext, flipped(SEALED.nonce, bit), SEALED.ephemeral_public_key))


@pytest.mark.parametrize("bit", range(256))
def test_a_flipped_bit_of_the_ephemeral_key_is_refused(bit: int) -> None:
    # X25519 masks the top bit of a point, but the session key is a hash over the key as it was sent.
    ephemeral = SEALED.ephemeral_public_key
    assert ephemeral is not None
    refused(EncryptedPayload(SEALED.ciphertext, SEALED.nonce, flipped(ephemeral, bit)))


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 2047, 2063])
def test_a_cut_ciphertext_is_refused(cut: int) -> None:
    refused(EncryptedPayload(SEALED.ciphertext[:cut], SEALED.nonce, SEALED.ephemeral_public_key))


def test_another_key_is_refused() -> None:
    with pytest.raises(DecryptionFailed):
        decrypt_payload(encryption_pair(), SEALED)
    with pytest.raises(DecryptionFailed, match="ephemeral"):
        decrypt_payload(RECEIVER, EncryptedPayload(SEALED.ciphertext, SEALED.nonce))


@pytest.mark.parametrize("key", LOW_ORDER)
def test_low_order_keys_are_refused_on_both_sides(key: bytes) -> None:
    with pytest.raises(InvalidInput):
        encrypt(key, "text")
    refused(EncryptedPayload(SEALED.ciphertext, SEALED.nonce, key))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_lengths_are_checked(size: int) -> None:
    with pytest.raises(InvalidInput):
        encrypt(bytes(size), "text")
    with pytest.raises(InvalidInput):
        encrypt_symmetric(bytes(size), "text")
    with pytest.raises(InvalidInput):
        encrypt_symmetric(bytes(32), "text", nonce=bytes(size))
    with pytest.raises(DecryptionFailed):
        decrypt_symmetric(bytes(size), SEALED)


def test_a_key_for_several_texts_never_repeats_a_nonce() -> None:
    sealing = SealingKey.towards(RECEIVER.public)
    sealed = [sealing.seal(str(number)) for number in range(100)]
    assert [decrypt_payload(RECEIVER, each) for each in sealed] == [str(number) for number in range(100)]
    assert len({each.nonce for each in sealed}) == 100
    assert {each.ephemeral_public_key for each in sealed} == {sealing.ephemeral_public_key}
    assert SealingKey.towards(RECEIVER.public).ephemeral_public_key != sealing.ephemeral_public_key


def test_plaintext_must_be_unicode() -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        encrypt(RECEIVER.public, "\ud800")


def test_sealed_bytes_that_are_no_padding_or_no_utf8() -> None:
    from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt, sodium_pad

    key, nonce = bytes(32), bytes(12)
    for plain in (b"", b"x" * 2048, bytes(2048), sodium_pad(b"\xff\xfe", 2048)):
        ciphertext = crypto_aead_chacha20poly1305_ietf_encrypt(plain, None, nonce, key)
        with pytest.raises(DecryptionFailed):
            decrypt_symmetric(key, EncryptedPayload(ciphertext, nonce))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"ciphertext":"AAAA"}',
        '{"ciphertext":1,"nonce":"0x000000000000000000000000"}',
        '{"ciphertext":"AAAA","nonce":12}',
        '{"ciphertext":"AAAA","nonce":"0x00"}',
        '{"ciphertext":"AAAA","nonce":"0x00000000000000000000000z"}',
        '{"ciphertext":"A","nonce":"0x000000000000000000000000"}',
        '{"ciphertext":"AAAA","nonce":"0x000000000000000000000000","ephemPublicKey":"AAAA"}',
        '{"ciphertext":"AAAA","nonce":"0x000000000000000000000000","ephemPublicKey":[]}',
        '{"a":' * 50 + "1" + "}" * 50,
    ],
)
def test_malformed_payloads(text: str) -> None:
    with pytest.raises(DecryptionFailed):
        parse_payload(text)


def test_payload_size_is_bounded() -> None:
    text = SEALED.to_text()
    assert parse_payload(text, max_bytes=len(text)) == SEALED
    with pytest.raises(DecryptionFailed):
        parse_payload(text, max_bytes=len(text) - 1)


@given(st.text(max_size=100))
def test_garbage_fails_by_name(text: str) -> None:
    with pytest.raises(DecryptionFailed):
        decrypt(RECEIVER, text)
