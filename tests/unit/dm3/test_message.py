"""Messages: every type of the reference, the specification's form, unknown fields and types, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import stringify
from gateway.dm3.keys import signing_pair
from gateway.dm3.message import (
    Attachment,
    Message,
    MessageType,
    message_hash,
    message_to_json,
    parse_message,
    sign_message,
    verify_message,
)
from gateway.dm3.signing import sign
from gateway.errors import InvalidInput, ParseError, TooLarge
from gateway.ids import MessageHash
from tests.unit.dm3.vectors import ids, load, pair

ALL = load("messages")["vectors"]
VECTORS = [vector for vector in ALL if "message" in vector["expected"]]
SPEC_SIGNATURES = next(vector for vector in ALL if vector["id"] == "NEW_spec_signature_variant")
KEY = signing_pair(b"\x0a" * 32)
HASH = MessageHash("0x" + "ab" * 32)


def wire(**changes: Any) -> dict[str, Any]:
    """A valid message as JSON, with fields of the top replaced; None in ``metadata`` changes removes a field."""
    metadata = {"to": "bob.eth", "from": "alice.eth", "timestamp": 1727000000123, "type": "NEW"}
    metadata |= changes.pop("metadata", {})
    value = {"message": "hi", "metadata": metadata, "signature": "x"} | changes
    value["metadata"] = {key: item for key, item in metadata.items() if item is not ...}
    return {key: item for key, item in value.items() if item is not ...}


@pytest.mark.parametrize("vector", VECTORS, ids=ids(VECTORS))
def test_reference_messages_are_read_and_verified(vector: dict[str, Any]) -> None:
    message = parse_message(json.dumps(vector["expected"]["message"]))
    public = pair(vector["inputs"]["signingKeyPair"]).public
    assert verify_message(message, public) is vector["expected"]["verifies"]
    assert message_hash(message) == vector["expected"]["sha256OfStringified"]
    assert stringify(message_to_json(message)) == vector["expected"]["stringified"]
    assert message.raw_type == vector["inputs"]["type"]
    assert message.known


@pytest.mark.parametrize("vector", VECTORS, ids=ids(VECTORS))
def test_we_build_the_same_bytes(vector: dict[str, Any]) -> None:
    fields = vector["expected"]["message"]
    metadata, attachments = fields["metadata"], fields.get("attachments")
    draft = Message(
        to=metadata["to"],
        from_=metadata["from"],
        type=MessageType.__members__.get(metadata["type"], MessageType.READ_OPENED),
        timestamp=metadata["timestamp"],
        text=fields.get("message"),
        attachments=None
        if attachments is None
        else tuple(Attachment(item["data"], item.get("name")) for item in attachments),
        reference=metadata.get("referenceMessageHash"),
        reply_instruction=metadata.get("replyDeliveryInstruction"),
        raw_type=metadata["type"],
    )
    assert stringify(message_to_json(draft)) == vector["expected"]["signedPayload"]
    signed = sign_message(draft, pair(vector["inputs"]["signingKeyPair"]))
    assert signed.signature == vector["expected"]["signature"]
    assert stringify(message_to_json(signed)) == vector["expected"]["stringified"]
    assert message_hash(signed) == vector["expected"]["sha256OfStringified"]


def test_every_type_of_the_reference_has_a_vector() -> None:
    assert {kind.value for kind in MessageType} <= {vector["inputs"].get("type") for vector in ALL}


@pytest.mark.parametrize("form", ["signatureOverHexText", "signatureOverRawBytes"])
def test_signatures_as_the_specification_words_them_are_taken(form: str) -> None:
    value = json.loads(SPEC_SIGNATURES["inputs"]["signedPayload"])
    message = parse_message(json.dumps(value | {"signature": SPEC_SIGNATURES["expected"][form]}))
    public = pair(VECTORS[0]["inputs"]["signingKeyPair"]).public
    assert verify_message(message, public)
    assert not verify_message(message, KEY.public)


def test_the_specifications_read_receipt_is_opened() -> None:
    message = parse_message(json.dumps(wire(metadata={"type": "READ_RECEIPT"})))
    assert message.type is MessageType.READ_OPENED
    assert message.raw_type == "READ_RECEIPT"


def test_attachments_as_texts() -> None:
    message = parse_message(json.dumps(wire(attachments=["data:,x", {"data": "https://e.org", "name": "n"}])))
    assert message.attachments == (Attachment("data:,x"), Attachment("https://e.org", "n"))


def test_absent_and_empty_attachments_differ() -> None:
    assert parse_message(json.dumps(wire())).attachments is None
    assert parse_message(json.dumps(wire(attachments=None))).attachments is None
    assert parse_message(json.dumps(wire(attachments=[]))).attachments == ()


@pytest.mark.parametrize("kind", ["LINK", "READ_LATER", "new", "", "é"])
def test_unknown_types_keep_their_text(kind: str) -> None:
    message = parse_message(json.dumps(wire(metadata={"type": kind})))
    assert message.type is MessageType.NEW
    assert message.raw_type == kind
    assert message.text == "hi"
    assert message.known == (kind == "")


def test_the_signature_is_over_fields_that_we_do_not_know() -> None:
    value = wire(future={"nested": [1, 2.50, None]}, metadata={"priority": 1e21})
    del value["signature"]
    value["signature"] = sign(KEY, stringify(value))
    message = parse_message(json.dumps(value))
    assert verify_message(message, KEY.public)
    value["future"]["nested"][0] = 2
    assert not verify_message(parse_message(json.dumps(value)), KEY.public)


def test_changing_a_received_message_forgets_what_was_received() -> None:
    value = wire(future=1, signature=...)
    value["signature"] = sign(KEY, stringify(value))
    received = parse_message(json.dumps(value))
    changed = replace(received, text="other")
    assert not verify_message(changed, KEY.public)
    assert "future" not in message_to_json(changed)
    assert verify_message(sign_message(changed, KEY), KEY.public)


drafts = st.builds(
    Message,
    to=st.sampled_from(["bob.eth", "ξένος.eth", "💩.eth"]),
    from_=st.just("alice.eth"),
    type=st.sampled_from(MessageType),
    timestamp=st.integers(0, 2**53),
    text=st.none() | st.text(max_size=50),
    attachments=st.none()
    | st.lists(st.builds(Attachment, st.text(max_size=20), st.none() | st.text(max_size=9)), max_size=3).map(tuple),
    reference=st.none() | st.just(HASH),
    reply_instruction=st.none() | st.text(max_size=20),
)


@given(drafts)
def test_round_trip(draft: Message) -> None:
    signed = sign_message(draft, KEY)
    parsed = parse_message(stringify(message_to_json(signed)))
    assert verify_message(signed, KEY.public)
    assert verify_message(parsed, KEY.public)
    assert replace(parsed, raw_type="") == signed
    assert message_hash(parsed) == message_hash(signed)
    assert sign_message(signed, KEY) == signed


@given(drafts, drafts)
def test_a_signature_fits_one_message_only(draft: Message, other: Message) -> None:
    moved = replace(other, signature=sign_message(draft, KEY).signature)
    assert verify_message(moved, KEY.public) == (message_to_json(draft) == message_to_json(other))


def test_an_unsigned_draft_does_not_verify() -> None:
    draft = Message("bob.eth", "alice.eth", MessageType.NEW, 1, "hi")
    assert "signature" not in message_to_json(draft)
    assert not verify_message(draft, KEY.public)


BAD: dict[str, dict[str, Any]] = {
    "no metadata": wire() | {"metadata": None},
    "metadata a list": wire() | {"metadata": []},
    "no to": wire(metadata={"to": ...}),
    "to a number": wire(metadata={"to": 7}),
    "empty to": wire(metadata={"to": ""}),
    "long to": wire(metadata={"to": "a" * 256}),
    "long to in bytes": wire(metadata={"to": "ä" * 128}),
    "blank in to": wire(metadata={"to": "bob .eth"}),
    "line break in from": wire(metadata={"from": "alice.eth\n"}),
    "NUL in from": wire(metadata={"from": "a\x00.eth"}),
    "no from": wire(metadata={"from": ...}),
    "no type": wire(metadata={"type": ...}),
    "type a number": wire(metadata={"type": 1}),
    "long type": wire(metadata={"type": "N" * 65}),
    "no timestamp": wire(metadata={"timestamp": ...}),
    "timestamp a text": wire(metadata={"timestamp": "1727000000123"}),
    "timestamp true": wire(metadata={"timestamp": True}),
    "timestamp negative": wire(metadata={"timestamp": -1}),
    "timestamp with fraction": wire(metadata={"timestamp": 1.5}),
    "timestamp beyond JavaScript": wire(metadata={"timestamp": 2**53 + 1}),
    "text a number": wire(message=1),
    "attachments an object": wire(attachments={}),
    "attachment a number": wire(attachments=[1]),
    "attachment without data": wire(attachments=[{"name": "a"}]),
    "attachment data null": wire(attachments=[{"data": None}]),
    "attachment name a list": wire(attachments=[{"data": "x", "name": []}]),
    "too many attachments": wire(attachments=["x"] * 1001),
    "short reference": wire(metadata={"referenceMessageHash": "0x12"}),
    "reference a number": wire(metadata={"referenceMessageHash": 12}),
    "long reference": wire(metadata={"referenceMessageHash": "0x" + "a" * 1000}),
    "no signature": wire(signature=...),
    "signature null": wire(signature=None),
    "long signature": wire(signature="A" * 257),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_messages_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_message(json.dumps(BAD[name]))


@pytest.mark.parametrize("text", ["", "[]", '"text"', "{", b"\xff"])
def test_no_json_object(text: str | bytes) -> None:
    with pytest.raises(ParseError):
        parse_message(text)


def test_size_is_bounded() -> None:
    text = json.dumps(wire())
    assert parse_message(text, max_bytes=len(text)).text == "hi"
    with pytest.raises(TooLarge):
        parse_message(text, max_bytes=len(text) - 1)


def test_tolerated_oddities() -> None:
    odd = wire(message=None, metadata={"timestamp": 5.0, "referenceMessageHash": "AB" * 32})
    message = parse_message(json.dumps(odd))
    assert (message.text, message.timestamp, message.reference) == (None, 5, HASH)
    assert parse_message(json.dumps(wire(metadata={"referenceMessageHash": ""}))).reference is None


@pytest.mark.parametrize("instruction", [1, None, [], {"room": 1}, True])
def test_an_instruction_that_is_no_text_does_not_cost_the_message(instruction: Any) -> None:
    message = parse_message(json.dumps(wire(metadata={"replyDeliveryInstruction": instruction})))
    assert (message.reply_instruction, message.text) == (None, "hi")
    assert message_to_json(message)["metadata"]["replyDeliveryInstruction"] == instruction  # type: ignore[index,call-overload]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["to", "from", "timestamp", "type", "referenceMessageHash", "replyDeliveryInstruction"])


@given(
    st.dictionaries(FIELDS, json_like),
    st.dictionaries(st.sampled_from(["message", "attachments", "signature"]), json_like),
)
def test_garbage_in_fields_raises_only_named_errors(metadata: dict[str, Any], top: dict[str, Any]) -> None:
    try:
        message = parse_message(json.dumps(wire(metadata=metadata, **top)))
    except (InvalidInput, ParseError):
        return
    assert not verify_message(message, KEY.public)


def test_what_people_write_is_not_in_the_repr() -> None:
    message = parse_message(
        json.dumps(wire(message="canary", signature="canary", future="canary", attachments=["canary"]))
    )
    assert "canary" not in repr(message)
