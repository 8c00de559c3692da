"""Composition root: the only place that knows every part and joins them to one gateway."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from starlette.types import ASGIApp

from gateway.bridge.events import Events, elsewhere
from gateway.bridge.inbound import Inbound
from gateway.bridge.jobs import JobKind, inbound_job, notice_job
from gateway.bridge.notices import Notices
from gateway.bridge.outbound import LocalService, Outbound
from gateway.bridge.reports import Reports
from gateway.bridge.route import route_by
from gateway.custody.derive import adapter_key, link_code_key, notification_code_key, webhook_sealing_key
from gateway.custody.directory import Directory
from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed, load_seed
from gateway.dm3.eth import parse_address
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.ens.relays import RemoteRelays
from gateway.ens.wallets import Wallets
from gateway.errors import GatewayError
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock, Supervisor, now_ms
from gateway.offload import Offload
from gateway.operations.health import Health
from gateway.operations.housekeeping import Housekeeping
from gateway.operations.installation import parent_name
from gateway.relay.keys import load_service_keys
from gateway.relay.notify.mail_channel import MailChannel
from gateway.relay.notify.notifier import NotifyPolicy
from gateway.relay.notify.offered import Offered
from gateway.relay.notify.push_channel import PushChannel
from gateway.relay.notify.vapid import default_subject, load_vapid_key
from gateway.relay.service import DeliveryService, Notifications, Surroundings
from gateway.resolver import sources
from gateway.resolver.batch import batch_endpoint
from gateway.resolver.endpoint import BATCH_PATH, CCIP_PATH, CcipEndpoint
from gateway.resolver.key_file import KeyFile
from gateway.resolver.opening import open_signer
from gateway.resolver.registries.opening import Ground, open_registries
from gateway.resolver.registries.registries import Registries
from gateway.resolver.resolver import Resolver
from gateway.resolver.rows import Rows
from gateway.resolver.signer import Signer
from gateway.sdk.adapter import Adapter, SendsNotices, ServesHttp, ServesTrees
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.identities import Identity, IdentityNamed
from gateway.store.leases import AcquireLease
from gateway.store.names import NameNamed, NameRow
from gateway.subnames import service as subnames
from gateway.subnames.policy import Admission, policies
from gateway.subnames.service import NameService
from gateway.web.api_docs import api_docs_router
from gateway.web.application import http_app
from gateway.web.direct import Direct
from gateway.web.origins import origin_of
from gateway.web.pages import Pages
from gateway.web.rendering import Renderer, Site
from gateway.web.statics import root_files, static_files
from gateway.work.results import Handler
from gateway.work.worker import Worker

if TYPE_CHECKING:
    from gateway.bridge.context import BridgeContext

log = structlog.get_logger(__name__)

SERVICE_LABEL: Final = "ds"
"""Our delivery service is ``ds.<parent>``."""
DAY_MS: Final = 24 * 3600 * 1000


class Gateway:
    """One node. `open` builds it, `start` lets it work, `close` ends it; `app` is its HTTP side."""

    def __init__(self, settings: Settings, adapters: Mapping[Network, Adapter], clock: Clock) -> None:
        self.settings = settings
        self.adapters = adapters
        self.parent = parent_name(settings.ens.parent)
        self.service_name = EnsName(f"{SERVICE_LABEL}.{self.parent}")
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
        self._offload = Offload()
        self._service: DeliveryService
        self._contexts: dict[Network, BridgeContext] = {}
        self._chain_asked = asyncio.Event()
        self._key_file: KeyFile | None = None

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
        settings = self.settings
        self._policies = policies(self.parent, settings.subnames)
        keys = await asyncio.to_thread(load_service_keys, settings.relay.key_file)
        seed = await asyncio.to_thread(load_seed, settings.custody.seed_file)
        signer = await open_signer(settings.ens)
        self._key_file = signer if isinstance(signer, KeyFile) else None
        self.service_profile = DeliveryServiceProfile.of(keys, f"{settings.server.public_url}/ds")
        self.store = await Store.open(settings.store.url, clock=self._clock)
        self._resources.push_async_callback(self.store.close)
        self.name_rows = Rows(self.store, NameNamed)
        self.identity_rows = Rows(self.store, IdentityNamed)
        client = GuardedClient(allow_private=settings.chain.allow_private_gateways)
        self._resources.push_async_callback(client.close)
        # What the operator named may be on this machine.
        named = GuardedClient(allow_private=True)
        self._resources.push_async_callback(named.close)
        chain = self._chain = Chain(settings.chain.rpc_urls, settings.chain.chain_id, quorum=settings.chain.quorum)
        self._resources.push_async_callback(chain.close)
        holdings = Holdings(chain, block=settings.chain.decision_block, stake_view=settings.relay.stake.view)
        self._resources.push_async_callback(holdings.close)
        ens = Ens(chain, parse_address(settings.chain.ens_registry), client)
        profiles = Profiles(
            ens, client, ipfs_gateways=settings.chain.ipfs_gateways, ipfs_client=named, clock=self._clock
        )
        keyring = Keyring(seed, delivery_services=(self.service_name,), max_ttl_ms=self._message_ttl_ms)
        directory = self.directory = Directory(
            store=self.store, keyring=keyring, profiles=profiles, parents=self._policies, clock=self._clock
        )
        notifications = await self._notifications(client, notification_code_key(seed))
        # Slow submissions must not use up the connections of profile look-ups.
        submissions = GuardedClient(allow_private=settings.chain.allow_private_gateways, max_connections=256)
        self._resources.push_async_callback(submissions.close)
        service = self._service = self._delivery_service(
            keys, directory, profiles, holdings, submissions, named, notifications
        )
        self._resources.push_async_callback(service.close)
        names = self._names = self._name_service(keyring, chain, ens, seed, client)
        if self.adapters:
            self._lend(keyring, service, ens, client, named, seed)
        handlers = {
            **self._join_bridge(keyring, directory, profiles, submissions, service, holdings),
            **service.handlers(),
            **names.handlers(),
        }
        self._worker = Worker(
            store=self.store,
            handlers=handlers,
            owner=self._owner,
            clock=self._clock,
            elsewhere=partial(elsewhere, self.adapters),
        )
        self._housekeeping = Housekeeping(store=self.store, owner=self._owner, clock=self._clock)
        batch = self._batch_gateway(chain)
        self.app = self._http(service, self._resolver(keyring, signer), chain, batch)

    async def _notifications(self, client: GuardedClient, code_key: bytes) -> Notifications:
        """Mail through the first adapter that can send it, web push when there is a key."""
        settings = self.settings.notifications
        capable = (adapter for adapter in self.adapters.values() if isinstance(adapter, SendsNotices))
        mail = next((MailChannel(adapter, self.service_name) for adapter in capable), None)
        push = None
        if settings.vapid_key_file is not None:
            push = PushChannel(
                key=await asyncio.to_thread(load_vapid_key, settings.vapid_key_file),
                subject=settings.vapid_subject or default_subject(self.settings.server.public_url),
                client=client,
                clock=self._clock,
            )
        offered = Offered(*(way for way in (mail, push) if way is not None))
        policy = NotifyPolicy(settings.delay_seconds * 1000, settings.min_interval_seconds * 1000)
        return Notifications(offered, policy, mail, code_key)

    async def _check_store(self) -> None:
        """A write that every node may do: a database that only reads is not ready."""
        await self.store.commit(AcquireLease("readyz", self._owner, self._clock(), 1))

    @property
    def _message_ttl_ms(self) -> int:
        return self.settings.relay.message_ttl_days * DAY_MS

    def _delivery_service(
        self,
        keys: ServiceKeys,
        directory: Directory,
        profiles: Profiles,
        holdings: Holdings,
        client: GuardedClient,
        named: GuardedClient,
        notifications: Notifications,
    ) -> DeliveryService:
        settings = self.settings
        around = Surroundings(
            store=self.store,
            directory=directory,
            profiles=profiles,
            client=client,
            named_by_operator=named,
            holdings=holdings,
            keys=keys,
            service_name=self.service_name,
            service_profile=self.service_profile,
            public_url=settings.server.public_url,
            chain_id=settings.chain.chain_id,
            redis_url=settings.store.redis_url,
            capabilities={network: adapter.capabilities for network, adapter in self.adapters.items()},
            job_for=inbound_job,
            notifications=notifications,
            clock=self._clock,
            offload=self._offload,
        )
        return DeliveryService(settings.relay, around)

    def _join_bridge(
        self,
        keyring: Keyring,
        directory: Directory,
        profiles: Profiles,
        submissions: GuardedClient,
        relay: DeliveryService,
        holdings: Holdings,
    ) -> dict[str, Handler]:
        """The handlers of the bridge's jobs."""
        reports = Reports(self.adapters)
        remote = RemoteRelays(submissions)
        self._route = route_by(
            self.settings.relay,
            self.service_name,
            profiles=profiles,
            relays=remote,
            clock=self._clock,
            offload=self._offload,
        )
        outbound = Outbound(
            store=self.store,
            keyring=keyring,
            directory=directory,
            profiles=profiles,
            remote=remote,
            local=LocalService(self.service_name, self.service_profile, relay),
            standing=holdings,
            reports=reports,
            route=self._route,
            parent=self.parent,
            clock=self._clock,
            offload=self._offload,
        )
        inbound = Inbound(
            store=self.store,
            keyring=keyring,
            directory=directory,
            adapters=self.adapters,
            reports=reports,
            require_verified_sender=self.settings.relay.require_verified_sender,
            rules_of=relay.bridged.rules_of,
            message_ttl_ms=self._message_ttl_ms,
            clock=self._clock,
            offload=self._offload,
        )
        return {
            JobKind.INBOUND: inbound,
            JobKind.OUTBOUND: outbound,
            JobKind.REPORT: reports,
            JobKind.NOTICE: Notices(self.adapters, self.service_name),
            JobKind.EVENT: Events(self.adapters, self._clock),
        }

    def _lend(
        self,
        keyring: Keyring,
        relay: DeliveryService,
        ens: Ens,
        client: GuardedClient,
        named: GuardedClient,
        seed: MasterSeed,
    ) -> None:
        """What the adapters are lent. Loaded here: a node without any has no use for it, and would be larger by it."""
        from gateway.bridge.context import BridgeContext, Installation
        from gateway.bridge.holding import Holding
        from gateway.bridge.people import Household
        from gateway.ens.portraits import Portraits
        from gateway.subnames.departure import Departure

        identities, settings = Identities(keyring, self.parent), self.settings
        portraits = Portraits(ens, client, ipfs_gateways=settings.chain.ipfs_gateways, ipfs_client=named)
        people = Household(
            store=self.store,
            identities=identities,
            desk=relay.bridged,
            parent=self.parent,
            message_ttl_ms=self._message_ttl_ms,
            clock=self._clock,
            changed=self.identity_rows.forget,
            forget_keys=keyring.forget,
            end_link=Departure(self._names.registrar, self._clock).end_link,
        )
        installation = Installation(
            store=self.store,
            identities=identities,
            directory=self.directory,
            parent=self.parent,
            service_name=self.service_name,
            public_url=settings.server.public_url,
            size_limit=settings.relay.size_limit,
            message_ttl_ms=self._message_ttl_ms,
            clock=self._clock,
            portraits=portraits,
            holding=Holding(self.store, self._owner, self._clock),
            secret=partial(adapter_key, seed),
            people=people,
            changed=self.identity_rows.forget,
        )
        self._contexts = {network: BridgeContext(network, installation) for network in self.adapters}

    def _name_service(
        self, keyring: Keyring, chain: Chain, ens: Ens, seed: MasterSeed, client: GuardedClient
    ) -> NameService:
        """A claim is for long, so what somebody holds is asked for anew each time."""
        block = self.settings.chain.decision_block
        holdings = Holdings(chain, block=block, limits=HoldingLimits(ttl=0, unmet_ttl=0))
        self._resources.push_async_callback(holdings.close)
        around = subnames.Surroundings(
            store=self.store,
            keyring=keyring,
            identities=Identities(keyring, self.parent),
            wallets=Wallets(chain, block=block),
            holdings=holdings,
            ens=ens,
            networks=self.adapters,
            notice_for=notice_job,
            link_code_key=link_code_key(seed),
            webhook_sealing_key=webhook_sealing_key(seed),
            client=client,
            changed=self.name_rows.forget,
            looks_per_minute=self.settings.subnames.looks_per_minute,
            orders_per_minute=self.settings.subnames.orders_per_minute,
            offload=self._offload,
            public_url=self.settings.server.public_url,
            chain_id=self.settings.chain.chain_id,
            owner=self._owner,
            clock=self._clock,
        )
        return NameService(self._policies, self.parent, around)

    def _resolver(self, keyring: Keyring, signer: Signer) -> Resolver:
        own = {self.service_name: sources.delivery_service_records(self.service_profile)}
        return Resolver(
            (
                sources.Fixed(own),
                sources.Names(self.name_rows),
                sources.Identities(
                    rows=self.identity_rows,
                    parent=self.parent,
                    networks=frozenset(self.adapters),
                    profile_of=lambda identity: keyring.keys(identity).signed_profile,
                    admit=self._admission(keyring) if self.adapters else None,
                ),
            ),
            signer,
            map(parse_address, self.settings.ens.resolver_addresses),
            self.settings.ens.answer_ttl,
            self._policies,
            clock=lambda: self._clock() / 1000,
            registries=self._registries(),
        )

    def _admission(self, keyring: Keyring) -> sources.Admit:
        from gateway.bridge.newcomers import Newcomers

        identities = Identities(keyring, self.parent)
        return Newcomers(self.store, identities, self.adapters, self._clock, self.identity_rows.forget).admit

    def _registries(self) -> Registries:
        """Registries of other systems, for names below ours that nobody here has."""
        settings = self.settings
        ground = Ground(
            parent=self.parent,
            resolvers=[parse_address(each) for each in settings.ens.resolver_addresses],
            chain=self._chain,
            ens_registry=parse_address(settings.chain.ens_registry),
            allow_private_gateways=settings.chain.allow_private_gateways,
            clock=self._clock,
        )
        return open_registries(settings.ens.registries, self.adapters, ground, self._resources)

    def _batch_gateway(self, chain: Chain) -> CcipEndpoint | None:
        if not self.settings.ens.batch_gateway:
            return None
        # Others' look-ups must not use up the connections of ours.
        client = GuardedClient(allow_private=self.settings.chain.allow_private_gateways)
        self._resources.push_async_callback(client.close)
        return batch_endpoint(chain, client, self.settings.ens.batch_calls_per_minute)

    def _http(self, service: DeliveryService, resolver: Resolver, chain: Chain, batch: CcipEndpoint | None) -> ASGIApp:
        trees: dict[str, ASGIApp] = {CCIP_PATH: CcipEndpoint(resolver)}
        if batch is not None:
            trees[BATCH_PATH] = batch
        routes = list(service.routes())
        adapter: object
        for adapter in self.adapters.values():
            if isinstance(adapter, ServesHttp):
                routes.extend(adapter.routes())
            if isinstance(adapter, ServesTrees):
                trees.update(adapter.trees())
        routes.append(static_files())
        health = Health({"store": self._check_store, "chain": chain.check_chain_id})
        public_url = self.settings.server.public_url
        site = Site(
            parent=self.parent,
            service=self.service_name,
            origin=origin_of(public_url),
            chain_id=self.settings.chain.chain_id,
            claimable=self._policies[self.parent].admission is not Admission.CLOSED,
            networks=tuple(sorted(self.adapters)),
        )
        renderer = Renderer(site, self._clock)
        routers = (
            *service.routers(),
            *self._names.routers(),
            health.router(),
            Pages(renderer, registrar=self._names.registrar, store=self.store).router(),
            root_files(),
            api_docs_router(renderer),
        )
        return Direct(http_app(routes, routers, public_url=public_url, renderer=renderer), service.direct(), trees)
