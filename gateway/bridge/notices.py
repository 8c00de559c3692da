"""What the gateway itself says to people of other networks: codes, reminders, what became of their name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import structlog

from gateway import traces
from gateway.bridge.jobs import decode_notice
from gateway.dm3.message import MessageType
from gateway.ids import EnsName, MessageHash, Network
from gateway.sdk.adapter import Adapter
from gateway.sdk.delivery import NOTICE_MARK, Delivered, Delivery, Rejected, Retry
from gateway.store.jobs import Job
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)


class Notices:
    """Handles NOTICE jobs: an adapter shows them as a message of our own name, which nobody answers automatically."""

    def __init__(self, adapters: Mapping[Network, Adapter], service_name: EnsName) -> None:
        self._adapters = adapters
        self._service_name = service_name

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Deliver one; a network that refuses it for good ends it."""
        work = decode_notice(job.payload)
        traces.bind(traces.of_work(work.key))
        adapter = self._adapters.get(work.network)
        if adapter is None:
            return Later(f"the {work.network} adapter is switched off")
        delivery = Delivery(
            key=work.key,
            recipient=work.person,
            recipient_name=work.name,
            sender=self._service_name,
            verified=True,
            type=MessageType.NEW,
            text=NOTICE_MARK + work.text,
            attachments=(),
            message_hash=MessageHash("0x" + hashlib.sha256(work.key.encode()).hexdigest()),
            sent_at=job.created_at,
            automatic=True,
        )
        match await adapter.deliver(delivery):
            case Delivered():
                return Done(delivered=True)
            case Retry(reason, after):
                return Later(reason, None if after is None else int(after * 1000))
            case Rejected(reason):
                log.info("notice.refused", network=work.network, job=job.id, reason=reason)
                return Done()

    async def expire(self, job: Job) -> Done:
        """It was of use for a time only."""
        log.info("notice.expired", job=job.id, reason=job.reason)
        return Done()
