"""The values that cross the door between the gateway and an adapter.

The DM3 message is the neutral form: both directions speak of its types, text, attachments and references, and
an adapter never sees keys, envelopes or profiles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.dm3.assurance import SenderAssurance
from gateway.dm3.message import Attachment, MessageType
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId

NOTICE_MARK: Final = "[gateway] "
"""Begins what the gateway says in somebody's name without their doing; nobody answers it automatically."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the foreign network."""

    canonical_id: CanonicalId
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """The earlier message that a reply, edit, reaction, deletion or receipt is about."""

    message_hash: MessageHash
    native_id: NativeId | None
    """What this network calls it; None when it never passed here."""
    others: tuple[NativeId, ...] = ()
    """Further native messages that it was shown as (`Delivered.others`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One event of a foreign network on its way to an ENS name."""

    sender: Person
    recipient: EnsName
    native_id: NativeId
    """The network's own id of the event: the same id for the same recipient is taken once, however often it comes."""
    fingerprint: str = ""
    """Of the content, in networks whose ids come again, as those of XMPP may with every new stream (RFC 6120, 8.1.3).

    There the same id with another fingerprint, or after an hour, is another message, and what the id names from then
    on. "" elsewhere.
    """
    sent_at: int
    """Milliseconds since the epoch, as the network tells it."""
    type: MessageType = MessageType.NEW
    text: str = field(default="", repr=False)
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    reference: NativeId | None = None
    automatic: bool = False
    """True for auto-replies and lists: they never cause an answer of ours."""
    assurance: SenderAssurance | None = None
    """How sure the network is of the sender, where that differs from one message to the next.

    The recipient's client gets it; without it nothing is said, as in networks whose server vouches for everybody.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for somebody of the foreign network."""

    key: str
    """The same over every retry, at most 64 hex digits: the network's idempotency key where it has one."""
    recipient: CanonicalId
    recipient_name: EnsName
    """The recipient's own sub-name, as the sender wrote it."""
    sender: EnsName
    verified: bool
    """True when the sender's profile signature over envelope and message was checked."""
    type: MessageType
    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = field(repr=False)
    message_hash: MessageHash
    sent_at: int
    """Milliseconds since the epoch, as the sender claims."""
    reference: Reference | None = None
    first: bool = False
    """True for the first message from this sender to this person, who is then told that the gateway can read it."""
    automatic: bool = False
    """True when nobody wrote this by hand (a failure notice of the gateway): never answer it automatically."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The network took the message and is responsible for it now."""

    native_id: NativeId
    others: tuple[NativeId, ...] = ()
    """Ids of further native messages, when it did not fit into one."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: the lane waits and the same delivery comes again."""

    reason: str
    after: float | None = None
    """Seconds that the network asked us to wait; None for the usual back-off."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the sender is told the reason, in words for people."""

    reason: str


Outcome = Delivered | Retry | Rejected


class DeliveryState(StrEnum):
    """How far a message from the foreign network has come."""

    WAITING = "waiting"
    """It could not be handed over yet and is tried again; the reason says why."""
    SENT = "sent"
    """A delivery service of the recipient keeps it, or the first of the relays that it goes through."""
    DELIVERED = "delivered"
    """The recipient's client has it (READ_RECEIVED)."""
    OPENED = "opened"
    """The recipient has seen it (READ_OPENED)."""
    FAILED = "failed"
    """It will not arrive; the reason says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """News about a message that an adapter submitted earlier."""

    native_id: NativeId
    sender: CanonicalId
    recipient: EnsName
    state: DeliveryState
    reason: str = ""
    """A sentence for people: for FAILED why it will not arrive, for WAITING and SENT why it may not be seen yet."""
    automatic: bool = False
    """As in the `Outgoing` this is about: a failed auto-reply is not reported to anybody."""
