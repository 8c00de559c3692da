"""The way of one envelope into the store: open, find the recipient, verify the sender, stamp, commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.custody.directory import Directory
from gateway.dm3.canonical import JsonObject
from gateway.dm3.envelope import (
    DeliveryInformation,
    Envelope,
    canonical_envelope,
    envelope_hashes,
    envelope_id,
    open_delivery_information,
    parse_envelope,
    picked_up,
    verify_envelope,
)
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.postmark import make_postmark
from gateway.ens.names import normalise
from gateway.errors import BadSignature, GatewayError, TooLarge, UnknownName
from gateway.ids import EnsName, EnvelopeId
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.relay.recipients import Recipient, Recipients
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.store.lanes import NewJob
from gateway.store.mailbox import AcceptEnvelope, StoredEnvelope

log = structlog.get_logger(__name__)

JobFor = Callable[[StoredEnvelope, Identity], NewJob]
"""Makes the job that brings an envelope to a bridged person; the bridge gives it, the relay stores it."""


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """What this relay takes."""

    size_limit: int
    """Bytes of the canonical envelope."""
    ttl_ms: int
    """Milliseconds that an envelope waits for its recipient."""
    require_verified_sender: bool


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
        store: Store,
        job_for: JobFor,
        clock: Clock,
        offload: Offload,
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._recipients = recipients
        self._directory = directory
        self._store = store
        self._job_for = job_for
        self._clock = clock
        self._offload = offload

    async def submit(self, content: str | JsonObject, *, size: int) -> Accepted:
        """Check and store an envelope, given as JSON text (the reference's form) or as an object.

        `size` is that of the request in bytes. Returns after the commit. Raises ParseError, TooLarge, InvalidInput,
        InvalidName, UnknownRecipient, BadSignature, BadProfile, and Unavailable when the chain or the store does
        not answer.
        """
        envelope = await self._offload.run(size, parse_envelope, content, max_bytes=self._policy.size_limit)
        op = await self.prepare(envelope, size=size)
        stored = await self._store.commit(op)
        log.debug("envelope.accepted" if stored else "envelope.repeated", id=op.envelope.id, size=len(op.envelope.body))
        return Accepted(op.envelope.id, repeat=not stored)

    async def prepare(self, envelope: Envelope, *, size: int | None = None) -> AcceptEnvelope:
        """All of `submit` but parsing and the commit, for callers who write more in the same transaction."""
        size = len(envelope.message) if size is None else size
        information = await self._offload.run(size, self._open, envelope)
        recipient = await self._recipients.find(normalise(information.to))
        sender, verified = await self._verify_sender(envelope, information, size)
        stored = await self._offload.run(size, self._stamp, envelope, information, recipient, sender, verified)
        job = self._job_for(stored, recipient.identity) if recipient.identity is not None else None
        return AcceptEnvelope(stored, job)

    def _open(self, envelope: Envelope) -> DeliveryInformation:
        if len(canonical_envelope(envelope).encode()) > self._policy.size_limit:
            raise TooLarge(f"the envelope has more than {self._policy.size_limit} bytes")
        return open_delivery_information(envelope, self._keys)

    async def _verify_sender(
        self, envelope: Envelope, information: DeliveryInformation, size: int
    ) -> tuple[EnsName, bool]:
        """The sender's name and whether its profile's key signed this envelope.

        A signature that fails is checked once more against a fresh profile, because keys rotate. InvalidName is raised
        whatever the policy: what is no name can be neither shown nor answered.
        """
        sender = normalise(information.from_)
        try:
            for fresh in (False, True):
                profile = await self._directory.user(sender, fresh=fresh)
                if await self._offload.run(size, verify_envelope, envelope, profile.profile.public_signing_key):
                    return sender, True
            reason: GatewayError = BadSignature(f"the envelope is not signed by {sender}")
        except UnknownName as error:
            reason = BadSignature(f"the sender cannot be checked: {error.detail}")
        if self._policy.require_verified_sender:
            raise reason
        return sender, False

    def _stamp(
        self,
        envelope: Envelope,
        information: DeliveryInformation,
        recipient: Recipient,
        sender: EnsName,
        verified: bool,
    ) -> StoredEnvelope:
        now = self._clock()
        postmark = make_postmark(envelope, information, recipient.encryption_key, self._keys.signing, now)
        message_hash, encrypted_hash = envelope_hashes(envelope)
        return StoredEnvelope(
            id=envelope_id(recipient.address, envelope),
            recipient=recipient.address,
            recipient_name=recipient.name,
            sender=sender,
            verified=verified,
            message_hash=message_hash,
            encrypted_hash=encrypted_hash,
            body=picked_up(envelope, information, postmark).encode(),
            received_at=now,
            expires_at=now + self._policy.ttl_ms,
        )
