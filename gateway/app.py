"""Composition root: the only place that knows every part and joins them to one gateway."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp

from gateway.bodies import Bodies
from gateway.bridge.events import elsewhere
from gateway.custody.directory import Directory
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.dm3.eth import parse_address
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import Holdings
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.errors import GatewayError
from gateway.ids import Network
from gateway.joining.bridge import join_bridge
from gateway.joining.http import join_http
from gateway.joining.lookups import join_resolver
from gateway.joining.naming import join_names
from gateway.joining.parts import Clients, Parts, message_ttl_ms
from gateway.joining.relay import join_relay
from gateway.joining.watching import join_health, join_metrics, open_watch
from gateway.lifecycle import Clock, Supervisor, now_ms
from gateway.offload import Offload
from gateway.operations.health import Health
from gateway.operations.housekeeping import Housekeeping
from gateway.operations.installation import parent_name, service_name
from gateway.operations.lag import Lag
from gateway.operations.tombstone_file import TombstoneKeeper
from gateway.relay.keys import load_service_keys
from gateway.relay.service import DeliveryService
from gateway.resolver.key_file import KeyFile
from gateway.resolver.opening import open_signer
from gateway.resolver.rows import Rows
from gateway.sdk.adapter import Adapter
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.identities import IdentitiesNamed, Identity
from gateway.store.names import NameRow, NamesNamed
from gateway.subnames.policy import policies
from gateway.watch import Counted, Timed
from gateway.work.worker import Worker

if TYPE_CHECKING:
    from gateway.bridge.context import BridgeContext

log = structlog.get_logger(__name__)


class Gateway:
    """One node. `open` builds it, `start` lets it work, `close` ends it; `app` is its HTTP side."""

    def __init__(self, settings: Settings, adapters: Mapping[Network, Adapter], clock: Clock) -> None:
        self.settings = settings
        self.adapters = adapters
        self.parent = parent_name(settings.ens.parent)
        self.service_name = service_name(self.parent)
        self.app: ASGIApp
        self.directory: Directory
        self.store: Store
        self.name_rows: Rows[NameRow]
        """What the resolver reads; whoever changes or removes a row here says so by its ``forget``."""
        self.identity_rows: Rows[Identity]
        """The same of bridged people."""
        self.service_profile: DeliveryServiceProfile
        self._clock = clock
        self._owner = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._resources = AsyncExitStack()
        self._supervisor = Supervisor()
        self._deliveries = Supervisor()
        self._service: DeliveryService
        self._parts: Parts
        self._contexts: dict[Network, BridgeContext] = {}
        self._chain_asked = asyncio.Event()
        self._key_file: KeyFile | None = None
        self._health: Health
        self._lag = Lag()

    @classmethod
    async def open(cls, settings: Settings, adapters: Mapping[Network, Adapter], *, clock: Clock = now_ms) -> Gateway:
        """Read keys, connect the store, join all parts. Does I/O; nothing listens yet.

        Raises ConfigError, CustodyError, SchemaMismatch, Unavailable.
        """
        gateway = cls(settings, adapters, clock)
        try:
            await gateway._build()
        except BaseException:
            await gateway.close()
            raise
        return gateway

    async def start(self) -> None:
        """Open the adapters, then work on the lanes. What an adapter raises stops the start."""
        for network, adapter in self.adapters.items():
            self._resources.push_async_callback(adapter.close)
            await adapter.open(self._contexts[network])
            self._supervisor.start(f"adapter {network}", adapter.run)
            log.info("adapter.open", network=network)
        self._supervisor.start("chain", self._reach_chain)
        if self._key_file is not None:
            self._supervisor.start("resolver key", self._key_file.run)
        for name, work in self._service.tasks().items():
            self._supervisor.start(name, work)
        for name, work in self._names.tasks().items():
            self._supervisor.start(name, work)
        if self._route is not None:
            self._supervisor.start("route", self._route.run)
        self._deliveries.start("worker", self._worker.run)
        self._supervisor.start("housekeeping", self._housekeeping.run)
        self._supervisor.start("tombstones", self._tombstones.run)
        self._supervisor.start("lag", self._lag.run)

    async def _reach_chain(self) -> None:
        """Ask the chain once before anybody needs it: loads its client, and tells an operator who named another one."""
        try:
            await self._chain.check_chain_id()
        except GatewayError as error:
            log.error("chain.not_ready", error=type(error).__name__, detail=error.detail)
        finally:
            self._chain_asked.set()

    async def loaded(self) -> None:
        """Return when also that is loaded which comes after the start: the client of the chain."""
        await self._chain_asked.wait()

    def operator_pages(self, config: Path | None) -> ASGIApp:
        """The application of the operators' listener, which looks at ``config`` as doctor does; raises ConfigError."""
        # A node without these pages does not load them.
        from gateway.joining.admin import join_admin

        return join_admin(self._parts, self._health, config)

    def stand_down(self) -> None:
        """Let `/readyz` send balancers away from now on; everything else goes on."""
        self._health.stop()

    async def hang_up(self) -> None:
        """Answer long polls and disconnect sockets, so that the HTTP server can finish what was begun."""
        await self._service.close()

    async def close(self) -> None:
        """Stop the work, close adapters and connections in the opposite order of opening."""
        # Deliveries under way need their adapters to end well.
        await self._deliveries.stop()
        await self._supervisor.stop()
        await self._resources.aclose()

    async def _build(self) -> None:
        signer = await open_signer(self.settings.ens)
        self._key_file = signer if isinstance(signer, KeyFile) else None
        parts = self._parts = await self._open_parts()
        self._chain = parts.chain
        service = self._service = await join_relay(parts)
        self._resources.push_async_callback(service.close)
        names = self._names = join_names(parts)
        if self.adapters:
            from gateway.joining.lending import lend

            self._contexts = lend(parts, service)
        handlers, self._route = join_bridge(parts, service)
        self._worker = Worker(
            store=self.store,
            handlers={**handlers, **service.handlers(), **names.handlers()},
            owner=self._owner,
            clock=self._clock,
            elsewhere=partial(elsewhere, self.adapters),
            watch=parts.watch,
        )
        self._housekeeping = Housekeeping(store=self.store, owner=self._owner, clock=self._clock)
        self._tombstones = TombstoneKeeper(self.store, self.settings.operation.tombstone_file)
        health = self._health = join_health(parts, self._worker, self._key_file, self._tombstones)
        metrics = await join_metrics(parts, health, self._lag)
        operations = (health.router(), metrics.router())
        self.app = join_http(parts, service, names, join_resolver(parts, signer), operations)

    async def _open_parts(self) -> Parts:
        """Read the keys, connect the store, and make what everything stands on."""
        settings, chain_settings, clock = self.settings, self.settings.chain, self._clock
        by_parent = policies(self.parent, settings.subnames)
        keys = await asyncio.to_thread(load_service_keys, settings.relay.key_file)
        seed = await asyncio.to_thread(load_seed, settings.custody.seed_file)
        self.service_profile = DeliveryServiceProfile.of(keys, f"{settings.server.public_url}/ds")
        watch = await open_watch(settings.operation, self.service_name, self._resources)
        batches = partial(watch.measure, Timed.BATCH)
        self.store = await Store.open(settings.store.url, clock=clock, committed=batches)
        self._resources.push_async_callback(self.store.close)
        self.name_rows = Rows(self.store, NamesNamed)
        self.identity_rows = Rows(self.store, IdentitiesNamed)
        clients = self._open_clients()
        chain = Chain(
            chain_settings.rpc_urls,
            chain_settings.chain_id,
            quorum=chain_settings.quorum,
            disagreed=partial(watch.count, Counted.DISAGREED),
        )
        self._resources.push_async_callback(chain.close)
        holdings = Holdings(chain, block=chain_settings.decision_block, stake_view=settings.relay.stake.view)
        self._resources.push_async_callback(holdings.close)
        ens = Ens(chain, parse_address(chain_settings.ens_registry), clients.public)
        gateways = chain_settings.ipfs_gateways
        profiles = Profiles(ens, clients.public, ipfs_gateways=gateways, ipfs_client=clients.named, clock=clock)
        keyring = Keyring(seed, delivery_services=(self.service_name,), max_ttl_ms=message_ttl_ms(settings))
        self.directory = Directory(store=self.store, keyring=keyring, profiles=profiles, parents=by_parent, clock=clock)
        offload = Offload()
        return Parts(
            settings=settings,
            adapters=self.adapters,
            parent=self.parent,
            service_name=self.service_name,
            service_keys=keys,
            service_profile=self.service_profile,
            policies=by_parent,
            store=self.store,
            name_rows=self.name_rows,
            identity_rows=self.identity_rows,
            seed=seed,
            keyring=keyring,
            directory=self.directory,
            chain=chain,
            ens=ens,
            profiles=profiles,
            holdings=holdings,
            clients=clients,
            resources=self._resources,
            owner=self._owner,
            clock=clock,
            offload=offload,
            bodies=Bodies(offload=offload),
            watch=watch,
        )

    def _open_clients(self) -> Clients:
        private = self.settings.chain.allow_private_gateways
        clients = Clients(
            public=GuardedClient(allow_private=private),
            named=GuardedClient(allow_private=True),
            submissions=GuardedClient(allow_private=private, max_connections=256),
        )
        for client in (clients.public, clients.named, clients.submissions):
            self._resources.push_async_callback(client.close)
        return clients
