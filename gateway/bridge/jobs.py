"""The kinds of work in the lanes, and how they are written into the queue."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway.dm3.message import Attachment, MessageType
from gateway.errors import InvalidInput
from gateway.ids import CanonicalId, EnsName, LaneKey, MessageHash, NativeId, Network
from gateway.sdk.delivery import StatusReport
from gateway.sdk.events import NativeEvent
from gateway.store.identities import Identity, NewIdentity
from gateway.store.jobs import NewJob, lane_key
from gateway.store.mailbox import StoredEnvelope


class JobKind(StrEnum):
    """What a job is for."""

    INBOUND = "inbound"
    """An envelope of this relay for a bridged person; the envelope's id is on the job."""
    OUTBOUND = "outbound"
    """A message of a bridged person for an ENS name."""
    REPORT = "report"
    """News for a bridged person about a message of theirs."""
    NOTICE = "notice"
    """Something that the gateway itself has to say to a bridged person."""
    EVENT = "event"
    """Something that happened in a network, for its adapter to handle."""


NoticeFor = Identity | NewIdentity

DM3_LANES: Final = "dm3"
"""Destination of outbound lanes; inbound and report lanes are named after their network."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The layers around an envelope as they were, or may have been, sent to the first relay of a route."""

    text: str = field(repr=False)
    route: str
    """Short name of relays, their keys and the destination."""
    made_at: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class SealedOnce:
    """An envelope as it was, or may have been, sent."""

    envelope: str = field(repr=False)
    """Canonical JSON text."""
    message_hash: MessageHash
    """Of the message inside, which cannot be read from every dialect of the envelope."""
    wrapped: Wrapped | None = None
    """Set when it goes through relays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundJob:
    """A message to be sealed and submitted. Everything that goes into it is fixed, so that a retry is the same."""

    network: Network
    sender: EnsName
    """The name that we gave them: conversations are known by it, whatever name others see."""
    shown_as: EnsName | None = None
    """The name that others see; None for the one that is theirs when the message is made."""
    recipient: EnsName
    type: MessageType
    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    sent_at: int
    native_id: NativeId | None = None
    """None for what the gateway says by itself: receipts and failure notices."""
    native_reference: NativeId | None = None
    reference: MessageHash | None = None
    instruction: str | None = field(default=None, repr=False)
    """What the writer of the message under `reference` wants to have back with an answer (DM3-MTP)."""
    automatic: bool = False
    sealed: dict[str, SealedOnce] = field(default_factory=dict, repr=False)
    """Envelopes already made, by delivery service, dialect, type and keys.

    After an ambiguous answer they are sent again as they are.
    """


@dataclass(frozen=True, slots=True)
class ReportJob:
    """News that must not get lost."""

    network: Network
    report: StatusReport


@dataclass(frozen=True, slots=True)
class NoticeJob:
    """What the gateway says to somebody of a network, who need not have written before."""

    network: Network
    person: CanonicalId
    name: EnsName
    text: str = field(repr=False)
    key: str
    """The same over every retry; 64 hex digits."""


_OUTBOUND: Final = TypeAdapter(OutboundJob)
_REPORT: Final = TypeAdapter(ReportJob)
_NOTICE: Final = TypeAdapter(NoticeJob)


def encode_outbound(work: OutboundJob) -> bytes:
    """Payload of an OUTBOUND job."""
    return _OUTBOUND.dump_json(work, exclude_defaults=True)


def decode_outbound(payload: bytes) -> OutboundJob:
    """Read a payload; InvalidInput when it was not written by `encode_outbound`."""
    try:
        return _OUTBOUND.validate_json(payload)
    except ValidationError as error:
        raise InvalidInput(f"outbound job with {error.error_count()} faults") from None


def encode_report(work: ReportJob) -> bytes:
    """Payload of a REPORT job."""
    return _REPORT.dump_json(work)


def decode_report(payload: bytes) -> ReportJob:
    """Read a payload; InvalidInput when it was not written by `encode_report`."""
    try:
        return _REPORT.validate_json(payload)
    except ValidationError as error:
        raise InvalidInput(f"report job with {error.error_count()} faults") from None


def decode_notice(payload: bytes) -> NoticeJob:
    """Read a payload; InvalidInput when it was not written by `notice_job`."""
    try:
        return _NOTICE.validate_json(payload)
    except ValidationError as error:
        raise InvalidInput(f"notice job with {error.error_count()} faults") from None


def conversation(person: EnsName, other: EnsName) -> str:
    """Name of a conversation of a bridged person with an ENS name; the two directions share it."""
    return f"{person}|{other}"


def outbound_job(work: OutboundJob, *, now: int, expires_at: int) -> NewJob:
    """One lane per conversation, so that a dead delivery service holds up its own conversations only."""
    lane = outbound_lane(work.sender, work.recipient)
    return NewJob(lane, JobKind.OUTBOUND, encode_outbound(work), now, expires_at, person=work.sender)


def outbound_lane(sender: EnsName, recipient: EnsName) -> LaneKey:
    """In which messages of a bridged person for a name wait."""
    return lane_key(DM3_LANES, _short(conversation(sender, recipient)))


def inbound_job(envelope: StoredEnvelope, identity: Identity) -> NewJob:
    """One lane per network and conversation."""
    lane = inbound_lane(identity, envelope.sender)
    return NewJob(lane, JobKind.INBOUND, b"", envelope.received_at, envelope.expires_at, envelope.id)


def inbound_lane(identity: Identity, sender: EnsName) -> LaneKey:
    """In which mail of `sender` waits for a bridged person."""
    return lane_key(identity.network, _short(conversation(identity.name, sender)))


def report_job(work: ReportJob, *, now: int, expires_at: int) -> NewJob:
    """One lane per person who is told."""
    lane: LaneKey = lane_key(work.network, _short(f"report|{work.report.sender}"))
    return NewJob(lane, JobKind.REPORT, encode_report(work), now, expires_at)


def notice_job(identity: NoticeFor, text: str, *, now: int, expires_at: int) -> NewJob:
    """Tell a bridged person something; a lane of their own, so that it waits for no conversation."""
    work = NoticeJob(identity.network, identity.canonical_id, identity.name, text, secrets.token_hex(32))
    lane = lane_key(identity.network, _short(f"notice|{identity.canonical_id}"))
    return NewJob(lane, JobKind.NOTICE, _NOTICE.dump_json(work), now, expires_at)


def event_job(network: Network, event: NativeEvent, *, now: int, expires_at: int) -> NewJob:
    """One lane for what the adapter says belongs together."""
    lane = lane_key(network, _short(f"event|{event.lane}"))
    head = f"{len(event.lane)} {len(event.key)} {event.lane}{event.key}".encode()
    return NewJob(lane, JobKind.EVENT, b"%d %b%b" % (len(head), head, event.payload), now, expires_at)


def decode_event(payload: bytes) -> NativeEvent:
    """Read a payload; InvalidInput when it was not written by `event_job`."""
    try:
        size, _, rest = payload.partition(b" ")
        lane_size, key_size, text = rest[: int(size)].decode().split(" ", 2)
        if len(text) != int(lane_size) + int(key_size):
            raise ValueError("length")
    except ValueError:
        raise InvalidInput("not the payload of an event") from None
    return NativeEvent(text[: int(lane_size)], text[int(lane_size) :], rest[int(size) :])


def _short(text: str) -> str:
    """Lane names are keys in an index and stand in logs: names of any length become 32 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
