"""The kinds of work in the lanes, and how they are written into the queue."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway import traces
from gateway.dm3.assurance import SenderAssurance
from gateway.dm3.message import Attachment, MessageType
from gateway.errors import InvalidInput
from gateway.ids import CanonicalId, EnsName, LaneKey, MessageHash, NativeId, Network
from gateway.sdk.delivery import StatusReport
from gateway.sdk.events import NativeEvent
from gateway.store.identities import Identity, NewIdentity
from gateway.store.jobs import Job, NewJob, lane_key
from gateway.store.mailbox import StoredEnvelope
from gateway.traces import TraceId


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
    """Things that happened in one place of a network, for its adapter to handle."""


EVENTS_BYTES: Final = 256 * 1024
"""Of events in one job: what is done is noted by writing the rest anew."""

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
    about: TraceId | None = None
    """The trace of the message that a receipt or a notice is about."""
    assurance: SenderAssurance | None = None
    sealed: dict[str, SealedOnce] = field(default_factory=dict, repr=False)
    """Envelopes already made, by delivery service, dialect, type and keys.

    After an ambiguous answer they are sent again as they are.
    """


@dataclass(frozen=True, slots=True)
class ReportJob:
    """News that must not get lost."""

    network: Network
    report: StatusReport
    trace: TraceId | None = None


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
    """Payload of an OUTBOUND job: a line of JSON, and behind it what is in the attachments.

    The JSON has the size of each attachment in place of its data: to write 5 MB of them as JSON takes 3 ms.
    """
    data = [each.data.encode() for each in work.attachments]
    if not data:
        return _OUTBOUND.dump_json(work, exclude_defaults=True)
    sizes = (replace(each, data=str(len(piece))) for each, piece in zip(work.attachments, data, strict=True))
    head = _OUTBOUND.dump_json(replace(work, attachments=tuple(sizes)), exclude_defaults=True)
    return b"".join((head, b"\n", *data))


def decode_outbound(payload: bytes) -> OutboundJob:
    """Read a payload; InvalidInput when it was not written by `encode_outbound`, of this version or one before."""
    end = payload.find(b"\n")
    if end < 0:
        return _head(payload)
    work = _head(payload[:end])
    try:
        return replace(work, attachments=_with_data(work.attachments, payload, end + 1))
    except ValueError:
        raise InvalidInput("outbound job whose attachments are damaged") from None


def decode_outbound_head(payload: bytes) -> OutboundJob:
    """The same without what is in the attachments, whose data are their sizes, if anything; raises as it does."""
    end = payload.find(b"\n")
    return decode_outbound(payload) if end < 0 else _head(payload[:end])


def _head(line: bytes) -> OutboundJob:
    try:
        return _OUTBOUND.validate_json(line)
    except ValidationError as error:
        raise InvalidInput(f"outbound job with {error.error_count()} faults") from None


def _with_data(sized: Iterable[Attachment], payload: bytes, start: int) -> tuple[Attachment, ...]:
    """Attachments whose data stand in the payload one behind the other; ValueError unless they end with it."""
    found: list[Attachment] = []
    for each in sized:
        end = start + int(each.data)
        if end < start:
            raise ValueError("an attachment of less than no bytes")
        found.append(replace(each, data=payload[start:end].decode()))
        start = end
    if start != len(payload):
        raise ValueError(f"{len(payload) - start} bytes behind the attachments")
    return tuple(found)


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


def trace_of_outbound(work: OutboundJob) -> TraceId:
    """By which a message of a bridged person is found in the log."""
    if work.native_id is not None:
        return traces.of_native(work.network, work.sender, work.recipient, work.native_id)
    return work.about or traces.of_work(f"{work.type} {work.sender} {work.recipient} {work.sent_at}")


def trace_of_inbound(job: Job, envelope: StoredEnvelope) -> TraceId:
    """By which an envelope is found: as before, when it is a message of somebody of this gateway."""
    text = job.payload.decode("ascii", "replace")
    return TraceId(text) if traces.is_trace(text) else traces.of_envelope(envelope.message_hash)


def traced(job: NewJob, trace: TraceId) -> NewJob:
    """An INBOUND job that says what its message was called before; others stay as they are."""
    return replace(job, payload=trace.encode()) if job.kind == JobKind.INBOUND else job


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
    lane = report_lane(work.network, work.report.sender)
    return NewJob(lane, JobKind.REPORT, encode_report(work), now, expires_at)


def report_lane(network: Network, person: CanonicalId) -> LaneKey:
    """In which news for a person wait."""
    return lane_key(network, _short(f"report|{person}"))


def notice_lane(network: Network, person: CanonicalId) -> LaneKey:
    """In which waits what the gateway itself has to say to a person."""
    return lane_key(network, _short(f"notice|{person}"))


def notice_job(identity: NoticeFor, text: str, *, now: int, expires_at: int) -> NewJob:
    """Tell a bridged person something; a lane of their own, so that it waits for no conversation."""
    work = NoticeJob(identity.network, identity.canonical_id, identity.name, text, secrets.token_hex(32))
    lane = notice_lane(identity.network, identity.canonical_id)
    return NewJob(lane, JobKind.NOTICE, _NOTICE.dump_json(work), now, expires_at)


def event_groups(events: Iterable[NativeEvent]) -> list[list[NativeEvent]]:
    """Events in their order, grouped by what belongs together, up to `EVENTS_BYTES` or one larger event."""
    together: dict[str, list[list[NativeEvent]]] = {}
    sizes: dict[str, int] = {}
    for event in events:
        groups = together.setdefault(event.lane, [[]])
        size = sizes.get(event.lane, 0) + len(event.payload)
        if size > EVENTS_BYTES and groups[-1]:
            groups.append([])
            size = len(event.payload)
        groups[-1].append(event)
        sizes[event.lane] = size
    return [group for groups in together.values() for group in groups]


def event_job(network: Network, events: Sequence[NativeEvent], *, now: int, expires_at: int) -> NewJob:
    """A job for a group of events."""
    return NewJob(event_lane(network, events[0].lane), JobKind.EVENT, encode_events(events), now, expires_at)


def event_lane(network: Network, lane: str) -> LaneKey:
    """The lane of what an adapter says belongs together."""
    return lane_key(network, _short(f"event|{lane}"))


def encode_events(events: Sequence[NativeEvent]) -> bytes:
    """Payload of an EVENT job: events of one lane, whose payloads stand there as they are."""
    lane, keys = events[0].lane.encode(), [event.key.encode() for event in events]
    sizes = (f"{len(key)} {len(event.payload)}" for key, event in zip(keys, events, strict=True))
    head = " ".join((str(len(lane)), *sizes)).encode()
    parts = (part for key, event in zip(keys, events, strict=True) for part in (key, event.payload))
    return b"".join((head, b"\n", lane, *parts))


def decode_events(payload: bytes) -> list[NativeEvent]:
    """Read a payload; InvalidInput when it was not written by `encode_events`."""
    head, _, rest = payload.partition(b"\n")
    try:
        lane_size, *sizes = map(int, head.split(b" "))
        if not sizes or len(sizes) % 2 or lane_size + sum(sizes) != len(rest):
            raise ValueError("sizes")
        lane, at = rest[:lane_size].decode(), lane_size
        events = []
        for key_size, size in zip(sizes[::2], sizes[1::2], strict=True):
            key, at = rest[at : at + key_size].decode(), at + key_size
            events.append(NativeEvent(lane, key, rest[at : at + size]))
            at += size
    except ValueError:
        raise InvalidInput("not the payload of events") from None
    return events


def _short(text: str) -> str:
    """Lane names are keys in an index and stand in logs: names of any length become 32 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
