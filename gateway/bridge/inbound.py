"""An envelope for a bridged person on its way out: open, verify, degrade, hand to the adapter, tell the sender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from gateway import traces
from gateway.bridge import wording
from gateway.bridge.jobs import (
    OutboundJob,
    ReportJob,
    conversation,
    outbound_job,
    report_job,
    trace_of_inbound,
)
from gateway.bridge.news import quotable
from gateway.bridge.reports import Reports
from gateway.bridge.requests import Requests, RulesOf, Standing
from gateway.custody.directory import Directory
from gateway.custody.keyring import Keyring
from gateway.dm3.encryption import decrypt
from gateway.dm3.envelope import parse_envelope
from gateway.dm3.message import Message, MessageType, parse_message, verify_message
from gateway.ens.names import normalise
from gateway.errors import DecryptionFailed, GatewayError, InvalidName, UnknownName
from gateway.ids import EnsName, MessageHash, NativeId, Network
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.sdk.adapter import Adapter
from gateway.sdk.degrade import degrade
from gateway.sdk.delivery import (
    NOTICE_MARK,
    Delivered,
    Delivery,
    DeliveryState,
    Reference,
    Rejected,
    Retry,
    StatusReport,
)
from gateway.store import Store
from gateway.store.identities import MOVED, Identity
from gateway.store.jobs import Job
from gateway.store.lanes import Enqueue
from gateway.store.links import IdentityBearing
from gateway.store.mailbox import DropEnvelope, GetEnvelope, StoredEnvelope
from gateway.store.messagemap import ConversationKnown, MapMessage, MessageLink, NativeOf
from gateway.store.op import Op
from gateway.store.status import SetStatus
from gateway.traces import TraceId
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)

RECEIPTS: Final = {
    MessageType.READ_RECEIVED: DeliveryState.DELIVERED,
    MessageType.READ_OPENED: DeliveryState.OPENED,
}
CONFIRMED: Final = frozenset({MessageType.NEW, MessageType.REPLY, MessageType.EDIT})
"""Types whose delivery is answered by READ_RECEIVED."""
LOOK_AGAIN_MS: Final = 3600_000
"""Mail that waits for the recipient's word is looked at after this time at the latest."""
ABOUT_OWN: Final = frozenset({MessageType.EDIT, MessageType.DELETE_REQUEST})
"""Types that are only about what their sender wrote: nobody changes or takes back the words of others."""
MAX_INSTRUCTION: Final = 4096
"""Bytes of a reply instruction that is kept; a longer one is not echoed."""


class Inbound:
    """Handles INBOUND jobs."""

    def __init__(
        self,
        *,
        store: Store,
        keyring: Keyring,
        directory: Directory,
        adapters: Mapping[Network, Adapter],
        reports: Reports,
        require_verified_sender: bool,
        rules_of: RulesOf,
        message_ttl_ms: int,
        clock: Clock,
        offload: Offload,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._directory = directory
        self._adapters = adapters
        self._reports = reports
        self._require_verified = require_verified_sender
        self._requests = Requests(store=store, rules_of=rules_of, told_for_ms=message_ttl_ms, clock=clock)
        self._ttl_ms = message_ttl_ms
        self._clock = clock
        self._offload = offload

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Deliver one envelope; what cannot be delivered is answered, not dropped."""
        mail = await self._mail(job)
        if mail is None:
            return Done((DropEnvelope(job.envelope),) if job.envelope is not None else ())
        pause = (mail.identity.paused_until or 0) - self._clock()
        if pause > 0 and not await self._is_receipt(mail):
            return Later(wording.PAUSED, min(pause, LOOK_AGAIN_MS), counts=False)
        adapter = self._adapters.get(mail.identity.network)
        if adapter is None:
            return Later(f"the {mail.identity.network} adapter is switched off")
        try:
            message = await self._open(mail)
            verified = await self._verify(mail, message)
        except _Refusal as refusal:
            if refusal.automatic:
                return Done((DropEnvelope(mail.envelope.id),))
            return await self._refused(mail, None, refusal.reason)
        if message.type in RECEIPTS:
            return await self._receipt(mail, message)
        if mail.identity.level == MOVED and mail.envelope.recipient_name == mail.identity.owned_name:
            return self._sent_after(mail, message)
        sender, verified_sender = mail.envelope.sender, verified and mail.envelope.verified
        match await self._requests.standing(mail.identity, sender, verified=verified_sender):
            case Standing.BLOCKED:
                return Done((DropEnvelope(mail.envelope.id),))
            case Standing.STRANGER:
                await self._requests.announce(mail.identity, sender)
                return Later(wording.NOT_LET_IN, LOOK_AGAIN_MS, counts=False)
        delivery = degrade(await self._delivery(mail, message, verified), adapter.capabilities)
        if delivery is None:
            return Done((DropEnvelope(mail.envelope.id),))
        outcome = await adapter.deliver(delivery)
        # Known by its hash when it comes back later, also if it began as a message of somebody of ours.
        by_hash = traces.of_envelope(mail.envelope.message_hash)
        also = {} if by_hash == mail.trace else {"also": by_hash}
        told = type(outcome).__name__
        log.info("inbound.outcome", job=job.id, network=mail.identity.network, outcome=told, **also)
        match outcome:
            case Delivered():
                return self._delivered(mail, message, outcome)
            case Retry(reason, after):
                return Later(reason, None if after is None else int(after * 1000))
            case Rejected(reason):
                return await self._refused(mail, message, reason)

    async def expire(self, job: Job) -> Done:
        """Tell the sender that the person's network did not take it in time."""
        mail = await self._mail(job)
        if mail is None:
            return Done((DropEnvelope(job.envelope),) if job.envelope is not None else ())
        message: Message | None = None
        try:
            message = await self._open(mail)
        except _Refusal as refusal:
            log.info("inbound.expired_unreadable", job=job.id, reason=refusal.reason)
        return await self._refused(mail, message, f"{wording.EXPIRED} {job.reason}".strip())

    async def _mail(self, job: Job) -> _Mail | None:
        envelope = await self._store.read(GetEnvelope(job.envelope)) if job.envelope is not None else None
        if envelope is None:
            log.warning("inbound.envelope_gone", job=job.id)
            return None
        # By name: an address changes when keys are rotated while mail is under way.
        identity = await self._store.look_up(IdentityBearing(envelope.recipient_name))
        if identity is None or identity.sealed_salt is None:
            log.info("inbound.recipient_gone", job=job.id)
            return None
        mail = _Mail(envelope, identity, trace_of_inbound(job, envelope))
        traces.bind(mail.trace)
        return mail

    async def _open(self, mail: _Mail) -> Message:
        """Decrypt and read; the message must say the same names as the envelope, or it was taken from elsewhere."""

        def work() -> Message:
            sealed = parse_envelope(mail.envelope.body).message
            for key in self._keyring.decryption_keys(mail.identity, self._clock()):
                try:
                    return parse_message(decrypt(key, sealed))
                except DecryptionFailed:
                    continue
            raise _Refusal(wording.UNREADABLE)

        try:
            message = await self._offload.run(len(mail.envelope.body), work)
        except GatewayError as error:
            log.info("inbound.unreadable", error=type(error).__name__, detail=error.detail)
            raise _Refusal(wording.UNREADABLE) from None
        if _names(message) != (mail.envelope.sender, mail.envelope.recipient_name):
            raise _Refusal(wording.MISMATCH, automatic=_is_automatic(message))
        return message

    async def _is_receipt(self, mail: _Mail) -> bool:
        """Receipts tell the person about their own messages, so a pause of deliveries does not hold them."""
        try:
            return (await self._open(mail)).type in RECEIPTS
        except _Refusal:
            return False

    async def _verify(self, mail: _Mail, message: Message) -> bool:
        """Whether the message is signed by the sender's profile; a refusal when it must be and is not."""
        try:
            for fresh in (False, True):
                profile = await self._directory.user(mail.envelope.sender, fresh=fresh)
                if verify_message(message, profile.profile.public_signing_key):
                    return True
        except UnknownName:
            log.info("inbound.sender_without_profile", sender=mail.envelope.sender)
        if self._require_verified:
            raise _Refusal(wording.UNVERIFIED, automatic=_is_automatic(message))
        return False

    async def _delivery(self, mail: _Mail, message: Message, verified: bool) -> Delivery:
        identity, sender = mail.identity, mail.envelope.sender
        talk = conversation(identity.name, sender)
        reference = None
        if message.reference is not None:
            own = message.type in ABOUT_OWN
            native = await self._native_ids(identity.network, message.reference, talk, received_only=own)
            reference = Reference(message.reference, native[0] if native else None, tuple(native[1:]))
        return Delivery(
            key=mail.envelope.id,
            recipient=identity.canonical_id,
            recipient_name=identity.name,
            sender=sender,
            verified=verified and mail.envelope.verified,
            type=message.type,
            text=message.text or "",
            attachments=message.attachments or (),
            message_hash=MessageHash(mail.envelope.message_hash),
            sent_at=message.timestamp,
            reference=reference,
            first=not await self._store.look_up(ConversationKnown(identity.network, talk, outbound=False)),
            automatic=_is_notice(message),
        )

    def _delivered(self, mail: _Mail, message: Message, outcome: Delivered) -> Done:
        """The envelope leaves the cache; link and receipt are written in the same transaction."""
        envelope, identity, now = mail.envelope, mail.identity, self._clock()
        links = (
            MapMessage(
                MessageLink(
                    network=identity.network,
                    native_id=native_id,
                    part=part,
                    conversation=conversation(identity.name, envelope.sender),
                    message_hash=MessageHash(envelope.message_hash),
                    encrypted_hash=envelope.encrypted_hash,
                    outbound=False,
                    created_at=now,
                    reply_instruction=_instruction(message),
                    envelope=envelope.id,
                    holder=envelope.holder,
                )
            )
            for part, native_id in enumerate((outcome.native_id, *outcome.others))
        )
        ops: tuple[Op[Any], ...] = (DropEnvelope(envelope.id), *links)
        if message.type in CONFIRMED and not _is_notice(message):
            ops += (self._own_message(mail, message, MessageType.READ_RECEIVED, ""),)
        return Done(ops, delivered=True)

    def _sent_after(self, mail: _Mail, message: Message) -> Done:
        """The name is at another delivery service now: the message goes there, in the name that the person has here.

        Signed by us and not by its writer, so the text says who that is. What a gateway wrote by itself stays behind.
        """
        drop = DropEnvelope(mail.envelope.id)
        if _is_automatic(message) or message.type not in CONFIRMED:
            return Done((drop,))
        now = self._clock()
        work = OutboundJob(
            network=mail.identity.network,
            sender=mail.identity.name,
            shown_as=mail.identity.name,
            recipient=mail.envelope.recipient_name,
            type=MessageType.NEW,
            text=wording.sent_after(mail.envelope.sender, message.text or ""),
            attachments=message.attachments or (),
            sent_at=message.timestamp,
        )
        return Done((drop, Enqueue(outbound_job(work, now=now, expires_at=now + self._ttl_ms))))

    async def _receipt(self, mail: _Mail, message: Message) -> Done:
        """READ_RECEIVED and READ_OPENED tell the person how far their own message came."""
        drop = DropEnvelope(mail.envelope.id)
        report = await self._report_about(mail.identity, mail.envelope.sender, message.reference)
        if report is None:
            return Done((drop,))
        identity, state = mail.identity, RECEIPTS[message.type]
        network, news = identity.network, self._news(report, state, "")
        known = SetStatus(network, report.native_id, report.recipient, state, "", self._clock(), identity.name)

        async def tell() -> None:
            await self._reports.tell(network, news)

        return Done((drop, known), after=tell)

    async def _refused(self, mail: _Mail, message: Message | None, reason: str) -> Done:
        """Never in silence: a bridged sender gets a failure report, every other a message from the person's name.

        Notices and receipts are the exception: an answer to them would be answered in turn.
        """
        drop = DropEnvelope(mail.envelope.id)
        log.info("inbound.refused", network=mail.identity.network, sender=mail.envelope.sender, reason=reason)
        if (message is not None and _is_automatic(message)) or not mail.envelope.verified:
            return Done((drop,))
        sender = await self._directory.identity(mail.envelope.sender)
        if sender is None:
            text = wording.failure_notice(mail.identity.shown_person, reason, mail.trace)
            return Done((drop, self._own_message(mail, message, MessageType.REPLY, text)))
        about = await self._report_about(sender, mail.envelope.recipient_name, MessageHash(mail.envelope.message_hash))
        if about is None:
            return Done((drop,))
        now = self._clock()
        news = quotable(self._news(about, DeliveryState.FAILED, reason), mail.trace)
        failure = ReportJob(sender.network, news, mail.trace)
        return Done((drop, Enqueue(report_job(failure, now=now, expires_at=now + self._ttl_ms))))

    async def _report_about(
        self, person: Identity, other: EnsName, reference: MessageHash | None
    ) -> StatusReport | None:
        """A report to `person` about a message of theirs to `other`, still without news; None when it is unknown."""
        if reference is None:
            return None
        native = await self._native_ids(person.network, reference, conversation(person.name, other))
        if not native:
            return None
        return StatusReport(native_id=native[0], sender=person.canonical_id, recipient=other, state=DeliveryState.SENT)

    async def _native_ids(
        self, network: Network, reference: MessageHash, talk: str, *, received_only: bool = False
    ) -> list[NativeId]:
        """What `network` calls a message in this conversation: writer and reader have different ids for it."""
        links = await self._store.look_up(NativeOf(network, reference))
        meant = (link for link in links if link.conversation == talk and not (received_only and link.outbound))
        return [link.native_id for link in sorted(meant, key=lambda link: link.part)]

    def _news(self, about: StatusReport, state: DeliveryState, reason: str) -> StatusReport:
        return StatusReport(
            native_id=about.native_id, sender=about.sender, recipient=about.recipient, state=state, reason=reason
        )

    def _own_message(self, mail: _Mail, about: Message | None, kind: MessageType, text: str) -> Enqueue:
        """A message in the person's name that they did not write: a receipt or a failure notice.

        `about` is the message that it answers, None when that could not be opened.
        """
        now = self._clock()
        work = OutboundJob(
            network=mail.identity.network,
            sender=mail.identity.name,
            shown_as=mail.envelope.recipient_name,
            recipient=mail.envelope.sender,
            type=kind,
            text=text,
            sent_at=now,
            reference=MessageHash(mail.envelope.message_hash),
            instruction=None if about is None else _instruction(about),
            about=mail.trace,
        )
        return Enqueue(outbound_job(work, now=now, expires_at=now + self._ttl_ms))


def _instruction(message: Message) -> str | None:
    """What goes back with answers, as it came; None when it is longer than we keep, or no text of a database."""
    text = message.reply_instruction
    if not text or len(text) > MAX_INSTRUCTION or len(text.encode()) > MAX_INSTRUCTION or "\0" in text:
        return None
    return text


def _is_notice(message: Message) -> bool:
    """What a gateway, this one or another, wrote by itself."""
    return (message.text or "").startswith(NOTICE_MARK)


def _is_automatic(message: Message) -> bool:
    """Nobody answers these. A messenger sends each of its writers receipts about the mail of all."""
    return message.type in RECEIPTS or _is_notice(message)


def _names(message: Message) -> tuple[EnsName, EnsName] | None:
    """From whom and to whom; None when one of them is no name."""
    try:
        return normalise(message.from_), normalise(message.to)
    except InvalidName:
        return None


@dataclass(frozen=True, slots=True)
class _Mail:
    """An envelope and the bridged person it is for."""

    envelope: StoredEnvelope
    identity: Identity
    trace: TraceId


class _Refusal(Exception):
    def __init__(self, reason: str, *, automatic: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.automatic = automatic
