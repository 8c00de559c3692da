"""Envelopes in all three dialects: vectors byte for byte, round trips, signatures, identity, and bad input."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import JsonObject, parse_object, sha256_hex, stringify
from gateway.dm3.encryption import Ephemeral, decrypt, encrypt
from gateway.dm3.envelope import (
    DeliveryInformation,
    Dialect,
    Envelope,
    EphemeralPair,
    canonical_envelope,
    envelope_hashes,
    envelope_id,
    envelope_to_json,
    hash_of_encrypted,
    open_delivery_information,
    parse_envelope,
    picked_up,
    seal,
    verify_envelope,
)
from gateway.dm3.keys import ProfileKeys, ServiceKeys, encryption_pair
from gateway.dm3.message import Message, MessageType, message_hash, parse_message, sign_message, verify_message
from gateway.dm3.signing import sign
from gateway.errors import DecryptionFailed, InvalidInput, ParseError, TooLarge
from gateway.ids import EthAddress
from tests.unit.dm3.vectors import load, pair

FILES = {Dialect.DEVELOP: load("envelope_and_postmark"), Dialect.NPM: load("envelope_npm171_variant")}
HASH_FIELDS = {Dialect.DEVELOP: {"messageHash"}, Dialect.NPM: {"encryptedMessageHash"}, Dialect.SPEC: set[str]()}
dialects = pytest.mark.parametrize("dialect", Dialect)
generations = pytest.mark.parametrize("dialect", FILES)

ALICE = ProfileKeys.from_storage_key(b"\x31" * 32)
BOB = ProfileKeys.from_storage_key(b"\x32" * 32)
SERVICE = ServiceKeys.from_seeds(b"\x33" * 32, b"\x34" * 32)
RECIPIENT = EthAddress("0x" + "ab" * 20)
MESSAGE = sign_message(Message("bob.eth", "alice.eth", MessageType.NEW, 1727000000123, "hello 👋"), ALICE.signing)


def sealed(dialect: Dialect = Dialect.DEVELOP, instruction: str | None = None) -> Envelope:
    return seal(
        MESSAGE,
        BOB.encryption.public,
        SERVICE.encryption.public,
        ALICE.signing,
        dialect=dialect,
        delivery_instruction=instruction,
    )


def service_keys(inputs: dict[str, Any]) -> ServiceKeys:
    keys = inputs["deliveryServiceKeys"]
    return ServiceKeys(pair(keys["encryptionKeyPair"]), SERVICE.signing)


def nonce_of(text: str) -> bytes:
    return bytes.fromhex(json.loads(text)["nonce"][2:])


@generations
def test_seal_gives_the_reference_bytes(dialect: Dialect) -> None:
    inputs, expected = FILES[dialect]["inputs"], FILES[dialect]["expected"]
    wanted = expected["encryptedEnvelop"]
    first, second = (pair(fields) for fields in inputs["ephemeralKeyPairsInOrder"])
    envelope = seal(
        parse_message(json.dumps(inputs["message"])),
        base64.b64decode(inputs["receiver"]["profile"]["publicEncryptionKey"]),
        base64.b64decode(inputs["deliveryServiceProfile"]["publicEncryptionKey"]),
        pair(inputs["sender"]["keys"]["signingKeyPair"]),
        dialect=dialect,
        ephemeral=EphemeralPair(
            Ephemeral(first, nonce_of(wanted["message"])),
            Ephemeral(second, nonce_of(wanted["metadata"]["deliveryInformation"])),
        ),
    )
    assert envelope_to_json(envelope) == wanted
    assert len(canonical_envelope(envelope).encode()) == expected["envelopSizeBytes"]
    unsigned = {key: value for key, value in envelope.metadata.raw.items() if key != "signature"}
    assert stringify(unsigned) == expected["metadataSignedPayload"]
    assert parse_envelope(expected["jsonRpcRequest"]["params"][0]) == envelope


@generations
def test_reference_envelopes_are_read(dialect: Dialect) -> None:
    inputs, expected = FILES[dialect]["inputs"], FILES[dialect]["expected"]
    envelope = parse_envelope(expected["jsonRpcRequest"]["params"][0])
    sender = pair(inputs["sender"]["keys"]["signingKeyPair"])
    assert verify_envelope(envelope, sender.public) is expected["metadataSignatureVerifies"]
    information = open_delivery_information(envelope, service_keys(inputs))
    assert information.to_json() == expected["decryptedDeliveryInformation"]
    message = parse_message(decrypt(pair(inputs["receiver"]["encryptionKeyPair"]), envelope.message))
    assert verify_message(message, sender.public)
    assert message.text == "Hello Bob 👋"
    known = sha256_hex(expected["messageHashPreimage"])
    assert known in (envelope.metadata.message_hash, envelope.metadata.encrypted_message_hash)
    assert envelope_hashes(envelope) == (known, known)


@generations
def test_picked_up_holds_all_that_the_reference_hands_out(dialect: Dialect) -> None:
    inputs, expected = FILES[dialect]["inputs"], FILES[dialect]["expected"]
    envelope = parse_envelope(expected["encryptedEnvelop"])
    information = open_delivery_information(envelope, service_keys(inputs))
    text = picked_up(envelope, information, expected["postmark"]["encryptedString"])
    out: Any = parse_object(text, max_bytes=100_000)
    assert text == stringify(out)
    wanted = expected["storedEnvelope"]
    assert {key: out["metadata"][key] for key in wanted["metadata"]} == wanted["metadata"]
    assert out["metadata"].keys() - wanted["metadata"].keys() < {"messageHash", "encryptedMessageHash"}
    assert {key: out[key] for key in out if key != "metadata"} == {
        key: wanted[key] for key in wanted if key != "metadata"
    }


@given(
    message=st.text(),
    unknown=st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.none(), max_size=4),
    postmark=st.none() | st.text(),
)
def test_the_canonical_text_is_that_of_the_whole_object(
    message: str, unknown: dict[str, Any], postmark: str | None
) -> None:
    """It is put together from parts that are made once."""
    metadata: JsonObject = {**unknown, "deliveryInformation": "sealed", "signature": "x"}
    metadata = {key: metadata[key] for key in metadata if key not in ("messageHash", "encryptedMessageHash")}
    metadata |= {"encryptionScheme": "s", "version": "v"}
    envelope = parse_envelope({"message": message, "metadata": metadata, "postmark": postmark})
    assert canonical_envelope(envelope) == stringify(envelope_to_json(envelope))
    assert envelope.message_text == stringify(message)
    assert envelope.signed_text == stringify({key: metadata[key] for key in metadata if key != "signature"})
    information = DeliveryInformation("bob.eth", "älice.eth", "again")
    text = picked_up(envelope, information, postmark or "")
    out: Any = {"message": message, "metadata": {**metadata, "deliveryInformation": information.to_json()}}
    out["metadata"]["messageHash"], out["metadata"]["encryptedMessageHash"] = envelope_hashes(envelope)
    assert text == stringify({**out, "postmark": postmark or ""})


@generations
def test_picked_up_envelopes_can_be_read_but_not_verified(dialect: Dialect) -> None:
    inputs, expected = FILES[dialect]["inputs"], FILES[dialect]["expected"]
    envelope = parse_envelope(expected["storedEnvelope"])
    assert envelope.metadata.delivery_information == DeliveryInformation("bob.eth", "alice.eth")
    assert envelope.postmark == expected["postmark"]["encryptedString"]
    assert not verify_envelope(envelope, pair(inputs["sender"]["keys"]["signingKeyPair"]).public)
    with pytest.raises(InvalidInput, match="not encrypted"):
        open_delivery_information(envelope, service_keys(inputs))


@dialects
def test_round_trip(dialect: Dialect) -> None:
    envelope = parse_envelope(canonical_envelope(sealed(dialect, "room:1")))
    assert verify_envelope(envelope, ALICE.signing.public)
    assert not verify_envelope(envelope, BOB.signing.public)
    assert open_delivery_information(envelope, SERVICE) == DeliveryInformation("bob.eth", "alice.eth", "room:1")
    assert parse_message(decrypt(BOB.encryption, envelope.message)) == replace(MESSAGE, raw_type="NEW")


@dialects
def test_metadata_has_the_fields_of_its_dialect_and_no_other(dialect: Dialect) -> None:
    always = {"version", "encryptionScheme", "deliveryInformation", "signature"}
    assert sealed(dialect).metadata.raw.keys() == always | HASH_FIELDS[dialect]
    assert envelope_to_json(sealed(dialect)).keys() == {"message", "metadata"}


def test_hashes_of_each_dialect() -> None:
    develop, npm, spec = (sealed(dialect) for dialect in (Dialect.DEVELOP, Dialect.NPM, Dialect.SPEC))
    assert envelope_hashes(develop) == (message_hash(MESSAGE), message_hash(MESSAGE))
    assert envelope_hashes(npm) == (hash_of_encrypted(npm.message), hash_of_encrypted(npm.message))
    assert envelope_hashes(spec) == (hash_of_encrypted(spec.message), hash_of_encrypted(spec.message))


def test_an_envelope_with_both_hashes_keeps_both() -> None:
    value: Any = envelope_to_json(sealed())
    value["metadata"] |= {"messageHash": "0x" + "1" * 64, "encryptedMessageHash": "2" * 64}
    assert envelope_hashes(parse_envelope(value)) == ("0x" + "1" * 64, "0x" + "2" * 64)


def test_unknown_metadata_is_kept_and_signed() -> None:
    metadata: JsonObject = {key: value for key, value in sealed().metadata.raw.items() if key != "signature"}
    metadata["future"] = {"x": [1, None]}
    metadata["signature"] = sign(ALICE.signing, stringify(metadata))
    envelope = parse_envelope(stringify({"message": "m", "metadata": metadata}))
    assert envelope.metadata.raw == metadata
    assert verify_envelope(envelope, ALICE.signing.public)
    changed = parse_envelope({"message": "m", "metadata": {**metadata, "future": {"x": [1]}}})
    assert not verify_envelope(changed, ALICE.signing.public)


@pytest.mark.parametrize("field", ["version", "encryptionScheme", "deliveryInformation", "messageHash"])
def test_a_changed_field_breaks_the_signature(field: str) -> None:
    value: Any = envelope_to_json(sealed())
    before = value["metadata"][field]
    value["metadata"][field] = "0x" + "0" * 64 if field == "messageHash" else before[:-1] + "~"
    assert not verify_envelope(parse_envelope(value), ALICE.signing.public)


def test_the_signature_as_the_specification_words_it() -> None:
    metadata: JsonObject = {key: value for key, value in sealed().metadata.raw.items() if key != "signature"}
    metadata["signature"] = sign(ALICE.signing, sha256_hex(stringify(metadata)))
    assert verify_envelope(parse_envelope({"message": "m", "metadata": metadata}), ALICE.signing.public)


@pytest.mark.parametrize(
    "metadata",
    [
        {"deliveryInformation": "x"},
        {"deliveryInformation": "x", "signature": None, "version": None, "encryptionScheme": None},
        {"deliveryInformation": "x", "version": "1.0", "encryptionScheme": "another"},
    ],
)
def test_a_bare_envelope_is_read_and_not_verified(metadata: JsonObject) -> None:
    envelope = parse_envelope({"message": "m", "metadata": metadata})
    assert envelope.metadata.signature is None
    assert not verify_envelope(envelope, ALICE.signing.public)
    assert envelope_hashes(envelope)[0] == hash_of_encrypted("m")


def test_id_is_the_same_for_a_repeat_and_for_nothing_else() -> None:
    envelope = sealed()
    again = parse_envelope(json.dumps(envelope_to_json(envelope), indent=2))
    first = envelope_id(RECIPIENT, envelope)
    assert envelope_id(RECIPIENT, again) == first
    assert envelope_id(RECIPIENT, replace(again, postmark="somebody's")) == first
    assert len(first) == 64
    assert first == first.lower()
    assert envelope_id(EthAddress("0x" + "ac" * 20), envelope) != first
    assert envelope_id(RECIPIENT, sealed()) != first
    assert envelope_id(RECIPIENT, replace(envelope, message="other")) != first


@given(st.text(max_size=60), st.text(max_size=60), st.none() | st.text(max_size=60))
def test_delivery_information_in_any_clear_text(to: str, sender: str, instruction: str | None) -> None:
    clear = stringify({"to": to, "from": sender, "deliveryInstruction": instruction})
    value: Any = envelope_to_json(sealed())
    value["metadata"]["deliveryInformation"] = encrypt(SERVICE.encryption.public, clear)
    try:
        information = open_delivery_information(parse_envelope(value), SERVICE)
    except InvalidInput:
        return
    assert (information.to, information.from_, information.instruction) == (to, sender, instruction)


@pytest.mark.parametrize(
    "clear", ["", "[]", "{}", '{"to":"a.eth"}', '{"to":1,"from":"a"}', '{"to":"a","to":"b","from":"c"}']
)
def test_bad_delivery_information(clear: str) -> None:
    value: Any = envelope_to_json(sealed())
    value["metadata"]["deliveryInformation"] = encrypt(SERVICE.encryption.public, clear)
    with pytest.raises(InvalidInput):
        open_delivery_information(parse_envelope(value), SERVICE)


@pytest.mark.parametrize(
    "text", ["", "x", "{}", encrypt(encryption_pair(b"\x01" * 32).public, '{"to":"a","from":"b"}')]
)
def test_delivery_information_for_another_service(text: str) -> None:
    value: Any = envelope_to_json(sealed())
    value["metadata"]["deliveryInformation"] = text
    with pytest.raises(DecryptionFailed):
        open_delivery_information(parse_envelope(value), SERVICE)


def bad(**changes: Any) -> JsonObject:
    value = envelope_to_json(sealed())
    return value | changes


def bad_metadata(**changes: Any) -> JsonObject:
    metadata = sealed().metadata.raw | changes
    return bad(metadata={key: item for key, item in metadata.items() if item is not ...})


BAD: dict[str, JsonObject] = {
    "no message": {"metadata": {}},
    "message an object": bad(message={}),
    "message null": bad(message=None),
    "metadata null": bad(metadata=None),
    "metadata a text": bad(metadata="{}"),
    "postmark a number": bad(postmark=1),
    "no delivery information": bad_metadata(deliveryInformation=...),
    "delivery information a number": bad_metadata(deliveryInformation=1),
    "delivery information a list": bad_metadata(deliveryInformation=[]),
    "clear delivery information without from": bad_metadata(deliveryInformation={"to": "a.eth"}),
    "huge delivery information": bad_metadata(deliveryInformation="x" * 70_000),
    "hash a number": bad_metadata(messageHash=1),
    "hash too short": bad_metadata(messageHash="0x12"),
    "encrypted hash no hex": bad_metadata(encryptedMessageHash="0x" + "g" * 64),
    "signature a number": bad_metadata(signature=1),
    "signature long": bad_metadata(signature="A" * 300),
    "version a number": bad_metadata(version=1),
    "scheme an object": bad_metadata(encryptionScheme={}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_envelopes_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_envelope(BAD[name])
    with pytest.raises(InvalidInput):
        parse_envelope(json.dumps(BAD[name]))


@pytest.mark.parametrize("text", ["", "null", "[]", '"envelope"', "{"])
def test_no_json_object(text: str) -> None:
    with pytest.raises(ParseError):
        parse_envelope(text)


def test_size_is_bounded() -> None:
    text = canonical_envelope(sealed())
    assert parse_envelope(text.encode(), max_bytes=len(text)).message
    with pytest.raises(TooLarge):
        parse_envelope(text, max_bytes=len(text) - 1)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["message", "metadata", "deliveryInformation", "signature", "messageHash"]), x
            )
        ),
        max_leaves=8,
    )
)
def test_garbage_raises_only_named_errors(value: Any) -> None:
    try:
        envelope = parse_envelope(json.dumps(value))
    except (InvalidInput, ParseError):
        return
    assert not verify_envelope(envelope, ALICE.signing.public)


def test_contents_are_in_no_repr() -> None:
    envelope = sealed()
    assert envelope.message not in repr(envelope)
    assert str(envelope.metadata.signature) not in repr(envelope)
