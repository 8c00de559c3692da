"""A message of a bridged person on its way to an ENS name: profile, signature, seal, delivery services in order."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

import structlog

from gateway.bridge import wording
from gateway.bridge.jobs import (
    OutboundJob,
    ReportJob,
    SealedOnce,
    conversation,
    decode_outbound,
    encode_outbound,
    report_job,
)
from gateway.bridge.remote import SLOWEST_BYTES_PER_SECOND, RemoteRelays
from gateway.custody.directory import Directory
from gateway.custody.keyring import Keyring
from gateway.dm3.envelope import Dialect, Envelope, canonical_envelope, hash_of_encrypted, parse_envelope, seal
from gateway.dm3.message import Message, MessageType, message_hash, sign_message
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.names import normalise
from gateway.ens.profiles import Profiles, ResolvedProfile
from gateway.errors import FetchFailed, GatewayError, RemoteRefused, TooLarge
from gateway.ids import EnsName, MessageHash
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.sdk.delivery import DeliveryState, StatusReport
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.store.jobs import Job
from gateway.store.lanes import Enqueue
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.messagemap import ConversationKnown, HashesOf, MapMessage, MessageLink
from gateway.store.op import Op
from gateway.store.status import SetStatus
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)

MAX_SERVICES: Final = 5
"""Delivery services of one profile that are tried."""
TRY_SECONDS: Final = 60.0
"""One try at all services of a recipient takes at most this long, plus the time that a large envelope needs."""
WITH_NOTICE: Final = frozenset({MessageType.NEW, MessageType.REPLY})


class LocalRelay(Protocol):
    """The relay of this gateway, for recipients who use it too."""

    async def prepare(self, envelope: Envelope) -> AcceptEnvelope:
        """Check and stamp an envelope; the caller commits."""


@dataclass(frozen=True, slots=True)
class LocalService:
    """Our own delivery service: its name, profile and relay."""

    name: EnsName
    profile: DeliveryServiceProfile
    relay: LocalRelay


class Outbound:
    """Handles OUTBOUND jobs."""

    def __init__(
        self,
        *,
        store: Store,
        keyring: Keyring,
        directory: Directory,
        profiles: Profiles,
        remote: RemoteRelays,
        local: LocalService,
        parent: EnsName,
        clock: Clock,
        offload: Offload,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._directory = directory
        self._profiles = profiles
        self._remote = remote
        self._local = local
        self._parent = parent
        self._clock = clock
        self._offload = offload

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Submit to the first delivery service that takes it; the reasons of the others go to the log."""
        work = await self._offload.run(len(job.payload), lambda: decode_outbound(job.payload))
        sender = await self._directory.identity(work.sender)
        if sender is None:
            log.info("outbound.sender_gone", job=job.id, sender=work.sender)
            return Done()
        try:
            if work.automatic and await self._directory.identity(work.recipient) is not None:
                return self._failed(work, sender, wording.AUTOMATIC_TO_BRIDGED)
            recipient = await self._directory.user(work.recipient)
            message = await self._message(work, sender)
            if message is None:
                return Done()
            return await self._in_time(_Attempt(work, sender, recipient, message, checkpoint, len(job.payload)))
        except GatewayError as error:
            log.info("outbound.failed", job=job.id, error=type(error).__name__, detail=error.detail)
            return Later(error.sentence) if error.retry else self._failed(work, sender, error.sentence)

    async def expire(self, job: Job) -> Done:
        """Tell the sender that it did not arrive in time."""
        work = await self._offload.run(len(job.payload), lambda: decode_outbound(job.payload))
        sender = await self._directory.identity(work.sender)
        if sender is None:
            return Done()
        return self._failed(work, sender, f"{wording.EXPIRED} {job.reason}".strip())

    async def _message(self, work: OutboundJob, sender: Identity) -> Message | None:
        """The signed message, the same for every retry; None when it is about a message that nobody knows."""
        reference = work.reference
        if reference is None and work.native_reference is not None:
            hashes = await self._store.read(
                HashesOf(work.network, work.native_reference, conversation(sender.name, work.recipient))
            )
            reference = MessageHash(hashes[0].message_hash) if hashes else None
        kind, text = work.type, work.text
        if reference is None and kind is not MessageType.NEW:
            if kind not in (MessageType.REPLY, MessageType.EDIT):
                log.info("outbound.reference_unknown", type=kind, sender=work.sender)
                return None
            kind = MessageType.NEW
        if kind in WITH_NOTICE and work.native_id is not None:
            known = await self._store.read(
                ConversationKnown(work.network, conversation(sender.name, work.recipient), outbound=True)
            )
            if not known:
                text += wording.first_message_notice(work.network, sender.canonical_id, self._parent)
        draft = Message(
            to=work.recipient,
            from_=sender.name,
            type=kind,
            timestamp=work.sent_at,
            text=text,
            attachments=work.attachments or (() if kind not in WITH_NOTICE else None),
            reference=reference,
        )
        signing = self._keyring.keys(sender).profile_keys.signing
        return await self._offload.run(_size(draft), lambda: sign_message(draft, signing))

    async def _in_time(self, attempt: _Attempt) -> Result:
        """Deliver, but do not let a recipient who names slow services hold the lane for long."""
        seconds = TRY_SECONDS + attempt.size / SLOWEST_BYTES_PER_SECOND
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._deliver(attempt)
        except TimeoutError:
            if not limit.expired():
                raise
            raise FetchFailed(f"the services of {attempt.work.recipient} took more than {seconds:.0f} s") from None

    async def _deliver(self, attempt: _Attempt) -> Result:
        """Try the recipient's services in order (DM3-MTP: the next one when one does not take it)."""
        services = attempt.recipient.profile.delivery_services[:MAX_SERVICES]
        if not services:
            return self._failed(attempt.work, attempt.sender, wording.NO_SERVICE)
        errors: list[GatewayError] = []
        for text in services:
            try:
                service = normalise(text)
                if service == self._local.name:
                    handed = await self._to_ourselves(attempt)
                else:
                    handed = await self._to_another(attempt, service)
                log.info("outbound.sent", service=service, recipient=attempt.work.recipient, type=attempt.message.type)
                return self._sent(attempt, handed)
            except GatewayError as error:
                log.info("outbound.service_failed", service=text, error=type(error).__name__, detail=error.detail)
                errors.append(error)
        waiting = next((error for error in errors if error.retry), None)
        if waiting is not None:
            return Later(waiting.sentence)
        return self._failed(attempt.work, attempt.sender, errors[0].sentence)

    async def _to_ourselves(self, attempt: _Attempt) -> _Handed:
        """The envelope enters our own store in the transaction that ends the job: exactly once, without HTTP."""

        def work() -> tuple[Envelope, _Hashes]:
            envelope = self._seal(attempt, self._local.profile, Dialect.DEVELOP)
            return envelope, _Hashes(message_hash(attempt.message), hash_of_encrypted(envelope.message))

        envelope, hashes = await self._offload.run(attempt.size, work)
        return _Handed(hashes, (await self._local.relay.prepare(envelope),))

    async def _to_another(self, attempt: _Attempt, name: EnsName) -> _Handed:
        """Submit over HTTP; the sealed envelope is written down first, so that a doubtful answer is safe to repeat."""
        service = await self._profiles.delivery_service(name)
        limit = await self._remote.size_limit(service)
        refusal = RemoteRefused(f"{name} was not tried")
        for dialect in (Dialect.DEVELOP, Dialect.NPM):
            sealed = await self._sealed_once(attempt, name, service, dialect)
            if limit is not None and len(sealed.envelope.encode()) > limit:
                raise TooLarge(f"{name} takes at most {limit} bytes")
            try:
                await self._remote.submit(service, sealed.envelope)
                return _Handed(await self._offload.run(attempt.size, partial(_hashes_of, sealed)), ())
            except RemoteRefused as error:
                # A service of the other generation answers a bare 400 to a spelling that it does not know.
                refusal = error
                if refusal.structured:
                    break
        raise refusal

    async def _sealed_once(
        self, attempt: _Attempt, name: EnsName, service: DeliveryServiceProfile, dialect: Dialect
    ) -> SealedOnce:
        """The envelope of an earlier try, or a new one when there is none or a key has been changed since."""
        sealed = attempt.work.sealed
        slots = f"{name} {dialect} "
        slot = slots + _key_digest(attempt.recipient.profile.public_encryption_key, service.public_encryption_key)
        if slot not in sealed:

            def work() -> tuple[SealedOnce, bytes]:
                text = canonical_envelope(self._seal(attempt, service, dialect))
                made = SealedOnce(text, message_hash(attempt.message))
                kept = {key: value for key, value in sealed.items() if not key.startswith(slots)}
                return made, encode_outbound(replace(attempt.work, sealed={**kept, slot: made}))

            made, payload = await self._offload.run(attempt.size, work)
            await attempt.checkpoint(payload)
            for old in [key for key in sealed if key.startswith(slots)]:
                del sealed[old]
            sealed[slot] = made
        return sealed[slot]

    def _seal(self, attempt: _Attempt, service: DeliveryServiceProfile, dialect: Dialect) -> Envelope:
        signing = self._keyring.keys(attempt.sender).profile_keys.signing
        recipient_key = attempt.recipient.profile.public_encryption_key
        return seal(attempt.message, recipient_key, service.public_encryption_key, signing, dialect=dialect)

    def _sent(self, attempt: _Attempt, handed: _Handed) -> Done:
        work, now = attempt.work, self._clock()
        if work.native_id is None:
            return Done(handed.ops)
        link = MessageLink(
            network=work.network,
            native_id=work.native_id,
            part=0,
            conversation=conversation(attempt.sender.name, work.recipient),
            message_hash=handed.hashes.message,
            encrypted_hash=handed.hashes.encrypted,
            outbound=True,
            created_at=now,
        )
        status = SetStatus(work.network, work.native_id, work.recipient, DeliveryState.SENT, "", now)
        return Done((*handed.ops, MapMessage(link), status))

    def _failed(self, work: OutboundJob, sender: Identity, reason: str) -> Done:
        """The end of the way: the status says why, and the sender is told by a job of its own."""
        if work.native_id is None:
            log.warning("outbound.own_message_failed", recipient=work.recipient, type=work.type, reason=reason)
            return Done()
        now = self._clock()
        report = StatusReport(
            native_id=work.native_id,
            sender=sender.canonical_id,
            recipient=work.recipient,
            state=DeliveryState.FAILED,
            reason=reason,
            automatic=work.automatic,
        )
        job = report_job(ReportJob(work.network, report), now=now, expires_at=now + REPORT_LIFE_MS)
        status = SetStatus(work.network, work.native_id, work.recipient, DeliveryState.FAILED, reason, now)
        return Done((status, Enqueue(job)))


REPORT_LIFE_MS: Final = 5 * 24 * 3600 * 1000
"""Milliseconds for which a failure report is tried."""


def _size(message: Message) -> int:
    return len(message.text or "") + sum(len(each.data) for each in message.attachments or ())


def _key_digest(recipient_key: bytes, service_key: bytes) -> str:
    """Short name of the two keys that an envelope is sealed to; both have 32 bytes."""
    return hashlib.sha256(recipient_key + service_key).hexdigest()[:16]


def _hashes_of(sealed: SealedOnce) -> _Hashes:
    return _Hashes(sealed.message_hash, hash_of_encrypted(parse_envelope(sealed.envelope).message))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try of one message."""

    work: OutboundJob
    sender: Identity
    recipient: ResolvedProfile
    message: Message
    checkpoint: Checkpoint
    size: int
    """Bytes of the job."""


@dataclass(frozen=True, slots=True)
class _Hashes:
    """By which clients of both generations refer to a message: of what was sent, not of what would be sent now."""

    message: MessageHash
    encrypted: MessageHash


@dataclass(frozen=True, slots=True)
class _Handed:
    """What a delivery service took, and what must be committed for it."""

    hashes: _Hashes
    ops: tuple[Op[Any], ...]
