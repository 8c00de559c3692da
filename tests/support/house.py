"""A whole gateway for tests: local chain, store, HTTP on a real socket, native clients, adapters of the caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import httpx2
from starlette.types import ASGIApp

from gateway.app import Gateway
from gateway.bridge import newcomers
from gateway.demo.chain.running import RunningChain, running_chain
from gateway.demo.ground import found_parent, future_resolver, publish
from gateway.dm3.eth import parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import DEFAULT_LIMITS, Holdings
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock, now_ms
from gateway.operations import health
from gateway.operations.dm3_client import Dm3Client
from gateway.operations.installation import Answers, create_installation
from gateway.relay import sessions
from gateway.resolver.signer import load_signer
from gateway.sdk import Adapter
from gateway.settings import Settings, load_settings
from gateway.store.migrate import upgrade
from gateway.web.server import HttpServer, listen

PARENT = EnsName("gw.eth")
MINUTE: Final = 60.0


@contextmanager
def patience() -> Iterator[None]:
    """Whatever a gateway in the test's own process waits for has a minute: all of it may stand still for seconds."""
    limits = replace(DEFAULT_LIMITS, patience=MINUTE)
    with (
        patch.dict(Chain.__init__.__kwdefaults__ or {}, timeout=MINUTE),
        patch.dict(GuardedClient.__init__.__kwdefaults__ or {}, timeout=MINUTE),
        patch.dict(Holdings.__init__.__kwdefaults__ or {}, limits=limits),
        patch.object(health, "PATIENCE_SECONDS", MINUTE),
        patch.object(sessions, "NAME_SECONDS", MINUTE),
        patch.object(newcomers, "ASK_SECONDS", MINUTE),
    ):
        yield


@dataclass
class House:
    """One running gateway and what surrounds it."""

    gateway: Gateway
    chain: RunningChain
    settings: Settings
    profiles: Profiles
    ens: Ens
    http: httpx2.AsyncClient
    config: Path
    server: HttpServer
    clients: dict[EnsName, Dm3Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.settings.server.public_url

    async def native(self, name: str, account: str = "native", service: EnsName | None = None) -> Dm3Client:
        """A native client whose name and profile are on the chain."""
        client = Dm3Client(
            name=EnsName(name),
            wallet=self.chain.accounts[account].key,
            profiles=self.profiles,
            http=self.http,
            service=service or self.gateway.service_name,
        )
        await asyncio.to_thread(publish, self.chain, client, (client.name,))
        self.clients[client.name] = client
        return client


@asynccontextmanager
async def running_house(
    folder: Path,
    *,
    adapters: Mapping[Network, Adapter] | None = None,
    chain: RunningChain | None = None,
    parent: EnsName = PARENT,
    store_url: str = "sqlite:///gateway.db",
    overrides: Mapping[str, str] | None = None,
    clock: Clock = now_ms,
    working: bool = True,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> AsyncIterator[House]:
    """Start a gateway in `folder`; `overrides` are environment variables of the configuration.

    With `working` False nothing but HTTP runs: adapters stay closed and lanes are not served. `around` may put
    something between socket and application that looks at requests.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(patience())
        if chain is None:
            chain = await stack.enter_async_context(running_chain())
        bound = listen("127.0.0.1", 0)
        stack.callback(bound.close)
        port: int = bound.getsockname()[1]
        answers = Answers(
            parent=parent,
            public_url=f"http://127.0.0.1:{port}",
            port=port,
            rpc_url=chain.url,
            chain_id=chain.chain_id,
            ens_registry=chain.registry,
            resolver_address=future_resolver(chain),
            allow_private_gateways=True,
            store_url=store_url,
        )
        config = create_installation(folder, answers)
        settings = load_settings(config, environ=dict(overrides or {}))
        signer = load_signer(settings.ens.signer_key_file).address
        await asyncio.to_thread(found_parent, chain, parent, settings.server.public_url, signer)
        await asyncio.to_thread(upgrade, settings.store.url)
        gateway = await Gateway.open(settings, adapters or {}, clock=clock)
        stack.push_async_callback(gateway.close)
        if working:
            await gateway.start()
        server = HttpServer(around(gateway.app), bound)
        await server.start()
        stack.push_async_callback(server.stop)
        stack.push_async_callback(gateway.hang_up)
        client = GuardedClient(allow_private=True, timeout=30)
        stack.push_async_callback(client.close)
        reader = Chain((chain.url,), chain.chain_id, timeout=30)
        stack.push_async_callback(reader.close)
        ens = Ens(reader, parse_address(chain.registry), client)
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False, timeout=60))
        yield House(gateway, chain, settings, Profiles(ens, client), ens, http, config, server)


@asynccontextmanager
async def another_node(
    house: House, *, adapters: Mapping[Network, Adapter] | None = None, working: bool = True
) -> AsyncIterator[House]:
    """A second node of the same installation: same keys, chain and database, an address of its own."""
    async with AsyncExitStack() as stack:
        bound = listen("127.0.0.1", 0)
        stack.callback(bound.close)
        gateway = await Gateway.open(house.settings, adapters or {})
        stack.push_async_callback(gateway.close)
        if working:
            await gateway.start()
        server = HttpServer(gateway.app, bound)
        await server.start()
        stack.push_async_callback(server.stop)
        stack.push_async_callback(gateway.hang_up)
        own = house.settings.server.model_copy(update={"public_url": f"http://127.0.0.1:{server.port}"})
        yield replace(house, gateway=gateway, settings=house.settings.model_copy(update={"server": own}))


async def rpc(house: House, method: str, *params: Any, identifier: Any = 7) -> httpx2.Response:
    """One JSON-RPC call to the house's relay."""
    call = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": list(params)}
    return await house.http.post(f"{house.url}/ds/rpc", json=call)
