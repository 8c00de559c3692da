"""A report of spam: what a recipient says about an envelope, signed by the delivery service that took it.

DM3's white paper lets senders stake a deposit and lose it when they send spam; who decides that is outside of the
protocol. A report is the evidence that such a place gets: canonical JSON, signed as messages are (ed25519 over the
text without the signature), so that anybody can check it with the key that the service publishes in ENS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.dm3.canonical import JsonObject, stringify
from gateway.dm3.eth import parse_address
from gateway.dm3.fields import name_text, required_text, timestamp_ms
from gateway.dm3.keys import KeyPair
from gateway.dm3.signing import sign, verify
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EnvelopeId, EthAddress

_ID: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamReport:
    """One recipient's word about one envelope of a verified sender."""

    service: EnsName
    """The delivery service that vouches: it verified the sender's signature when it took the envelope."""
    reporter: EnsName
    sender: EnsName
    sender_address: EthAddress
    """Whose deposit it is about: the address whose profile signed the envelope."""
    envelope: EnvelopeId
    """Holds the recipient's address and the whole envelope in its hash; the same report twice has the same id."""
    reported_at: int
    """Milliseconds since the epoch."""

    def to_json(self) -> JsonObject:
        """The form that is signed."""
        return {
            "service": self.service,
            "reporter": self.reporter,
            "sender": self.sender,
            "senderAddress": self.sender_address,
            "envelopeId": self.envelope,
            "reportedAt": self.reported_at,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> SpamReport:
        """Read a report, signed or not; raises InvalidInput."""
        envelope = required_text(value, "envelopeId", max_length=64)
        if not _ID.match(envelope):
            raise InvalidInput("envelopeId is no id of an envelope")
        return cls(
            service=EnsName(name_text(value, "service")),
            reporter=EnsName(name_text(value, "reporter")),
            sender=EnsName(name_text(value, "sender")),
            sender_address=parse_address(required_text(value, "senderAddress", max_length=42)),
            envelope=EnvelopeId(envelope),
            reported_at=timestamp_ms(value, "reportedAt"),
        )


def sign_report(report: SpamReport, service_signing_key: KeyPair) -> JsonObject:
    """The report with its signature: what is sent."""
    value = report.to_json()
    return {**value, "signature": sign(service_signing_key, stringify(value))}


def verify_report(value: JsonObject, service_public_signing_key: bytes) -> bool:
    """True when the service signed everything that stands in ``value``; never raises for bad input of a stranger."""
    signature = value.get("signature")
    if not isinstance(signature, str):
        return False
    signed: JsonObject = {key: value[key] for key in value if key != "signature"}
    return verify(service_public_signing_key, stringify(signed), signature)
