"""One DM3 message: what it says, and the signature of its sender (DM3-MTP, message data structure).

The reference signs the canonical text of the message without its signature, with the Ed25519 key of the sender's
profile; its hash covers the signature too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from gateway.dm3.assurance import FIELD as ASSURANCE
from gateway.dm3.assurance import SenderAssurance, assurance_to_json, read_assurance
from gateway.dm3.canonical import Json, JsonObject, parse_object, sha256_hex, stringify
from gateway.dm3.encoding import hash_text
from gateway.dm3.fields import name_text, optional_text, required_object, required_text, timestamp_ms
from gateway.dm3.keys import KeyPair
from gateway.dm3.signing import sign, verify_object
from gateway.errors import InvalidInput
from gateway.ids import MessageHash

MAX_MESSAGE_BYTES: Final = 64 * 2**20
MAX_ATTACHMENTS: Final = 1_000
_MAX_TYPE: Final = 64


class MessageType(StrEnum):
    """Kinds of message that the reference knows."""

    NEW = "NEW"
    DELETE_REQUEST = "DELETE_REQUEST"
    EDIT = "EDIT"
    REPLY = "REPLY"
    REACTION = "REACTION"
    READ_OPENED = "READ_OPENED"
    READ_RECEIVED = "READ_RECEIVED"
    RESEND_REQUEST = "RESEND_REQUEST"


_SPELLINGS: Final = {kind.value: kind for kind in MessageType} | {"READ_RECEIPT": MessageType.READ_OPENED}
"""The specification's READ_RECEIPT says what the reference splits in two; opened is the stronger claim."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A ``data:`` URI or a link, with the file name if its sender gave one."""

    data: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, signed unless ``signature`` is empty.

    ``to`` and ``from_`` are as the writer spelt them: normalise before comparing. ``attachments`` tells "none"
    (field absent) from "an empty list" because the signature does. ``raw_type`` is the type on the wire; where we
    do not know it, ``type`` is NEW, so that its text is shown and not lost.
    """

    to: str
    from_: str
    type: MessageType
    timestamp: int
    """Milliseconds since the epoch."""
    text: str | None = field(default=None, repr=False)
    attachments: tuple[Attachment, ...] | None = field(default=None, repr=False)
    reference: MessageHash | None = None
    """Hash of the message that this one edits, answers, reacts to or acknowledges."""
    reply_instruction: str | None = None
    """Opaque to everyone but its writer; echoed as delivery instruction in answers."""
    assurance: SenderAssurance | None = None
    """How sure a gateway is of the bridged person in whose name it signed; None for everybody else."""
    signature: str = field(default="", repr=False)
    raw_type: str = ""
    _received: JsonObject | None = field(default=None, init=False, repr=False, compare=False)
    """The object that was parsed: signatures are over it and not over what we understood of it."""

    @property
    def known(self) -> bool:
        """False for a type that only a newer client understands."""
        return not self.raw_type or self.raw_type in _SPELLINGS


def sign_message(draft: Message, signing_key: KeyPair) -> Message:
    """The draft with its sender's signature; a signature that was there is replaced."""
    unsigned = replace(draft, signature="")
    return replace(draft, signature=sign(signing_key, stringify(_build(unsigned))))


def verify_message(message: Message, public_key: bytes) -> bool:
    """True when the signature is by ``public_key`` over everything received, fields unknown to us included.

    Whose key that is, is for the caller to know: it must be the one in the profile of ``message.from_``.
    """
    content = message_to_json(message)
    return verify_object(public_key, {key: content[key] for key in content if key != "signature"}, message.signature)


def message_hash(message: Message) -> MessageHash:
    """SHA-256 of the canonical signed message: ``metadata.messageHash`` of its envelope."""
    return MessageHash(sha256_hex(stringify(message_to_json(message))))


def message_to_json(message: Message) -> JsonObject:
    """The JSON object of the message; of a parsed message, exactly what was parsed."""
    if message._received is not None:
        return message._received
    return _build(message)


def parse_message(text: bytes | str, *, max_bytes: int = MAX_MESSAGE_BYTES) -> Message:
    """Read a decrypted message in the reference's or the specification's form.

    Raises ParseError or TooLarge for text that is no bounded JSON object, InvalidInput for one that is no message.
    Does not check the signature.
    """
    value = parse_object(text, max_bytes=max_bytes)
    metadata = required_object(value.get("metadata"), "metadata")
    raw_type = required_text(metadata, "type", max_length=_MAX_TYPE)
    reference = optional_text(metadata, "referenceMessageHash", max_length=_MAX_TYPE + 2)
    message = Message(
        to=name_text(metadata, "to"),
        from_=name_text(metadata, "from"),
        type=_SPELLINGS.get(raw_type, MessageType.NEW),
        timestamp=timestamp_ms(metadata, "timestamp"),
        text=optional_text(value, "message"),
        attachments=_parse_attachments(value.get("attachments")),
        reference=MessageHash(hash_text(reference, "referenceMessageHash")) if reference else None,
        reply_instruction=_opaque(metadata.get("replyDeliveryInstruction")),
        assurance=read_assurance(metadata.get(ASSURANCE)),
        signature=required_text(value, "signature", max_length=256),
        raw_type=raw_type,
    )
    # Set past the constructor, so that dataclasses.replace() of a received message drops what no longer fits.
    object.__setattr__(message, "_received", value)
    return message


def _opaque(value: Json) -> str | None:
    """It is for its writer alone: what is no text cannot be echoed, and the message is worth reading all the same."""
    return value if isinstance(value, str) else None


def _parse_attachments(value: Json) -> tuple[Attachment, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise InvalidInput("attachments is not a list")
    if len(value) > MAX_ATTACHMENTS:
        raise InvalidInput(f"more than {MAX_ATTACHMENTS} attachments")
    return tuple(_parse_attachment(item) for item in value)


def _parse_attachment(item: Json) -> Attachment:
    if isinstance(item, str):
        return Attachment(item)
    fields = required_object(item, "an attachment")
    return Attachment(required_text(fields, "data"), optional_text(fields, "name", max_length=4_096))


def _build(message: Message) -> JsonObject:
    metadata: JsonObject = {
        "to": message.to,
        "from": message.from_,
        "timestamp": message.timestamp,
        "type": message.raw_type or message.type.value,
    }
    if message.reference is not None:
        metadata["referenceMessageHash"] = message.reference
    if message.reply_instruction is not None:
        metadata["replyDeliveryInstruction"] = message.reply_instruction
    if message.assurance is not None:
        metadata[ASSURANCE] = assurance_to_json(message.assurance)
    value: JsonObject = {"metadata": metadata}
    if message.text is not None:
        value["message"] = message.text
    if message.attachments is not None:
        value["attachments"] = [_build_attachment(attachment) for attachment in message.attachments]
    if message.signature:
        value["signature"] = message.signature
    return value


def _build_attachment(attachment: Attachment) -> JsonObject:
    if attachment.name is None:
        return {"data": attachment.data}
    return {"data": attachment.data, "name": attachment.name}
