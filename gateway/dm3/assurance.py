"""How sure a gateway is that the person of another network, in whose name it signs, wrote a message.

The signature of a bridged person's message is the gateway's: it says nothing about what came over the other network.
DM3-MTP (message metadata structure) leaves room for more metadata, and this is ours: ``senderAssurance``. Messengers of
the reference keep unknown metadata, and signature and hash cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.dm3.canonical import Json, JsonObject

FIELD: Final = "senderAssurance"
"""Name in the metadata of a message."""
MAX_WORD: Final = 64
MAX_DOMAIN: Final = 255
MAX_REASON: Final = 500
MAX_WORDS: Final = 16


class Confidence(StrEnum):
    """How sure."""

    PROVED = "proved"
    """By what the network has for it, in full."""
    WEAK = "weak"
    """Something speaks for it, and a forger might have got that, too."""
    NONE = "none"
    """Nothing speaks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderAssurance:
    """What a network's adapter found out about the sender of one message."""

    confidence: Confidence
    by: tuple[str, ...] = ()
    """What speaks for the sender, best first, in the network's own words: ``dkim``, ``login``; empty for nothing."""
    domain: str = ""
    """Whose word it is, where it is a domain's."""
    checks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What each check found: ``{"dmarc": "pass"}``."""
    reason: str = ""
    """For people: why it is not more. A sentence, shown once in a conversation unless the sender is proved."""


def assurance_to_json(assurance: SenderAssurance) -> JsonObject:
    """The value in a message; what is empty is left out."""
    value: JsonObject = {"confidence": assurance.confidence.value, "by": list(assurance.by)}
    if assurance.domain:
        value["domain"] = assurance.domain
    if assurance.checks:
        value["checks"] = dict(assurance.checks)
    if assurance.reason:
        value["reason"] = assurance.reason
    return value


def read_assurance(value: Json) -> SenderAssurance | None:
    """Read the field of a message; None for none and for what is not like it, because the message counts all the same.

    It is worth as much as the gateway that signed the message.
    """
    if not isinstance(value, dict):
        return None
    confidence, by, checks = value.get("confidence"), value.get("by"), value.get("checks", {})
    if confidence not in list(Confidence) or not isinstance(by, list) or not isinstance(checks, dict):
        return None
    words = [each for each in by if isinstance(each, str) and len(each) <= MAX_WORD]
    found = {
        key: each
        for key, each in checks.items()
        if isinstance(each, str) and len(key) <= MAX_WORD and len(each) <= MAX_WORD
    }
    if len(words) != len(by) or len(words) > MAX_WORDS or len(found) != len(checks) or len(found) > MAX_WORDS:
        return None
    domain, reason = value.get("domain", ""), value.get("reason", "")
    if not isinstance(domain, str) or not isinstance(reason, str) or len(domain) > MAX_DOMAIN:
        return None
    return SenderAssurance(
        confidence=Confidence(confidence), by=tuple(words), domain=domain, checks=found, reason=reason[:MAX_REASON]
    )
