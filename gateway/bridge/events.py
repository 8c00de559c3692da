"""Native events on their way through the lanes: each is handed to the adapter of its network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from gateway.bridge.jobs import decode_events, encode_events
from gateway.ids import Network
from gateway.lifecycle import Clock
from gateway.sdk.adapter import Adapter, HasOneLink
from gateway.sdk.delivery import Retry
from gateway.sdk.events import HandlesEvents, NativeEvent, Parked
from gateway.store.jobs import Job, NewJob, destination_of
from gateway.store.queue import AddHeld
from gateway.work.results import Checkpoint, Done, Later, Result, clean_reason

log = structlog.get_logger(__name__)

NOTE_MS: Final = 5_000
"""After so long what is done is noted, so that a node that dies, or a time-out, costs no more than that."""


def elsewhere(adapters: Mapping[Network, Adapter]) -> list[Network]:
    """Networks whose one connection another node has: it delivers to them."""
    seen: Mapping[Network, object] = adapters
    return [network for network, adapter in seen.items() if isinstance(adapter, HasOneLink) and adapter.elsewhere]


class Events:
    """Handles EVENT jobs."""

    def __init__(self, adapters: Mapping[Network, Adapter], clock: Clock) -> None:
        self._adapters = adapters
        self._clock = clock

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Hand over the events in their order; what the adapter cannot handle is set aside alone."""
        network = Network(destination_of(job.lane))
        adapter: object = self._adapters.get(network)
        if not isinstance(adapter, HandlesEvents):
            return Later(f"the {network} adapter is switched off")
        events, parked = decode_events(job.payload), list[tuple[NativeEvent, str]]()
        noted_at = self._clock()
        for number, event in enumerate(events):
            if number and self._clock() - noted_at > NOTE_MS:
                await checkpoint(_rest(parked, events[number:]))
                noted_at = self._clock()
            match await adapter.handle(event):
                case Retry(reason, after):
                    if number > len(parked):
                        await checkpoint(_rest(parked, events[number:]))
                    return Later(reason, None if after is None else int(after * 1000))
                case Parked(reason):
                    parked.append((event, reason))
        for _, reason in parked:
            log.error("event.parked", network=network, job=job.id, reason=reason)
        return Done(tuple(AddHeld(_alone(job, event), clean_reason(reason)) for event, reason in parked))

    async def expire(self, job: Job) -> Done:
        """Nobody waits for an answer that could still be given."""
        log.warning("event.expired", job=job.id, lane=job.lane, reason=job.reason)
        return Done()


def _rest(parked: list[tuple[NativeEvent, str]], events: list[NativeEvent]) -> bytes:
    """What is left to do; parked events are found out again."""
    return encode_events([*(event for event, _ in parked), *events])


def _alone(job: Job, event: NativeEvent) -> NewJob:
    return NewJob(job.lane, job.kind, encode_events([event]), job.created_at, job.expires_at)
