"""Log-in challenges: the reference's signature, and no signature under anything that is more than a token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.auth import sign_challenge, verify_challenge
from gateway.dm3.canonical import sha256_hex, stringify
from gateway.dm3.keys import signing_pair
from gateway.dm3.message import Message, MessageType, message_to_json, verify_message
from gateway.errors import InvalidInput
from tests.unit.dm3.vectors import load, pair

VECTOR = load("auth_alias_links")["challenge"]
KEY = signing_pair(b"\x71" * 32)


def test_reference_vector() -> None:
    key, challenge = pair(VECTOR["inputs"]["signingKeyPair"]), VECTOR["inputs"]["challenge"]
    assert sign_challenge(key, challenge) == VECTOR["expected"]["signatureB64"]
    assert verify_challenge(key.public, challenge, VECTOR["expected"]["signatureB64"])


@given(st.from_regex(r"[A-Za-z0-9_-]{8,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}", fullmatch=True))
def test_tokens_are_signed(challenge: str) -> None:
    if challenge.startswith("0x"):
        return
    signature = sign_challenge(KEY, challenge)
    assert verify_challenge(KEY.public, challenge, signature)
    assert not verify_challenge(KEY.public, challenge + "x", signature)
    assert not verify_challenge(signing_pair().public, challenge, signature)


FORGED = stringify(message_to_json(Message("bob.eth", "alice.eth", MessageType.NEW, 1, "send money")))


@pytest.mark.parametrize(
    "challenge",
    [
        FORGED,
        sha256_hex(FORGED),
        "alias: alice.user.dm3.eth",
        "remove: alice.user.dm3.eth",
        "dm3 Profile Link:\nhttps://app.example",
        "",
        "short",
        "a" * 4097,
        "with blank inside",
        "line\nbreak\nbreak",
        "täg-challenge",
    ],
)
def test_other_texts_are_not_signed(challenge: str) -> None:
    with pytest.raises(InvalidInput, match="not a token"):
        sign_challenge(KEY, challenge)


def test_a_signed_challenge_is_no_message() -> None:
    signature = sign_challenge(KEY, "abcdefgh.ijkl.mnop")
    message = Message("bob.eth", "alice.eth", MessageType.NEW, 1, "send money", signature=signature)
    assert not verify_message(message, KEY.public)


@pytest.mark.parametrize("signature", ["", "x", "A" * 88, "ä"])
def test_bad_signatures_are_only_false(signature: str) -> None:
    assert not verify_challenge(KEY.public, "abcdefgh", signature)
