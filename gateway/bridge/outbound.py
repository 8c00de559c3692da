"""A message of a bridged person on its way to an ENS name: profile, delivery services in order, their rules, seal."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

import structlog

from gateway import traces
from gateway.bridge import wording
from gateway.bridge.composing import Composed, Composer
from gateway.bridge.jobs import (
    OutboundJob,
    SealedOnce,
    Wrapped,
    conversation,
    decode_outbound,
    encode_outbound,
    trace_of_outbound,
    traced,
)
from gateway.bridge.kept import kept_for_retry
from gateway.bridge.local import LocalService
from gateway.bridge.news import news_of, report_of
from gateway.bridge.reports import Reports
from gateway.bridge.route import RelayRoute
from gateway.bridge.spellings import Spellings
from gateway.custody.directory import Directory
from gateway.custody.keyring import Keyring
from gateway.dm3.envelope import Dialect, Envelope, canonical_envelope, hash_of_encrypted, parse_envelope, seal
from gateway.dm3.extension import ProfileExtension, read_extension
from gateway.dm3.message import message_hash
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.dm3.sender_rules import SenderRules
from gateway.ens.names import normalise
from gateway.ens.profiles import Profiles, ResolvedProfile
from gateway.ens.relays import SLOWEST_BYTES_PER_SECOND, RemoteRelays
from gateway.ens.together import both
from gateway.ens.unmet import Unmet
from gateway.errors import (
    FetchFailed,
    GatewayError,
    NotTried,
    RemoteRefused,
    RouteRefused,
    SchemeRefused,
    Spam,
    Unavailable,
)
from gateway.ids import EnsName, EthAddress, MessageHash
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.sdk.attachments import content_size
from gateway.sdk.delivery import NOTICE_MARK, DeliveryState
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.store.jobs import Job
from gateway.store.messagemap import ConversationKnown, MapMessage, MessageLink
from gateway.store.op import Op
from gateway.store.status import SetStatus
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)

MAX_SERVICES: Final = 5
"""Delivery services of one profile that are tried."""
TRY_SECONDS: Final = 60.0
"""One try at all services of a recipient takes at most this long, plus the time that a large envelope needs."""
EARLY_MS: Final = 1_000
"""What came before what it is about was noted waits for so long, once."""
STANDING_SECONDS: Final = 10.0
"""A look at the chain takes at most this long; then the service has to decide without us."""


class Standing(Protocol):
    """What the chain knows of a sender."""

    async def unmet(self, address: EthAddress, rules: SenderRules) -> Sequence[Unmet]:
        """What `address` certainly lacks, one for each rule. Raises ChainUnavailable when nobody can tell."""


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
        standing: Standing,
        reports: Reports,
        route: RelayRoute | None = None,
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
        self._route = route
        self._standing = standing
        self._reports = reports
        self._composer = Composer(store=store, keyring=keyring, parent=parent, offload=offload, clock=clock)
        self._spellings = Spellings(store, clock)
        self._clock = clock
        self._offload = offload

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Submit to the first delivery service that takes it; the reasons of the others go to the log."""
        work = await self._work_of(job)
        sender = await self._directory.identity(work.sender)
        if sender is None:
            log.info("outbound.sender_gone", job=job.id, sender=work.sender)
            return Done()
        try:
            if _goes_round(work) and await self._directory.identity(work.recipient) is not None:
                return self._failed(work, sender, wording.AUTOMATIC_TO_BRIDGED)
            if job.attempts == 0 and await self._composer.is_early(work, sender):
                return Later("it is about a message that is not noted yet", EARLY_MS)
            recipient = await self._directory.user(work.recipient)
            composed = await self._composer.compose(work, sender)
            if composed is None:
                return Done()
            result = await self._in_time(_Attempt(work, sender, recipient, composed, checkpoint, len(job.payload)))
        except GatewayError as error:
            log.info("outbound.failed", job=job.id, error=type(error).__name__, detail=error.detail)
            reason = wording.told(error)
            result = Later(reason) if error.retry else self._failed(work, sender, reason)
        if isinstance(result, Later) and job.attempts == WAITING_AFTER:
            await self._tell(work, sender, DeliveryState.WAITING, result.reason)
        return result

    async def expire(self, job: Job) -> Done:
        """Tell the sender that it did not arrive in time."""
        work = await self._work_of(job)
        sender = await self._directory.identity(work.sender)
        if sender is None:
            return Done()
        return self._failed(work, sender, f"{wording.EXPIRED} {job.reason}".strip())

    async def _work_of(self, job: Job) -> OutboundJob:
        work = await self._offload.run(len(job.payload), lambda: decode_outbound(job.payload))
        traces.bind(trace_of_outbound(work))
        return work

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
            except GatewayError as error:
                log.info("outbound.service_failed", service=text, error=type(error).__name__, detail=error.detail)
                errors.append(error)
                continue
            kind = attempt.composed.message.type
            if handed is None:
                log.info("outbound.nothing_to_show", service=service, recipient=attempt.work.recipient, type=kind)
                return Done()
            log.info("outbound.sent", service=service, recipient=attempt.work.recipient, type=kind)
            return self._sent(attempt, handed)
        waiting = next((error for error in errors if error.retry), None)
        if waiting is not None:
            return Later(wording.told(waiting))
        return self._failed(attempt.work, attempt.sender, wording.told(errors[0]))

    async def _to_ourselves(self, attempt: _Attempt) -> _Handed | None:
        """The envelope enters our own store in the transaction that ends the job: exactly once, without HTTP.

        Our relay applies the recipient's rules itself, with the lists that nobody else sees; a refusal costs nothing.
        """
        extension = read_extension(await self._local.relay.extension(attempt.work.recipient))
        fitting = await self._fitting(attempt, extension)
        if fitting is None:
            return None

        def work() -> tuple[Envelope, _Hashes]:
            envelope = self._seal(fitting, self._local.profile, Dialect.DEVELOP)
            return envelope, _Hashes(message_hash(fitting.composed.message), hash_of_encrypted(envelope.message))

        envelope, hashes = await self._offload.run(attempt.size, work)
        note = await self._waiting_note(attempt, extension)
        try:
            accepted = await self._local.relay.prepare(envelope)
        except Spam:
            await self._require_standing(attempt, extension.rules)
            raise
        if accepted.job is not None:
            accepted = replace(accepted, job=traced(accepted.job, trace_of_outbound(attempt.work)))

        async def after() -> None:
            self._local.relay.accepted(accepted)

        return self._noted(attempt, _Handed(hashes, (accepted,), after=after), note)

    async def _to_another(self, attempt: _Attempt, name: EnsName) -> _Handed | None:
        """Submit over HTTP, unless the service says beforehand that it would refuse; None when nothing is to be sent.

        A recipient who does not list our encryption gets it all the same: it is the default, which everybody must
        accept (DM3-MTP, profile extension).
        """
        service = await self._profiles.delivery_service(name)
        if self._route is not None:
            try:
                return await self._through_relays(self._route, attempt, name, service)
            except RouteRefused as error:
                if self._route.required:
                    raise
                log.warning("outbound.goes_straight", service=name, detail=error.detail)
        properties, extension = await both(
            self._remote.properties(service), self._remote.extension(service, attempt.work.recipient)
        )
        fitting = await self._fitting(attempt, extension)
        if fitting is None:
            return None
        if not await self._was_written_to(attempt):
            await self._require_standing(attempt, extension.rules)
        # Asked before: what fails once the service has the message would send it to the next one too.
        note = await self._waiting_note(attempt, extension)
        try:
            handed = await self._submit(fitting, name, service, properties.size_limit)
        except RemoteRefused as error:
            if error.answer is not None and error.answer.code == Spam.code:
                await self._require_standing(attempt, extension.rules)
            if extension.takes_default_scheme:
                raise
            raise SchemeRefused(error.detail, error.answer) from None
        return self._noted(attempt, handed, note)

    async def _submit(
        self, attempt: _Attempt, name: EnsName, service: DeliveryServiceProfile, limit: int | None
    ) -> _Handed:
        """In the spelling that the service is likely to know, and in the other one when it seems not to know it.

        A service of the other generation answers a bare 400 to a spelling that is not its own.
        """
        first, second = await self._spellings.order(service.url)
        try:
            return await self._submit_in(first, attempt, name, service, limit)
        except RemoteRefused as error:
            if error.answer is None or not error.answer.bare:
                raise
        handed = await self._submit_in(second, attempt, name, service, limit)
        return replace(handed, ops=self._spellings.second_taken(service.url, second))

    async def _submit_in(
        self, dialect: Dialect, attempt: _Attempt, name: EnsName, service: DeliveryServiceProfile, limit: int | None
    ) -> _Handed:
        """The sealed envelope is written down before it is sent, so that a doubtful answer is safe to repeat."""
        sealed = await self._sealed_once(attempt, name, service, dialect)
        if limit is not None and len(sealed.envelope.encode()) > limit:
            raise NotTried(wording.envelope_too_large(limit))
        await self._remote.submit(service, sealed.envelope)
        return _Handed(await self._offload.run(attempt.size, partial(_hashes_of, sealed)))

    async def _fitting(self, attempt: _Attempt, extension: ProfileExtension) -> _Attempt | None:
        """With the message as this recipient can read it, None when it is nothing to them.

        Raises NotTried when there is more attached than they take.
        """
        limit = extension.max_attachment_bytes
        attachments = attempt.composed.message.attachments
        if limit is not None and attachments:
            size = await self._offload.run(attempt.size, lambda: sum(map(content_size, attachments)))
            if size > limit:
                raise NotTried(wording.attachments_too_large(attempt.work.recipient, limit, size))
        composed = await self._composer.shown(attempt.composed, attempt.sender, extension.types)
        return None if composed is None else replace(attempt, composed=composed)

    async def _was_written_to(self, attempt: _Attempt) -> bool:
        """Whether the recipient wrote to this sender: they may well have allowed them, which nobody else can see."""
        talk = conversation(attempt.sender.name, attempt.work.recipient)
        return await self._store.look_up(ConversationKnown(attempt.work.network, talk, outbound=False))

    async def _require_standing(self, attempt: _Attempt, rules: SenderRules) -> None:
        """NotTried with the rules that the sender does not meet; in doubt the service decides."""
        if not rules.asks_the_chain:
            return
        try:
            async with asyncio.timeout(STANDING_SECONDS):
                unmet = await self._standing.unmet(attempt.sender.address, rules)
        except (Unavailable, TimeoutError) as error:
            log.info("outbound.standing_unknown", sender=attempt.work.sender, error=type(error).__name__)
            return
        if unmet:
            raise NotTried(
                wording.rules_unmet(attempt.work.recipient, attempt.sender.name, [each.sentence for each in unmet])
            )

    async def _waiting_note(self, attempt: _Attempt, extension: ProfileExtension) -> str:
        """What the sender is told when mail of strangers waits to be let in; empty when they are none."""
        work = attempt.work
        if not extension.rules.message_requests or work.native_id is None:
            return ""
        talk = conversation(attempt.sender.name, work.recipient)
        known = await self._store.look_up(ConversationKnown(work.network, talk))
        return "" if known else wording.waits_for_acceptance(work.recipient)

    def _noted(self, attempt: _Attempt, handed: _Handed, note: str) -> _Handed:
        """With a note to the sender, who gets it in the status and through their network."""
        work = attempt.work
        if not note or work.native_id is None:
            return handed
        news = news_of(work, work.native_id, attempt.sender, DeliveryState.SENT, note)
        return replace(handed, ops=(*handed.ops, report_of(work, news, self._clock())), note=note)

    async def _through_relays(
        self, route: RelayRoute, attempt: _Attempt, name: EnsName, service: DeliveryServiceProfile
    ) -> _Handed:
        """Hand the envelope to the first relay of the route; `service` itself must not see that we ask anything.

        So neither its limits nor its dialect are known. Layers are written down before they are sent, as envelopes are.
        """
        sealed = await self._sealed_once(attempt, name, service, Dialect.DEVELOP)
        envelopes = attempt.work.sealed
        slot = next(key for key, value in envelopes.items() if value is sealed)

        async def keep(wrapped: Wrapped) -> None:
            envelopes[slot] = replace(sealed, wrapped=wrapped)
            await attempt.checkpoint(await self._offload.run(len(wrapped.text), encode_outbound, attempt.work))

        await route.send(sealed, name, keep)
        return _Handed(await self._offload.run(attempt.size, partial(_hashes_of, sealed)), (), wording.ROUTED)

    async def _sealed_once(
        self, attempt: _Attempt, name: EnsName, service: DeliveryServiceProfile, dialect: Dialect
    ) -> SealedOnce:
        """The envelope of an earlier try, or a new one when there is none or a key has been changed since."""
        sealed = attempt.work.sealed
        slots = f"{name} {dialect} "
        keys = _key_digest(attempt.recipient.profile.public_encryption_key, service.public_encryption_key)
        slot = f"{slots}{attempt.composed.message.type} {keys}"
        if slot not in sealed:

            def work() -> tuple[SealedOnce, bytes]:
                text = canonical_envelope(self._seal(attempt, service, dialect))
                made = SealedOnce(text, message_hash(attempt.composed.message))
                kept = {key: value for key, value in sealed.items() if not key.startswith(slots)}
                return made, encode_outbound(replace(attempt.work, sealed={**kept, slot: made}))

            made, payload = await self._offload.run(attempt.size, work)
            await attempt.checkpoint(payload)
            for old in [key for key in sealed if key.startswith(slots)]:
                del sealed[old]
            sealed[slot] = made
        return sealed[slot]

    def _seal(self, attempt: _Attempt, service: DeliveryServiceProfile, dialect: Dialect) -> Envelope:
        return seal(
            attempt.composed.message,
            attempt.recipient.profile.public_encryption_key,
            service.public_encryption_key,
            self._keyring.keys(attempt.sender).profile_keys.signing,
            dialect=dialect,
            delivery_instruction=attempt.composed.instruction,
        )

    def _sent(self, attempt: _Attempt, handed: _Handed) -> Done:
        work, now = attempt.work, self._clock()
        if work.native_id is None:
            return Done(handed.ops, handed.after, delivered=True)
        link = MessageLink(
            network=work.network,
            native_id=work.native_id,
            part=0,
            conversation=conversation(attempt.sender.name, work.recipient),
            message_hash=handed.hashes.message,
            encrypted_hash=handed.hashes.encrypted,
            outbound=True,
            created_at=now,
            reply_instruction=attempt.composed.instruction,
        )
        state = DeliveryState.SENT
        status = SetStatus(work.network, work.native_id, work.recipient, state, handed.note, now, work.sender)

        async def after() -> None:
            if handed.after is not None:
                await handed.after()
            if not handed.note:
                await self._tell(work, attempt.sender, DeliveryState.SENT)

        return Done((*handed.ops, *attempt.composed.told, MapMessage(link), status), after, delivered=True)

    async def _tell(self, work: OutboundJob, sender: Identity, state: DeliveryState, reason: str = "") -> None:
        """News on the way; what does not get through is no loss, because more follows."""
        if work.native_id is None:
            return
        try:
            await self._reports.tell(work.network, news_of(work, work.native_id, sender, state, reason))
        except GatewayError as error:
            log.info("outbound.untold", state=state, error=type(error).__name__, detail=error.detail)

    def _failed(self, work: OutboundJob, sender: Identity, reason: str) -> Done:
        """The end of the way: the status says why, and the sender is told by a job of its own."""
        if work.native_id is None:
            log.warning("outbound.own_message_failed", recipient=work.recipient, type=work.type, reason=reason)
            return Done()
        log.info("outbound.given_up", network=work.network, reason=reason)
        failed = DeliveryState.FAILED
        now = self._clock()
        status = SetStatus(work.network, work.native_id, work.recipient, failed, reason, now, work.sender)
        told = report_of(work, news_of(work, work.native_id, sender, failed, reason), now)
        return Done((status, told, *kept_for_retry(work, reason, now)))


WAITING_AFTER: Final = 1
"""Tries that fail before the sender is told that the message waits: the first pause is a second."""


def _goes_round(work: OutboundJob) -> bool:
    """What a program wrote, and a program might answer. Notices have a mark that nobody answers, and must be told."""
    return work.automatic and not work.text.startswith(NOTICE_MARK)


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
    composed: Composed
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
    ops: tuple[Op[Any], ...] = ()
    note: str = ""
    """What belongs to the status, in words for the sender."""
    after: Callable[[], Awaitable[None]] | None = None
    """Run after the commit."""
