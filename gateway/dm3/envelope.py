"""The sealed envelope: an encrypted message, and what a delivery service must know to deliver it.

DM3-MTP, encryption envelope data structure. Two generations of the reference are about, which name the hash in the
metadata differently and each refuse the other's envelopes; the specification's own form has no hash at all. All
three are read; which one is written is chosen by ``Dialect``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.dm3.canonical import Json, JsonObject, members, object_of, parse_object, sha256_hex, stringify
from gateway.dm3.delivery_information import DeliveryInformation, parse_delivery_information
from gateway.dm3.encoding import hash_text
from gateway.dm3.encryption import SCHEME, Ephemeral, decrypt_by_any, encrypt, parse_payload
from gateway.dm3.fields import optional_text, required_object, required_text
from gateway.dm3.keys import KeyPair, ServiceKeys
from gateway.dm3.message import Message, message_hash, message_to_json
from gateway.dm3.signing import sign, verify_canonical
from gateway.errors import InvalidInput
from gateway.ids import EnvelopeId, EthAddress, MessageHash

__all__ = [
    "MAX_ENVELOPE_BYTES",
    "VERSION",
    "DeliveryInformation",
    "Dialect",
    "Envelope",
    "EphemeralPair",
    "Metadata",
    "canonical_envelope",
    "envelope_hashes",
    "envelope_id",
    "envelope_to_json",
    "hash_of_encrypted",
    "open_delivery_information",
    "parse_envelope",
    "picked_up",
    "seal",
    "verify_envelope",
]

VERSION: Final = "v1"
"""Of the protocol, as both generations of the reference write it."""
MAX_ENVELOPE_BYTES: Final = 64 * 2**20
MAX_DELIVERY_INFORMATION_BYTES: Final = 64 * 2**10
_MAX_LABEL: Final = 256


class Dialect(StrEnum):
    """Which clients and services understand the metadata; each refuses fields that it does not know."""

    DEVELOP = "develop"
    """Reference since September 2024: ``messageHash`` of the plain message."""
    NPM = "npm"
    """Published libraries 1.7.1: ``encryptedMessageHash`` of the encrypted message."""
    SPEC = "spec"
    """DM3-MTP as written: no hash."""


@dataclass(frozen=True, slots=True)
class EphemeralPair:
    """Randomness of one envelope, fixed only to reproduce test vectors."""

    message: Ephemeral
    information: Ephemeral


@dataclass(frozen=True, slots=True)
class Metadata:
    """Metadata of an envelope; ``raw`` is the object as received, unknown fields included, which is what is signed."""

    delivery_information: str | DeliveryInformation
    """Sealed to the delivery service; in the clear only after that service has opened it."""
    message_hash: MessageHash | None
    """Newer clients: hash of the plain message."""
    encrypted_message_hash: MessageHash | None
    """Older clients: hash of the encrypted message."""
    signature: str | None = field(repr=False)
    scheme: str | None
    version: str | None
    raw: JsonObject = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as submitted, or (with postmark) as a delivery service keeps it."""

    message: str = field(repr=False)
    """The encrypted message, opaque to everyone but its recipient."""
    metadata: Metadata
    postmark: str | None = field(default=None, repr=False)
    """Sealed to the recipient by the delivery service."""
    message_text: str = field(init=False, repr=False, compare=False)
    """Canonical JSON of ``message``, a text with quotes and escapes: several hashes are over it."""
    metadata_text: str = field(init=False, repr=False, compare=False)
    """Canonical JSON of the metadata as received."""
    signed_text: str = field(init=False, repr=False, compare=False)
    """The same without the signature, which is over it."""

    def __post_init__(self) -> None:
        metadata = members(self.metadata.raw)
        object.__setattr__(self, "message_text", stringify(self.message))
        object.__setattr__(self, "metadata_text", object_of(metadata.values()))
        metadata.pop("signature", None)
        object.__setattr__(self, "signed_text", object_of(metadata.values()))


def seal(
    message: Message,
    recipient_encryption_key: bytes,
    service_encryption_key: bytes,
    sender_signing_key: KeyPair,
    *,
    dialect: Dialect = Dialect.DEVELOP,
    delivery_instruction: str | None = None,
    ephemeral: EphemeralPair | None = None,
) -> Envelope:
    """Put a signed message into an envelope for one recipient at one delivery service.

    The message is sealed to the recipient's 32-byte key, names and ``delivery_instruction`` to the service's; the
    metadata is signed by the sender's profile key. Raises InvalidInput for a key that cannot be one.
    """
    sealed = encrypt(
        recipient_encryption_key,
        stringify(message_to_json(message)),
        ephemeral=ephemeral.message if ephemeral is not None else None,
    )
    information = DeliveryInformation(message.to, message.from_, delivery_instruction)
    metadata: JsonObject = {
        "encryptionScheme": SCHEME,
        "deliveryInformation": encrypt(
            service_encryption_key,
            stringify(information.to_json()),
            ephemeral=ephemeral.information if ephemeral is not None else None,
        ),
        "version": VERSION,
    }
    if dialect is Dialect.DEVELOP:
        metadata["messageHash"] = message_hash(message)
    elif dialect is Dialect.NPM:
        metadata["encryptedMessageHash"] = hash_of_encrypted(sealed)
    metadata["signature"] = sign(sender_signing_key, stringify(metadata))
    return parse_envelope({"message": sealed, "metadata": metadata})


def parse_envelope(envelope: bytes | str | JsonObject, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> Envelope:
    """Read an envelope in any dialect, from JSON text or from an object that parse_json made.

    Raises ParseError or TooLarge for text that is no bounded JSON object, InvalidInput for one that is no envelope.
    """
    if not isinstance(envelope, dict):
        envelope = parse_object(envelope, max_bytes=max_bytes)
    return Envelope(
        message=required_text(envelope, "message"),
        metadata=_parse_metadata(required_object(envelope.get("metadata"), "metadata")),
        postmark=optional_text(envelope, "postmark"),
    )


def envelope_to_json(envelope: Envelope) -> JsonObject:
    """The JSON object of the envelope; metadata exactly as received."""
    value: JsonObject = {"message": envelope.message, "metadata": envelope.metadata.raw}
    if envelope.postmark is not None:
        value["postmark"] = envelope.postmark
    return value


def canonical_envelope(envelope: Envelope) -> str:
    """Canonical text of the envelope; its UTF-8 length is what size limits count."""
    return _canonical(envelope.message_text, envelope.metadata_text, envelope.postmark)


def envelope_id(recipient: EthAddress, envelope: Envelope) -> EnvelopeId:
    """The same for every submission of the same envelope to the same mailbox; a postmark does not count."""
    content = _canonical(envelope.message_text, envelope.metadata_text, None)
    return EnvelopeId(hashlib.sha256(f"{recipient}\n{content}".encode()).hexdigest())


def envelope_hashes(envelope: Envelope) -> tuple[MessageHash, MessageHash]:
    """What clients of both generations acknowledge and refer to: (messageHash, encryptedMessageHash).

    A missing one is a copy of the other, so that a reference made by a client of one generation is found by the
    other's. An envelope without any has the hash that an older client would have given it.
    """
    metadata = envelope.metadata
    known = metadata.message_hash or metadata.encrypted_message_hash
    if known is None:
        known = hash_of_encrypted(envelope.message)
    return metadata.message_hash or known, metadata.encrypted_message_hash or known


def hash_of_encrypted(message: str) -> MessageHash:
    """``encryptedMessageHash`` of an encrypted message: over its canonical JSON, so with quotes and escapes."""
    return MessageHash(sha256_hex(stringify(message)))


def verify_envelope(envelope: Envelope, sender_public_signing_key: bytes) -> bool:
    """True when the sender's profile key signed the metadata as submitted.

    False for an envelope that was picked up: its delivery service has replaced the signed, sealed delivery
    information by the clear one.
    """
    metadata = envelope.metadata
    if metadata.signature is None:
        return False
    return verify_canonical(sender_public_signing_key, envelope.signed_text, metadata.signature)


def open_delivery_information(envelope: Envelope, service_keys: ServiceKeys) -> DeliveryInformation:
    """To whom and from whom, as the sender claims. Raises DecryptionFailed or InvalidInput.

    Clear delivery information is refused: it could be anybody's.
    """
    sealed = envelope.metadata.delivery_information
    if isinstance(sealed, DeliveryInformation):
        raise InvalidInput("the delivery information is not encrypted")
    payload = parse_payload(sealed, max_bytes=MAX_DELIVERY_INFORMATION_BYTES)
    return parse_delivery_information(decrypt_by_any(service_keys.opening, payload))


def picked_up(envelope: Envelope, information: DeliveryInformation, postmark: str) -> str:
    """The form that clients pick up, as canonical text: clear delivery information, both hashes, postmark.

    Both hashes, because a newer client without ``messageHash`` sends acknowledgements that its server refuses.
    """
    message_hash, encrypted_message_hash = envelope_hashes(envelope)
    metadata: JsonObject = {
        **envelope.metadata.raw,
        "deliveryInformation": information.to_json(),
        "messageHash": message_hash,
        "encryptedMessageHash": encrypted_message_hash,
    }
    return _canonical(envelope.message_text, stringify(metadata), postmark)


def _canonical(message_text: str, metadata_text: str, postmark: str | None) -> str:
    """What stringify makes of an envelope with these canonical parts; the keys stand in their order already."""
    ending = "" if postmark is None else f',"postmark":{stringify(postmark)}'
    return f'{{"message":{message_text},"metadata":{metadata_text}{ending}}}'


def _parse_metadata(raw: JsonObject) -> Metadata:
    return Metadata(
        delivery_information=_parse_information(raw.get("deliveryInformation")),
        message_hash=_optional_hash(raw, "messageHash"),
        encrypted_message_hash=_optional_hash(raw, "encryptedMessageHash"),
        signature=optional_text(raw, "signature", max_length=_MAX_LABEL),
        scheme=optional_text(raw, "encryptionScheme", max_length=_MAX_LABEL),
        version=optional_text(raw, "version", max_length=_MAX_LABEL),
        raw=raw,
    )


def _parse_information(value: Json) -> str | DeliveryInformation:
    if isinstance(value, str):
        if len(value) > MAX_DELIVERY_INFORMATION_BYTES:
            raise InvalidInput(f"deliveryInformation is longer than {MAX_DELIVERY_INFORMATION_BYTES} characters")
        return value
    return DeliveryInformation.from_json(required_object(value, "deliveryInformation"))


def _optional_hash(raw: JsonObject, key: str) -> MessageHash | None:
    value = raw.get(key)
    return None if value is None else MessageHash(hash_text(value, key))
