"""The way of one envelope into the store: open, find the recipient, verify the sender, ask the recipient's rules,
stamp, commit, and tell whoever waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
from cachetools import TTLCache

from gateway import traces
from gateway.custody.directory import Directory
from gateway.dm3.canonical import JsonObject
from gateway.dm3.encryption import SealingKey
from gateway.dm3.envelope import (
    DeliveryInformation,
    Envelope,
    canonical_envelope,
    envelope_hashes,
    envelope_id,
    hash_of_encrypted,
    open_delivery_information,
    parse_envelope,
    picked_up,
    verify_envelope,
)
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.postmark import make_postmark
from gateway.ens.names import normalise
from gateway.errors import BadSignature, GatewayError, Spam, TooLarge, UnknownName, UnknownRecipient
from gateway.ids import EnvelopeId
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.relay.arrivals import Arrivals
from gateway.relay.gatekeeper import Admission, Gatekeeper, Sender
from gateway.relay.recipients import Recipient, Recipients
from gateway.relay.traffic import Traffic
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.store.lanes import NewJob
from gateway.store.mailbox import AcceptEnvelope, StoredEnvelope
from gateway.watch import Counted, Watch

log = structlog.get_logger(__name__)

UNIFORM_SECONDS: Final = 0.5
"""Refusals that must look alike are answered at multiples of this."""

SEALING_RECIPIENTS: Final = 4096
SEALING_SECONDS: Final = 3600
"""Postmarks to one recipient share an ephemeral key for so long, for so many recipients at a time: a third of the curve
arithmetic of an envelope. Whoever took the keys out of this process would learn what its store says anyway."""

DOOR: Final = "relay"
"""What our figures call the way in."""

JobFor = Callable[[StoredEnvelope, Identity], NewJob]
"""Makes the job that brings an envelope to a bridged person; the bridge gives it, the relay stores it."""

NoticeFor = Callable[[StoredEnvelope], Awaitable[NewJob | None]]
"""Makes the job that tells a native recipient of an envelope, or None when nobody is to be told."""


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """What this relay takes."""

    size_limit: int
    """Bytes of the canonical envelope."""
    ttl_ms: int
    """Milliseconds that an envelope waits for its recipient."""
    require_verified_sender: bool
    uniform_refusals: bool = False
    """Answer unknown recipients and spam alike, in the same time."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The envelope is on disk."""

    id: EnvelopeId
    repeat: bool
    """True when the same envelope was accepted before; it was not stored again."""


class Submission:
    """Takes envelopes for this relay's recipients (DM3-MTP, dm3_submitMessage)."""

    def __init__(
        self,
        *,
        policy: RelayPolicy,
        keys: ServiceKeys,
        recipients: Recipients,
        directory: Directory,
        gatekeeper: Gatekeeper,
        arrivals: Arrivals,
        traffic: Traffic,
        store: Store,
        job_for: JobFor,
        notice_for: NoticeFor,
        clock: Clock,
        offload: Offload,
        watch: Watch,
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._recipients = recipients
        self._directory = directory
        self._gatekeeper = gatekeeper
        self._arrivals = arrivals
        self._traffic = traffic
        self._store = store
        self._job_for = job_for
        self._notice_for = notice_for
        self._clock = clock
        self._offload = offload
        self._watch = watch
        self._sealing: TTLCache[bytes, SealingKey] = TTLCache(SEALING_RECIPIENTS, SEALING_SECONDS)

    async def submit(self, content: str | JsonObject, *, size: int) -> Accepted:
        """Check and store an envelope, given as JSON text (the reference's form) or as an object.

        `size` is that of the request in bytes. Returns after the commit. Raises ParseError, TooLarge, InvalidInput,
        InvalidName, UnknownRecipient, BadSignature, BadProfile, Spam, MailboxFull, and Unavailable when the chain or
        the store does not answer.
        """
        started, begun = time.monotonic(), self._watch.begin()
        try:
            accepted = await self._submit(content, size)
        except GatewayError as error:
            self._watch.count(Counted.REFUSED, DOOR, type(error).__name__)
            self._watch.end("acceptance", begun, door=DOOR, outcome=type(error).__name__)
            if not self._policy.uniform_refusals or not isinstance(error, UnknownRecipient | Spam):
                raise
            log.info("envelope.refused", error=type(error).__name__, detail=error.detail)
        else:
            self._watch.end("acceptance", begun, door=DOOR, outcome="repeated" if accepted.repeat else "accepted")
            return accepted
        # Nobody may tell by the time either whether somebody is unknown, closed, or has blocked them.
        await asyncio.sleep(-(time.monotonic() - started) % UNIFORM_SECONDS)
        raise Spam

    async def _submit(self, content: str | JsonObject, size: int) -> Accepted:
        envelope = await self._offload.run(size, parse_envelope, content, max_bytes=self._policy.size_limit)
        if (named := envelope.metadata.message_hash or envelope.metadata.encrypted_message_hash) is not None:
            traces.bind(traces.of_envelope(named))
        op = await self.prepare(envelope, size=size)
        stored = await self._store.commit(op)
        log.debug("envelope.accepted" if stored else "envelope.repeated", id=op.envelope.id, size=len(op.envelope.body))
        if stored:
            self.accepted(op)
        else:
            self._watch.count(Counted.REPEATED, DOOR)
        return Accepted(op.envelope.id, repeat=not stored)

    def accepted(self, op: AcceptEnvelope) -> None:
        """Count an envelope that is on disk now, and tell whoever waits for it."""
        self._watch.count(Counted.ACCEPTED, DOOR)
        self._traffic.count(op.envelope)
        self._arrivals.announce(op.envelope)

    async def prepare(self, envelope: Envelope, *, size: int | None = None) -> AcceptEnvelope:
        """All of `submit` but parsing and the commit, for callers who write more in the same transaction.

        They call `accepted` when it was committed.
        """
        size = len(envelope.message) if size is None else size
        information = await self._offload.run(size, self._open, envelope)
        if self._policy.uniform_refusals:
            # Whoever cannot be checked is told the same whomever they write to, and learns nothing about anybody.
            sender = await self._verify_sender(envelope, information, size)
            recipient = await self._recipients.find(normalise(information.to))
        else:
            recipient = await self._recipients.find(normalise(information.to))
            sender = await self._verify_sender(envelope, information, size)
        admission = await self._gatekeeper.admit(recipient, sender)
        sealing = self._sealing_towards(recipient.encryption_key)
        stored = await self._offload.run(
            size, self._stamp, envelope, information, recipient, sender, admission, sealing
        )
        if recipient.identity is not None:
            return AcceptEnvelope(stored, self._job_for(stored, recipient.identity), admission.quota)
        notice = await self._notice_for(stored) if admission.notify else None
        return AcceptEnvelope(stored, notice, admission.quota)

    def _open(self, envelope: Envelope) -> DeliveryInformation:
        if len(canonical_envelope(envelope).encode()) > self._policy.size_limit:
            raise TooLarge(f"the envelope has more than {self._policy.size_limit} bytes")
        return open_delivery_information(envelope, self._keys)

    async def _verify_sender(self, envelope: Envelope, information: DeliveryInformation, size: int) -> Sender:
        """The sender's name, and the address behind it when its profile's key signed this envelope.

        A signature that fails is checked once more against a fresh profile, because keys rotate. InvalidName is raised
        whatever the policy: what is no name can be neither shown nor answered.
        """
        sender = normalise(information.from_)
        try:
            for fresh in (False, True):
                profile = await self._directory.user(sender, fresh=fresh)
                if await self._offload.run(size, _signed_by, envelope, profile.profile.public_signing_key):
                    return Sender(sender, profile.address)
            reason: GatewayError = BadSignature(f"the envelope is not signed by {sender}")
        except UnknownName as error:
            reason = BadSignature(f"the sender cannot be checked: {error.detail}")
        if self._policy.require_verified_sender:
            raise reason
        return Sender(sender, None)

    def _sealing_towards(self, public_encryption_key: bytes) -> SealingKey:
        """The current key for postmarks to this recipient."""
        sealing = self._sealing.get(public_encryption_key)
        if sealing is None:
            sealing = SealingKey.towards(public_encryption_key)
            self._sealing[public_encryption_key] = sealing
        return sealing

    def _stamp(
        self,
        envelope: Envelope,
        information: DeliveryInformation,
        recipient: Recipient,
        sender: Sender,
        admission: Admission,
        sealing: SealingKey,
    ) -> StoredEnvelope:
        now = self._clock()
        postmark = make_postmark(envelope, information, sealing, self._keys.signing, now)
        message_hash, encrypted_hash = envelope_hashes(envelope)
        return StoredEnvelope(
            id=envelope_id(recipient.address, envelope),
            recipient=recipient.address,
            recipient_name=recipient.name,
            sender=sender.name,
            verified=sender.verified,
            message_hash=message_hash,
            encrypted_hash=encrypted_hash,
            body=picked_up(envelope, information, postmark).encode(),
            received_at=now,
            expires_at=now + self._policy.ttl_ms,
            holder=sender.holder,
            folder=admission.folder,
        )


def _signed_by(envelope: Envelope, public_signing_key: bytes) -> bool:
    """Whether this key signed the metadata, and the message is the one that the metadata names.

    Newer clients name the hash of the plain message, which only its reader can check.
    """
    named = envelope.metadata.encrypted_message_hash
    if named is not None and named != hash_of_encrypted(envelope.message):
        return False
    return verify_envelope(envelope, public_signing_key)
