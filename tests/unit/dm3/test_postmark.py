"""Postmarks: the reference's bytes, our extended form, and whose signature over what."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.dm3.canonical import sha256_hex, stringify
from gateway.dm3.encryption import SealingKey, decrypt, encrypt
from gateway.dm3.envelope import DeliveryInformation, parse_envelope
from gateway.dm3.keys import encryption_pair, signing_pair
from gateway.dm3.postmark import make_postmark, open_postmark, postmark_hash, verify_postmark
from gateway.errors import DecryptionFailed, InvalidInput
from tests.unit.dm3.vectors import load, pair

FILES = [load("envelope_and_postmark"), load("envelope_npm171_variant")]
NOW = 1727000000123
RECIPIENT = encryption_pair(b"\x41" * 32)
SEALING = SealingKey.towards(RECIPIENT.public)
SERVICE = signing_pair(b"\x42" * 32)
INFORMATION = DeliveryInformation("bob.eth", "alice.eth", "to the back door")
ENVELOPE = parse_envelope({"message": "sealed", "metadata": {"deliveryInformation": "sealed"}})
OTHER = parse_envelope({"message": "sealed!", "metadata": {"deliveryInformation": "sealed"}})


@pytest.mark.parametrize("vectors", FILES, ids=["develop", "npm"])
def test_the_bare_form_has_the_reference_bytes(vectors: dict[str, Any]) -> None:
    expected = vectors["expected"]["postmark"]
    receiver = pair(vectors["inputs"]["receiver"]["encryptionKeyPair"])
    service = pair(vectors["inputs"]["deliveryServiceKeys"]["signingKeyPair"])
    envelope = parse_envelope(vectors["expected"]["encryptedEnvelop"])
    nonce = bytes.fromhex(json.loads(expected["encryptedString"])["nonce"][2:])
    sealing = SealingKey.towards(receiver.public, pair(expected["ephemeral"]))
    assert stringify(envelope.message) == expected["messageHashPreimage"]
    assert postmark_hash(envelope) == expected["decrypted"]["messageHash"]
    made = make_postmark(envelope, None, sealing, service, NOW, nonce=nonce)
    assert made == expected["encryptedString"]
    postmark = open_postmark(receiver, made)
    assert postmark.raw == expected["decrypted"]
    assert postmark.information is None
    unsigned = {key: value for key, value in postmark.raw.items() if key != "signature"}
    assert sha256_hex(stringify(unsigned)) == expected["signedPayload"]
    assert verify_postmark(postmark, envelope, service.public) is expected["verifies"]


def test_the_extended_form() -> None:
    sealed = make_postmark(ENVELOPE, INFORMATION, SEALING, SERVICE, NOW)
    raw = json.loads(decrypt(RECIPIENT, sealed))
    assert raw.keys() == {"messageHash", "incommingTimestamp", "incomingTimestamp", "deliveryInformation", "signature"}
    assert raw["incommingTimestamp"] == raw["incomingTimestamp"] == NOW
    postmark = open_postmark(RECIPIENT, sealed)
    assert postmark.information == INFORMATION
    assert postmark.incoming_timestamp == NOW
    assert verify_postmark(postmark, ENVELOPE, SERVICE.public)


@pytest.mark.parametrize("information", [None, INFORMATION], ids=["bare", "extended"])
def test_whose_and_about_what(information: DeliveryInformation | None) -> None:
    postmark = open_postmark(RECIPIENT, make_postmark(ENVELOPE, information, SEALING, SERVICE, NOW))
    assert verify_postmark(postmark, ENVELOPE, SERVICE.public)
    assert not verify_postmark(postmark, ENVELOPE, signing_pair().public)
    assert not verify_postmark(postmark, OTHER, SERVICE.public)
    assert not verify_postmark(replace(postmark, message_hash=postmark_hash(OTHER)), ENVELOPE, SERVICE.public)


@pytest.mark.parametrize("field", ["incommingTimestamp", "incomingTimestamp", "deliveryInformation", "messageHash"])
def test_every_field_is_signed(field: str) -> None:
    raw = json.loads(decrypt(RECIPIENT, make_postmark(ENVELOPE, INFORMATION, SEALING, SERVICE, NOW)))
    raw[field] = {
        "incommingTimestamp": NOW + 1,
        "incomingTimestamp": NOW + 1,
        "deliveryInformation": {"to": "bob.eth", "from": "mallory.eth"},
        "messageHash": postmark_hash(OTHER),
    }[field]
    changed = open_postmark(RECIPIENT, encrypt(RECIPIENT.public, stringify(raw)))
    assert not verify_postmark(changed, ENVELOPE, SERVICE.public)
    assert not verify_postmark(changed, OTHER, SERVICE.public)


def test_the_specifications_spelling_alone_is_read() -> None:
    raw: Any = {"messageHash": postmark_hash(ENVELOPE), "incomingTimestamp": 5, "signature": "x"}
    assert open_postmark(RECIPIENT, encrypt(RECIPIENT.public, stringify(raw))).incoming_timestamp == 5


GOOD = {"messageHash": "0x" + "0" * 64, "incommingTimestamp": 1, "signature": "x"}


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {},
        GOOD | {"messageHash": "0x"},
        GOOD | {"messageHash": None},
        GOOD | {"incommingTimestamp": "1"},
        GOOD | {"incommingTimestamp": -1},
        GOOD | {"signature": None},
        GOOD | {"signature": "A" * 1000},
        GOOD | {"deliveryInformation": "sealed"},
        GOOD | {"deliveryInformation": {"to": "a.eth"}},
    ],
)
def test_bad_postmarks(raw: Any) -> None:
    with pytest.raises(InvalidInput):
        open_postmark(RECIPIENT, encrypt(RECIPIENT.public, stringify(raw)))


def test_sealed_to_somebody_else() -> None:
    with pytest.raises(DecryptionFailed):
        open_postmark(encryption_pair(), make_postmark(ENVELOPE, INFORMATION, SEALING, SERVICE, NOW))
