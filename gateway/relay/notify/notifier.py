"""When somebody is told that mail waits: after a delay, if they have not picked it up, and not too often.

Two steps, both jobs. The first is committed with the envelope and due after the delay; when the envelope still waits
it passes the news on to each of the person's channels. The second tells by one channel, in a lane of that channel, so
that a push service which is down holds up no mail. Every envelope has its job, so each job looks after its own
envelope: one that came later has not had its time yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway.errors import InvalidInput
from gateway.ids import EnsName, EnvelopeId, EthAddress
from gateway.lifecycle import Clock
from gateway.relay.notify.news import News
from gateway.relay.notify.offered import Gone, Offered, Told
from gateway.sdk.delivery import Delivered, Rejected, Retry
from gateway.store import Store
from gateway.store.channels import Channel, ChannelKind, MarkNotified, RemoveChannel, UsableChannels
from gateway.store.jobs import Enqueue, Job, NewJob, lane_key
from gateway.store.mailbox import Folder, IsWaiting, StoredEnvelope
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)

NOTIFY_JOB: Final = "notify"
"""Kind of the jobs of both steps."""
LIFE_MS: Final = 24 * 3600 * 1000
"""A notification that could not be sent for so long is not sent any more."""


@dataclass(frozen=True, slots=True)
class NotifyPolicy:
    """When to tell, in milliseconds."""

    delay_ms: int
    """How long a message waits for pick-up first."""
    min_interval_ms: int
    """Between two notifications by one channel."""


@dataclass(frozen=True, slots=True)
class NotifyJob:
    """Somebody has mail; the job's ``created_at`` is when it came."""

    address: EthAddress
    envelope: EnvelopeId
    recipient: EnsName
    sender: EnsName
    verified: bool
    kind: ChannelKind | None = None
    """The channel to use; None for the step before."""


_JOB: Final = TypeAdapter(NotifyJob)


class Notifier:
    """Makes the jobs and handles them; ``count`` is called once for each notification that was sent."""

    def __init__(
        self,
        *,
        store: Store,
        offered: Offered,
        policy: NotifyPolicy,
        service: EnsName,
        clock: Clock,
        count: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._offered = offered
        self._policy = policy
        self._service = service
        self._clock = clock
        self._count = count

    async def job_for(self, envelope: StoredEnvelope) -> NewJob | None:
        """The job to commit with an envelope for a native recipient; None when nobody is to be told.

        One look into the store, none when this relay offers no channel.
        """
        if not self._offered.kinds or envelope.folder is not Folder.INBOX:
            return None
        if not await self._store.look_up(UsableChannels(envelope.recipient, self._offered.kinds)):
            return None
        work = NotifyJob(envelope.recipient, envelope.id, envelope.recipient_name, envelope.sender, envelope.verified)
        due = envelope.received_at + self._policy.delay_ms
        return NewJob(
            lane=lane_key("notify", _short(envelope.recipient)),
            kind=NOTIFY_JOB,
            payload=_JOB.dump_json(work),
            created_at=envelope.received_at,
            expires_at=min(envelope.expires_at, due + LIFE_MS),
            due_at=due,
        )

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Either step; what is picked up, told already, or switched off meanwhile ends the job."""
        try:
            work = _JOB.validate_json(job.payload)
        except ValidationError as error:
            raise InvalidInput(f"notify job with {error.error_count()} faults") from None
        # A lane that was awake comes to this job before its time.
        early = job.created_at + self._policy.delay_ms - self._clock()
        if early > 0:
            return Later("not yet due", early)
        kinds = self._offered.kinds if work.kind is None else self._offered.kinds & {work.kind}
        channels = [
            channel
            for channel in await self._store.look_up(UsableChannels(work.address, kinds))
            if self._last_told(channel) <= job.created_at
        ]
        if not channels or not await self._store.read(IsWaiting(work.envelope)):
            return Done()
        if work.kind is None:
            return Done(tuple(Enqueue(self._channel_job(job, work, channel.kind)) for channel in channels))
        return await self._tell(job, work, channels[0])

    async def expire(self, job: Job) -> Done:
        """Nobody waits for a notification."""
        log.warning("notification.given_up", job=job.id, reason=job.reason)
        return Done()

    def _channel_job(self, job: Job, work: NotifyJob, kind: ChannelKind) -> NewJob:
        return NewJob(
            lane=lane_key("notify", f"{_short(work.address)}.{kind.lower()}"),
            kind=NOTIFY_JOB,
            payload=_JOB.dump_json(replace(work, kind=kind)),
            created_at=job.created_at,
            expires_at=job.expires_at,
            due_at=self._clock(),
        )

    async def _tell(self, job: Job, work: NotifyJob, channel: Channel) -> Result:
        way = self._offered.way(channel.kind)
        assert way is not None
        pause = self._last_told(channel) + self._policy.min_interval_ms - self._clock()
        if pause > 0:
            return Later("told a moment ago", pause)
        news = News(recipient=work.recipient, sender=work.sender, verified=work.verified, service=self._service)
        # What comes while this is told is news again.
        at = self._clock()
        told = await way.tell(channel.recipient, news, f"{work.envelope}.{channel.kind}")
        log.info("notification.tried", job=job.id, channel=channel.kind, result=type(told).__name__)
        return self._ended(channel, told, at)

    def _ended(self, channel: Channel, told: Told, at: int) -> Result:
        mark = MarkNotified(channel.address, channel.kind, channel.recipient, at)
        match told:
            case Delivered():
                self._count()
                return Done((mark,))
            case Rejected(reason):
                # Marked like one that was sent, so that a refusal is not asked for at every message.
                log.warning("notification.rejected", channel=channel.kind, reason=reason)
                return Done((mark,))
            case Gone():
                return Done((RemoveChannel(channel.address, channel.kind, channel.recipient),))
            case Retry(reason, after):
                return Later(reason, None if after is None else int(after * 1000))

    def _last_told(self, channel: Channel) -> int:
        """When (ms) the channel was used last; a time that is still to come was written by a clock that was wrong."""
        return channel.notified_at if channel.notified_at <= self._clock() else 0


def _short(address: EthAddress) -> str:
    """Lane names stand in logs: who is told when is nobody's business."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
