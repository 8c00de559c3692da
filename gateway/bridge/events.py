"""Native events on their way through the lanes: each is handed to the adapter of its network."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from gateway.bridge.jobs import decode_event
from gateway.ids import Network
from gateway.sdk.adapter import Adapter
from gateway.sdk.delivery import Retry
from gateway.sdk.events import Handled, HandlesEvents, Parked
from gateway.store.jobs import Job, destination_of
from gateway.work.results import Checkpoint, Done, Hold, Later, Result

log = structlog.get_logger(__name__)


class Events:
    """Handles EVENT jobs."""

    def __init__(self, adapters: Mapping[Network, Adapter]) -> None:
        self._adapters = adapters

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Hand over one event; what the adapter cannot handle is set aside, and the lane goes on."""
        network = Network(destination_of(job.lane))
        adapter: object = self._adapters.get(network)
        if not isinstance(adapter, HandlesEvents):
            return Later(f"the {network} adapter is switched off")
        match await adapter.handle(decode_event(job.payload)):
            case Handled():
                return Done()
            case Retry(reason, after):
                return Later(reason, None if after is None else int(after * 1000))
            case Parked(reason):
                return Hold(reason)

    async def expire(self, job: Job) -> Done:
        """Nobody waits for an answer that could still be given."""
        log.warning("event.expired", job=job.id, lane=job.lane, reason=job.reason)
        return Done()
