"""Composition root: the only place that knows every part and joins them to one gateway."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from gateway import __version__
from gateway.bridge.context import BridgeContext, Installation
from gateway.bridge.inbound import Inbound
from gateway.bridge.jobs import JobKind, inbound_job
from gateway.bridge.outbound import LocalService, Outbound
from gateway.bridge.remote import RemoteRelays
from gateway.bridge.reports import Reports
from gateway.custody.directory import Directory
from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.dm3.eth import parse_address
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.errors import ConfigError, GatewayError, InvalidParams, NotFound
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock, Supervisor, now_ms, settle
from gateway.offload import Offload
from gateway.operations.health import Health
from gateway.operations.housekeeping import Housekeeping
from gateway.operations.installation import parent_name
from gateway.relay.body import Bodies
from gateway.relay.extension import ProfileExtensions
from gateway.relay.keys import load_service_keys
from gateway.relay.properties import ServiceProperties
from gateway.relay.recipients import Recipients
from gateway.relay.rest import RestApi
from gateway.relay.rpc import RpcEndpoint
from gateway.relay.sessions import Sessions
from gateway.relay.submit import RelayPolicy, Submission
from gateway.resolver import sources
from gateway.resolver.endpoint import ccip_routes
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import Signer, load_signer
from gateway.sdk.adapter import Adapter, ServesHttp
from gateway.settings import Settings, validate_section
from gateway.store import Store
from gateway.store.leases import AcquireLease
from gateway.web.api_docs import api_docs_router
from gateway.web.direct import Direct
from gateway.web.home import home_router, static_files
from gateway.web.server import HttpServer, listen
from gateway.work.worker import Worker

log = structlog.get_logger(__name__)

ADAPTERS_GROUP: Final = "dm3_gateway.adapters"
SERVICE_LABEL: Final = "ds"
"""Our delivery service is ``ds.<parent>``."""
DAY_MS: Final = 24 * 3600 * 1000
RPC_PATHS: Final = ("/rpc", "/ds/rpc", "/ds", "/ds/", "/")
RPC_METHODS: Final = ("POST", "OPTIONS")


def make_adapters(
    settings: Settings, base: Path, types: Mapping[Network, type[Adapter]] | None = None
) -> dict[Network, Adapter]:
    """An adapter for each ``[adapters.<name>]`` table; ConfigError for a name that nobody provides."""
    known = {point.name: point.load for point in entry_points(group=ADAPTERS_GROUP)}
    given = {str(network): kind for network, kind in (types or {}).items()}
    made: dict[Network, Adapter] = {}
    for name, table in settings.adapters.items():
        if name in given:
            kind = given[name]
        elif name in known:
            kind = known[name]()
        else:
            raise ConfigError(f"adapters.{name}: no such adapter is installed (known: {', '.join(sorted(known))})")
        made[Network(name)] = kind(validate_section(kind.Settings, table, where=f"adapters.{name}", base=base))
    return made


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
        self.service_profile: DeliveryServiceProfile
        self._clock = clock
        self._owner = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._resources = AsyncExitStack()
        self._supervisor = Supervisor()
        self._deliveries = Supervisor()
        self._offload = Offload()
        self._contexts: dict[Network, BridgeContext] = {}
        self._chain_asked = asyncio.Event()

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

    async def close(self) -> None:
        """Stop the work, close adapters and connections in the opposite order of opening."""
        # Deliveries under way need their adapters to end well.
        await self._deliveries.stop()
        await self._supervisor.stop()
        await self._resources.aclose()

    async def _build(self) -> None:
        settings = self.settings
        keys = await asyncio.to_thread(load_service_keys, settings.relay.key_file)
        seed = await asyncio.to_thread(load_seed, settings.custody.seed_file)
        signer = await asyncio.to_thread(load_signer, settings.ens.signer_key_file)
        self.service_profile = DeliveryServiceProfile.of(keys, f"{settings.server.public_url}/ds")
        self.store = await Store.open(settings.store.url, clock=self._clock)
        self._resources.push_async_callback(self.store.close)
        client = GuardedClient(allow_private=settings.chain.allow_private_gateways)
        self._resources.push_async_callback(client.close)
        ipfs = GuardedClient(allow_private=True)
        self._resources.push_async_callback(ipfs.close)
        chain = self._chain = Chain(settings.chain.rpc_urls, settings.chain.chain_id)
        self._resources.push_async_callback(chain.close)
        profiles = Profiles(
            Ens(chain, parse_address(settings.chain.ens_registry), client),
            client,
            ipfs_gateways=settings.chain.ipfs_gateways,
            # The operator named these gateways; one on this machine is as good as any.
            ipfs_client=ipfs,
        )
        keyring = Keyring(seed, delivery_services=(self.service_name,), max_ttl_ms=self._message_ttl_ms)
        directory = self.directory = Directory(
            store=self.store, keyring=keyring, profiles=profiles, parent=self.parent, clock=self._clock
        )
        recipients = Recipients(directory, self.service_name)
        submission = self._submission(keys, recipients, directory)
        # Slow submissions must not use up the connections of profile look-ups.
        submissions = GuardedClient(allow_private=settings.chain.allow_private_gateways, max_connections=256)
        self._resources.push_async_callback(submissions.close)
        self._join_bridge(keyring, directory, profiles, submissions, submission)
        self._housekeeping = Housekeeping(store=self.store, owner=self._owner, clock=self._clock)
        self.app = self._http(submission, recipients, directory, self._resolver(keyring, signer), chain)

    async def _check_store(self) -> None:
        """A write that every node may do: a database that only reads is not ready."""
        await self.store.commit(AcquireLease("readyz", self._owner, self._clock(), 1))

    @property
    def _message_ttl_ms(self) -> int:
        return self.settings.relay.message_ttl_days * DAY_MS

    def _submission(self, keys: ServiceKeys, recipients: Recipients, directory: Directory) -> Submission:
        relay = self.settings.relay
        return Submission(
            policy=RelayPolicy(relay.size_limit, self._message_ttl_ms, relay.require_verified_sender),
            keys=keys,
            recipients=recipients,
            directory=directory,
            store=self.store,
            job_for=inbound_job,
            clock=self._clock,
            offload=self._offload,
        )

    def _join_bridge(
        self,
        keyring: Keyring,
        directory: Directory,
        profiles: Profiles,
        submissions: GuardedClient,
        submission: Submission,
    ) -> None:
        installation = Installation(
            store=self.store,
            identities=Identities(keyring, self.parent),
            directory=directory,
            parent=self.parent,
            public_url=self.settings.server.public_url,
            size_limit=self.settings.relay.size_limit,
            message_ttl_ms=self._message_ttl_ms,
            clock=self._clock,
        )
        self._contexts = {network: BridgeContext(network, installation) for network in self.adapters}
        reports = Reports(self.adapters)
        outbound = Outbound(
            store=self.store,
            keyring=keyring,
            directory=directory,
            profiles=profiles,
            remote=RemoteRelays(submissions),
            local=LocalService(self.service_name, self.service_profile, submission),
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
            message_ttl_ms=self._message_ttl_ms,
            clock=self._clock,
            offload=self._offload,
        )
        self._worker = Worker(
            store=self.store,
            handlers={JobKind.INBOUND: inbound, JobKind.OUTBOUND: outbound, JobKind.REPORT: reports},
            owner=self._owner,
            clock=self._clock,
        )

    def _resolver(self, keyring: Keyring, signer: Signer) -> Resolver:
        own = {self.service_name: sources.delivery_service_records(self.service_profile)}
        return Resolver(
            (
                sources.Fixed(own),
                sources.Names(self.store),
                sources.Identities(
                    store=self.store,
                    parent=self.parent,
                    networks=frozenset(self.adapters),
                    profile_of=lambda identity: keyring.keys(identity).signed_profile,
                ),
            ),
            signer,
            map(parse_address, self.settings.ens.resolver_addresses),
            self.settings.ens.answer_ttl,
            (self.parent,),
            clock=lambda: self._clock() / 1000,
        )

    def _http(
        self,
        submission: Submission,
        recipients: Recipients,
        directory: Directory,
        resolver: Resolver,
        chain: Chain,
    ) -> ASGIApp:
        relay = self.settings.relay
        capabilities = {network: adapter.capabilities for network, adapter in self.adapters.items()}
        bodies = Bodies()
        rpc = RpcEndpoint(
            submission=submission,
            properties=ServiceProperties(relay.message_ttl_days, relay.size_limit),
            extensions=ProfileExtensions(directory=directory, recipients=recipients, capabilities=capabilities),
            bodies=bodies,
            offload=self._offload,
        )
        rest = RestApi(
            sessions=Sessions(store=self.store, directory=directory, clock=self._clock),
            directory=directory,
            store=self.store,
            service_profile=self.service_profile,
            clock=self._clock,
            bodies=bodies,
        )
        routes: list[BaseRoute] = [Route(path, rpc, methods=RPC_METHODS) for path in RPC_PATHS]
        routes.extend(ccip_routes(resolver))
        adapter: object
        for adapter in self.adapters.values():
            if isinstance(adapter, ServesHttp):
                routes.extend(adapter.routes())
        health = Health({"store": self._check_store, "chain": chain.check_chain_id})
        routes.append(static_files())
        app = http_app(routes, (rest.router(), health.router(), home_router(self.service_name), api_docs_router()))
        return Direct(app, {(method, path): rpc for method in RPC_METHODS for path in RPC_PATHS})


def http_app(routes: Sequence[BaseRoute], routers: Sequence[APIRouter]) -> FastAPI:
    """The FastAPI application around the given routes; every error is JSON with a sentence, none a traceback."""
    app = FastAPI(title="DM3 Gateway", version=__version__, docs_url=None, redoc_url=None)
    app.router.routes.extend(routes)
    for router in routers:
        app.include_router(router)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["authorization", "content-type"]
    )
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    return app


async def _gateway_error(_request: Request, error: Exception) -> JSONResponse:
    named = error if isinstance(error, GatewayError) else GatewayError()
    if named.status >= 500:
        log.warning("http.failed", error=type(named).__name__, detail=named.detail)
    return JSONResponse({"error": named.sentence}, named.status)


async def _invalid_request(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"error": InvalidParams.sentence}, 400)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    """What the router refuses: no such path (404), no such method there (405)."""
    assert isinstance(error, HTTPException)
    sentence = {404: NotFound.sentence, 405: "This method is not allowed here."}.get(
        error.status_code, InvalidParams.sentence
    )
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def _failed(_request: Request, _error: Exception) -> JSONResponse:
    """A fault of ours that has no name; the server writes it to the log."""
    return JSONResponse({"error": GatewayError.sentence}, GatewayError.status)


async def serve_until(settings: Settings, adapters: Mapping[Network, Adapter], stop: asyncio.Event) -> None:
    """Run one node until `stop` is set, then finish what was begun. A stop during the start ends the start."""
    with listen(settings.server.host, settings.server.port) as bound:
        async with AsyncExitStack() as closing:
            await _unless(stop, _serve(settings, adapters, bound, closing))
            await stop.wait()
            log.info("gateway.stopping")
    log.info("gateway.stopped")


async def _serve(
    settings: Settings, adapters: Mapping[Network, Adapter], bound: socket.socket, closing: AsyncExitStack
) -> None:
    gateway = await Gateway.open(settings, adapters)
    closing.push_async_callback(gateway.close)
    await gateway.start()
    server = HttpServer(gateway.app, bound)
    closing.push_async_callback(server.stop)
    await server.start()
    log.info("gateway.serving", host=server.host, port=server.port, service=gateway.service_name)
    await gateway.loaded()
    settle()


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work`, which is cancelled when `stop` comes first; raises what it raises."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait((task, stopping))
    if not task.cancelled():
        task.result()
