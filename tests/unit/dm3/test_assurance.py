"""How sure a gateway is of a sender: in the message, signed, and read leniently."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.assurance import Confidence, SenderAssurance, assurance_to_json, read_assurance
from gateway.dm3.keys import signing_pair
from gateway.dm3.message import Message, MessageType, message_hash, message_to_json, parse_message, sign_message
from gateway.dm3.message import verify_message as verify

KEY = signing_pair(b"\x0a" * 32)
WEAK = SenderAssurance(
    confidence=Confidence.WEAK,
    by=("spf",),
    domain="example.org",
    checks={"dmarc": "none", "spf": "pass"},
    reason="It has no signature.",
)
DRAFT = Message(to="alice.eth", from_="bob.gw.eth", type=MessageType.NEW, timestamp=1, text="hi", assurance=WEAK)
WORDS = st.text(max_size=20)


def test_it_stands_in_the_metadata_and_signature_and_hash_cover_it() -> None:
    signed = sign_message(DRAFT, KEY)
    wire = message_to_json(signed)
    metadata = wire["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["senderAssurance"] == {
        "confidence": "weak",
        "by": ["spf"],
        "domain": "example.org",
        "checks": {"dmarc": "none", "spf": "pass"},
        "reason": "It has no signature.",
    }
    read = parse_message(json.dumps(wire))
    assert read.assurance == WEAK
    assert verify(read, KEY.public)
    assert message_hash(read) == message_hash(signed)
    stronger: dict[str, Any] = {**wire, "metadata": {**metadata, "senderAssurance": {"confidence": "proved", "by": []}}}
    assert not verify(parse_message(json.dumps(stronger)), KEY.public)


def test_a_message_without_one_says_nothing() -> None:
    metadata = {"to": "a", "from": "b", "timestamp": 1, "type": "NEW"}
    assert parse_message(json.dumps({"metadata": metadata, "signature": "x"})).assurance is None


@given(
    st.builds(
        SenderAssurance,
        confidence=st.sampled_from(Confidence),
        by=st.lists(WORDS, max_size=4).map(tuple),
        domain=WORDS,
        checks=st.dictionaries(WORDS, WORDS, max_size=4),
        reason=WORDS,
    )
)
def test_what_is_written_is_read(assurance: SenderAssurance) -> None:
    assert read_assurance(assurance_to_json(assurance)) == assurance


@pytest.mark.parametrize(
    "value",
    [
        None,
        "proved",
        {},
        {"confidence": "certain", "by": []},
        {"confidence": ["proved"], "by": []},
        {"confidence": "proved", "by": "dkim"},
        {"confidence": "proved", "by": [1]},
        {"confidence": "proved", "by": ["x" * 65]},
        {"confidence": "proved", "by": ["x"] * 17},
        {"confidence": "proved", "by": [], "checks": {"spf": 1}},
        {"confidence": "proved", "by": [], "domain": 7},
        {"confidence": "proved", "by": [], "domain": "x" * 256},
    ],
)
def test_what_is_not_like_it_is_none_and_the_message_is_read(value: Any) -> None:
    metadata = {"to": "a", "from": "b", "timestamp": 1, "type": "NEW", "senderAssurance": value}
    message = parse_message(json.dumps({"message": "hi", "metadata": metadata, "signature": "x"}))
    assert (message.assurance, message.text) == (None, "hi")
