"""Our own delivery service as the bridge sees it: what it hands to itself goes past HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.dm3.canonical import JsonObject
from gateway.dm3.envelope import Envelope
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ids import EnsName
from gateway.store.mailbox import AcceptEnvelope


class LocalRelay(Protocol):
    """The relay of this gateway, for recipients who use it too."""

    async def extension(self, name: EnsName) -> JsonObject:
        """The profile extension of a recipient; UnknownRecipient for a name that does not receive here."""

    async def prepare(self, envelope: Envelope) -> AcceptEnvelope:
        """Check and stamp an envelope; the caller commits, and calls `accepted` then."""

    def accepted(self, op: AcceptEnvelope) -> None:
        """An envelope that was prepared is on disk."""


@dataclass(frozen=True, slots=True)
class LocalService:
    """Our own delivery service: its name, profile and relay."""

    name: EnsName
    profile: DeliveryServiceProfile
    relay: LocalRelay
