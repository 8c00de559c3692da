"""The postmark: a delivery service's signed statement of when it took an envelope, sealed to the recipient.

The reference reads ``incommingTimestamp`` (its spelling); DM3-MTP names ``incomingTimestamp`` and a copy of the
delivery information. Both spellings are written, all under one signature, and either is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.dm3.canonical import JsonObject, members, object_of, parse_object, sha256_hex, stringify
from gateway.dm3.delivery_information import DeliveryInformation
from gateway.dm3.encoding import hash_text, to_hex
from gateway.dm3.encryption import SealingKey, decrypt
from gateway.dm3.envelope import Envelope
from gateway.dm3.eth import eip191_hash
from gateway.dm3.fields import required_object, required_text, timestamp_ms
from gateway.dm3.keys import KeyPair
from gateway.dm3.signing import sign, verify
from gateway.errors import InvalidInput, ParseError, TooLarge
from gateway.ids import MessageHash

_MAX_BYTES: Final = 128 * 2**10


@dataclass(frozen=True, slots=True)
class Postmark:
    """An opened postmark; ``raw`` is what its signature covers, signature included."""

    message_hash: MessageHash
    incoming_timestamp: int
    """Milliseconds since the epoch, by the service's clock."""
    information: DeliveryInformation | None
    signature: str = field(repr=False)
    raw: JsonObject = field(repr=False, compare=False)


def make_postmark(
    envelope: Envelope,
    information: DeliveryInformation | None,
    sealing: SealingKey,
    service_signing_key: KeyPair,
    now_ms: int,
    *,
    nonce: bytes | None = None,
) -> str:
    """Sign a postmark for ``envelope`` and seal it towards the recipient.

    ``information`` None gives the bare form of the reference; ``nonce`` is given only to reproduce test vectors.
    """
    value: JsonObject = {"messageHash": postmark_hash(envelope), "incommingTimestamp": now_ms}
    if information is not None:
        value["incomingTimestamp"] = now_ms
        value["deliveryInformation"] = information.to_json()
    texts = members(value)
    signature = sign(service_signing_key, sha256_hex(object_of(texts.values())))
    # No other member sorts behind this one.
    text = object_of([*texts.values(), f'"signature":{stringify(signature)}'])
    return sealing.seal(text, nonce=nonce).to_text()


def postmark_hash(envelope: Envelope) -> MessageHash:
    """The reference's hash: ERC-191 over the encrypted message as a JSON text, so with its quotes and escapes."""
    return MessageHash(to_hex(eip191_hash(envelope.message_text.encode("utf-8"))))


def open_postmark(key: KeyPair, sealed: str) -> Postmark:
    """Decrypt and read; raises DecryptionFailed or InvalidInput. Does not check the signature."""
    clear = decrypt(key, sealed, max_bytes=2 * _MAX_BYTES)
    try:
        value = parse_object(clear, max_bytes=_MAX_BYTES, max_depth=4, max_items=64)
    except (ParseError, TooLarge) as error:
        raise InvalidInput(f"postmark: {error.detail}") from None
    information = value.get("deliveryInformation")
    spelling = "incommingTimestamp" if "incommingTimestamp" in value else "incomingTimestamp"
    return Postmark(
        message_hash=MessageHash(hash_text(value.get("messageHash"), "messageHash")),
        incoming_timestamp=timestamp_ms(value, spelling),
        information=(
            None
            if information is None
            else DeliveryInformation.from_json(required_object(information, "deliveryInformation"))
        ),
        signature=required_text(value, "signature", max_length=256),
        raw=value,
    )


def verify_postmark(postmark: Postmark, envelope: Envelope, service_public_signing_key: bytes) -> bool:
    """True when the service signed this postmark and it is about this envelope."""
    if postmark.message_hash != postmark_hash(envelope):
        return False
    signed: JsonObject = {key: postmark.raw[key] for key in postmark.raw if key != "signature"}
    return verify(service_public_signing_key, _signed_text(signed), postmark.signature)


def _signed_text(value: JsonObject) -> str:
    """Unlike messages and envelopes, a postmark is signed over the text of its hash."""
    return sha256_hex(stringify(value))
