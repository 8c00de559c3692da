"""Whoever watches the node: health, figures, spans."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from gateway.dm3.signing import sign, verify
from gateway.errors import CustodyError, Unavailable
from gateway.ids import EnsName, Network
from gateway.joining.parts import Parts
from gateway.operation_settings import OperationSettings
from gateway.operations.figures import Moments
from gateway.operations.health import Check, Health
from gateway.operations.lag import Lag
from gateway.operations.metrics import ADAPTER, Metrics
from gateway.operations.metrics_door import MetricsDoor, open_door
from gateway.operations.tombstone_file import TombstoneKeeper
from gateway.resolver.key_file import KeyFile
from gateway.sdk.adapter import Adapter, ReportsReadiness
from gateway.store.identities import ListIdentities
from gateway.store.leases import AcquireLease
from gateway.watch import Watch
from gateway.work.worker import Worker

WORKER_SECONDS: Final = 30.0
"""A worker that lives looks for work every second; a store that is slow may hold it up for some more."""


async def open_watch(settings: OperationSettings, service: EnsName, resources: AsyncExitStack) -> Watch:
    """What counts, and sends spans if the settings name a collector. Raises ConfigError when its client is missing."""
    watch = Watch()
    if settings.otlp_endpoint is not None:
        from gateway.operations.otel import OtelSpans

        spans = watch.spans = OtelSpans(settings.otlp_endpoint, service)
        resources.push_async_callback(spans.close)
    return watch


def join_health(parts: Parts, worker: Worker, key_file: KeyFile | None, tombstones: TombstoneKeeper) -> Health:
    """What the node needs, and what may be away for a while."""

    async def store() -> None:
        # A write that every node may do: a database that only reads is not ready.
        await parts.store.commit(AcquireLease("readyz", parts.owner, parts.clock(), 1))

    async def keys() -> None:
        signature = sign(parts.service_keys.signing, "readyz")
        if not verify(parts.service_profile.public_signing_key, "readyz", signature):
            raise CustodyError("the relay's keys do not fit its profile")
        # A seed that is another installation's opens nobody's salt.
        for identity in await parts.store.read(ListIdentities(None, 1)):
            if identity.sealed_salt is not None:
                parts.keyring.keys(identity)

    async def alive() -> None:
        if time.monotonic() - worker.looked_at > WORKER_SECONDS:
            raise Unavailable("the worker does not look for work")

    others: dict[str, Check] = {"chain": parts.chain.check_chain_id, "tombstones": tombstones.check}
    if key_file is not None:
        others["resolver key"] = key_file.check
    others |= {f"{ADAPTER}{network}": check for network, check in _links(parts.adapters).items()}
    return Health({"store": store, "keys": keys, "worker": alive}, others)


def _links(adapters: Mapping[Network, Adapter]) -> dict[Network, Check]:
    """How to see whether a network can be reached, of the adapters that can tell."""
    seen: Mapping[Network, object] = adapters
    return {network: adapter.reach for network, adapter in seen.items() if isinstance(adapter, ReportsReadiness)}


async def join_metrics(parts: Parts, health: Health, lag: Lag) -> MetricsDoor:
    """`/metrics`. Reads the token, if one is asked for; raises ConfigError."""
    settings = parts.settings
    moments = Moments(
        store=parts.store,
        health=health,
        lag=lag,
        backups=settings.operation.backup_folder,
        data=settings.relay.key_file.parent,
        clock=parts.clock,
    )
    behind_proxy = bool(settings.server.trusted_proxies)
    return await open_door(Metrics(parts.watch, moments), settings.operation, behind_proxy=behind_proxy)
