"""Ed25519 over texts and objects: vectors, the specification's two readings, and every kind of wrong signature."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import JsonObject, sha256_hex, stringify
from gateway.dm3.keys import signing_pair
from gateway.dm3.signing import sign, verify, verify_object
from tests.unit.dm3.vectors import load, pair

VECTORS = load("signatures")["vectors"]
KEY = signing_pair(b"\x05" * 32)
OTHER = signing_pair(b"\x06" * 32)


@pytest.mark.parametrize("vector", VECTORS)
def test_reference_vectors(vector: dict[str, Any]) -> None:
    key, payload = pair(vector["inputs"]["keyPair"]), vector["inputs"]["payload"]
    assert sign(key, payload) == vector["expected"]["signatureB64"]
    assert verify(key.public, payload, vector["expected"]["signatureB64"]) is vector["expected"]["verify"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_only_the_signed_text_verifies(text: str, other: str) -> None:
    signature = sign(KEY, text)
    assert verify(KEY.public, text, signature)
    assert verify(KEY.public, other, signature) == (other == text)
    assert not verify(OTHER.public, text, signature)


@given(st.integers(0, 511))
def test_a_flipped_bit_is_refused(bit: int) -> None:
    broken = bytearray(base64.b64decode(sign(KEY, "text")))
    broken[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY.public, "text", base64.b64encode(broken).decode())


@pytest.mark.parametrize(
    "signature", ["", "AA==", "%%%", "A" * 88, "A" * 10_000, "ä" * 88, base64.b64encode(bytes(63)).decode()]
)
def test_malformed_signatures_are_only_false(signature: str) -> None:
    assert not verify(KEY.public, "text", signature)
    assert not verify_object(KEY.public, {"a": 1}, signature)


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32), bytes(33), b"\xff" * 32])
def test_malformed_keys_are_only_false(public: bytes) -> None:
    assert not verify(public, "text", sign(KEY, "text"))
    assert not verify_object(public, {}, sign(KEY, "{}"))


def test_text_that_is_no_unicode_is_only_false() -> None:
    assert not verify(KEY.public, "\ud800", sign(KEY, "text"))


def test_object_in_the_three_forms() -> None:
    value: JsonObject = {"b": 1, "a": "é"}
    text = stringify(value)
    raw_digest = bytes.fromhex(sha256_hex(text)[2:])
    from nacl.bindings import crypto_sign

    over_bytes = base64.b64encode(crypto_sign(raw_digest, KEY.private)[:64]).decode()
    for signature in (sign(KEY, text), sign(KEY, sha256_hex(text)), over_bytes):
        assert verify_object(KEY.public, value, signature)
        assert verify_object(KEY.public, {"a": "é", "b": 1}, signature)
        assert not verify_object(KEY.public, {**value, "c": None}, signature)
        assert not verify_object(OTHER.public, value, signature)
