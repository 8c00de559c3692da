"""Sending layers on: the jobs that `gateway.relay.forward` stored, each to the one service that its layer named.

Nobody can be told how it ended: a relay does not know the sender. So what can pass is tried until the layer's time is
over, and what cannot is dropped with a line in the log that names neither services nor people, nor what they said.
"""

from __future__ import annotations

from typing import Final

import structlog

from gateway.dm3.layers import LayerMethod
from gateway.ens.profiles import Profiles
from gateway.ens.relays import RemoteRelays
from gateway.errors import BadProfile, GatewayError, MethodNotSupported, UnknownName
from gateway.ids import EnsName
from gateway.offload import Offload
from gateway.relay.forward import Forwarding, ForwardJob, decode_forward
from gateway.relay.submit import Submission
from gateway.store.jobs import Job
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)

PROFILE_TRIES: Final = 6
"""A service whose profile is not there is looked up so often, over some ten minutes: records are changed in steps."""


class Forwarder:
    """Handles FORWARD jobs. `forwarding` is None when this relay takes no layers; what it took before still goes."""

    def __init__(
        self,
        *,
        own_name: EnsName,
        profiles: Profiles,
        relays: RemoteRelays,
        submission: Submission,
        forwarding: Forwarding | None,
        offload: Offload,
    ) -> None:
        self._own_name = own_name
        self._profiles = profiles
        self._relays = relays
        self._submission = submission
        self._forwarding = forwarding
        self._offload = offload

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Hand the payload over; a repeat is recognised by whoever got it, so a doubtful answer is tried again."""
        work = await self._offload.run(len(job.payload), decode_forward, job.payload)
        try:
            if work.next == self._own_name:
                await self._to_ourselves(work)
            else:
                await self._to_another(work)
        except GatewayError as error:
            missing = isinstance(error, UnknownName | BadProfile) and job.attempts + 1 < PROFILE_TRIES
            if error.retry or missing:
                return Later(error.sentence)
            log.warning("layer.refused", job=job.id, method=work.method, error=type(error).__name__)
            return Done()
        log.info("layer.forwarded", job=job.id, method=work.method)
        return Done()

    async def expire(self, job: Job) -> Done:
        """There is nobody to tell."""
        log.warning("layer.expired", job=job.id, reason=job.reason)
        return Done()

    async def _to_another(self, work: ForwardJob) -> None:
        service = await self._profiles.delivery_service(work.next)
        if work.method is LayerMethod.FORWARD:
            await self._relays.forward(service, work.payload)
        else:
            await self._relays.submit(service, work.payload)

    async def _to_ourselves(self, work: ForwardJob) -> None:
        if work.method is LayerMethod.SUBMIT:
            await self._submission.submit(work.payload, size=len(work.payload))
        elif self._forwarding is not None:
            await self._forwarding.accept(work.payload)
        else:
            raise MethodNotSupported("this relay forwards no layers")
