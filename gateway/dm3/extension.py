"""What a delivery service says of itself and of a recipient before anything is written (DM3-MTP, properties and
profile extension): read from others, strictly where it decides something and leniently elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.dm3.canonical import Json, JsonObject
from gateway.dm3.encryption import SCHEME
from gateway.dm3.layers import VERSION
from gateway.dm3.message import MessageType
from gateway.dm3.sender_rules import SenderRules
from gateway.errors import InvalidInput

MAX_SCHEMES: Final = 16
"""Encryption schemes of one recipient that are kept; ours is kept wherever it stands in the list."""
MAX_SCHEME: Final = 64
"""Characters that are kept of the name of one."""

_SPELLINGS: Final = {kind.value: frozenset({kind}) for kind in MessageType} | {
    "READ_RECEIPT": frozenset({MessageType.READ_OPENED, MessageType.READ_RECEIVED})
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileExtension:
    """What binds a sender. A service that says nothing takes everything."""

    types: frozenset[MessageType] = frozenset(MessageType)
    """NEW is always among them: DM3-MTP does not let a recipient refuse it."""
    schemes: tuple[str, ...] = (SCHEME,)
    """Encryption schemes that the recipient understands, the preferred one first; never empty."""
    rules: SenderRules = field(default_factory=SenderRules)
    max_attachment_bytes: int | None = None
    end_to_end: bool | None = None
    """False when a gateway opens what is written to this recipient; None when the service does not say."""

    @property
    def takes_default_scheme(self) -> bool:
        """The specification's default must be accepted by everybody; some list only others all the same."""
        return SCHEME in self.schemes

    @classmethod
    def from_json(cls, value: Json) -> ProfileExtension:
        """Read an extension in the specification's or the reference's form; raises InvalidInput when it is neither.

        A list of types that is malformed counts as absent, because a service's mistake must not make its people
        unreachable. Rules that cannot be read are a refusal that we would not see coming, so they raise.
        """
        if not isinstance(value, dict):
            raise InvalidInput("the profile extension is not an object")
        rules = value.get("spamFilterRules")
        end_to_end = value.get("endToEnd")
        return cls(
            types=_types(value),
            schemes=_schemes(value),
            rules=SenderRules() if rules is None else SenderRules.from_json(rules),
            max_attachment_bytes=_count(value.get("maxAttachmentBytes")),
            end_to_end=end_to_end if isinstance(end_to_end, bool) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProperties:
    """What a delivery service says of itself, as far as it binds a sender."""

    size_limit: int | None = None
    """Bytes of the largest envelope or layer; None when it does not say."""
    forwards: bool = False
    """Whether it takes layers of the version that we make (gateway.dm3.layers)."""

    @classmethod
    def from_json(cls, value: Json) -> ServiceProperties:
        """Read properties; never raises, because a limit that cannot be read binds nobody."""
        if not isinstance(value, dict):
            return cls()
        forward = value.get("forward")
        version = forward.get("version") if isinstance(forward, dict) else None
        return cls(size_limit=_count(value.get("sizeLimit")) or None, forwards=_count(version) == VERSION)


def read_extension(value: Json) -> ProfileExtension:
    """The extension for somebody who is about to write; never raises.

    What cannot be read binds nobody: the service sees the message and decides. Rules are left out alone, so that
    the types beside them still count.
    """
    if not isinstance(value, dict):
        return ProfileExtension()
    try:
        return ProfileExtension.from_json(value)
    except InvalidInput:
        return ProfileExtension.from_json({**value, "spamFilterRules": None})


def _types(value: JsonObject) -> frozenset[MessageType]:
    """The specification lists what is supported, the reference what is not; both may stand there."""
    supported = _texts(value.get("supportedMessageTypes"))
    if supported is None:
        # The specification's own example spells it so.
        supported = _texts(value.get("supportedMesssageTypes"))
    kinds = _kinds(supported) if supported is not None else frozenset(MessageType)
    refused = _kinds(_texts(value.get("notSupportedMessageTypes")) or [])
    return (kinds - refused) | {MessageType.NEW}


def _kinds(texts: list[str]) -> frozenset[MessageType]:
    return frozenset[MessageType]().union(*(_SPELLINGS.get(text, frozenset()) for text in texts))


def _schemes(value: JsonObject) -> tuple[str, ...]:
    listed = _texts(value.get("encryptionScheme")) or _texts(value.get("encryptionAlgorithm")) or [SCHEME]
    kept = [each[:MAX_SCHEME] for each in listed[:MAX_SCHEMES]]
    return (*kept, SCHEME) if SCHEME in listed[MAX_SCHEMES:] else tuple(kept)


def _count(value: Json) -> int | None:
    """A whole number from 0 on, also as a JavaScript double; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _texts(value: Json) -> list[str] | None:
    """A list of texts, or None for anything else."""
    if not isinstance(value, list):
        return None
    texts = [each for each in value if isinstance(each, str)]
    return texts if len(texts) == len(value) else None
