"""Where a row is measured: a chain with people on it, and an installation that is ready to serve."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.chain.accounts import ACCOUNT_NAMES
from gateway.demo.chain.running import RunningChain, running_chain
from gateway.demo.ground import found_parent, future_resolver
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ids import EnsName
from gateway.operations.installation import DATABASE, Answers, create_installation
from gateway.relay.keys import load_service_keys
from gateway.resolver.signer import load_signer
from gateway.settings import Settings, load_settings
from gateway.store.migrate import upgrade
from gateway.web.server import listen
from tests.bench.people import Person, crowd, publish

PARENT = EnsName("gw.eth")
SERVICE = EnsName(f"ds.{PARENT}")
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class World:
    """An installation, its people, and what they know of it."""

    config: Path
    settings: Settings
    port: int
    service: DeliveryServiceProfile
    senders: tuple[Person, ...]
    recipients: tuple[Person, ...]

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.settings.server.public_url

    @property
    def host(self) -> str:
        """Host and port, as a Host header has them."""
        return f"{HOST}:{self.port}"

    def service_seeds(self) -> tuple[str, str]:
        """The service's seeds for encryption and signing, in hex: the floor has the keys of the house."""
        content = tomllib.loads(self.settings.relay.key_file.read_text(encoding="ascii"))
        return content["encryption"], content["signing"]


@asynccontextmanager
async def founded(
    folder: Path,
    *,
    senders: int,
    recipients: int,
    adapters: Mapping[str, Mapping[str, Any]] | None = None,
    store_url: str = f"sqlite:///{DATABASE}",
    claims: str = "closed",
) -> AsyncIterator[World]:
    """A fresh world in ``folder``; its chain is served by this process. ``adapters`` are tables by network.

    A path in ``store_url`` is below the folder; ``claims`` is who may claim names.
    """
    writing, reading = crowd("sender", senders), crowd("recipient", recipients)
    labels = [person.name.removesuffix(".eth") for person in (*writing, *reading)]
    # Bound and never listened on: nobody else is given this port, and the server may bind it all the same.
    with listen(HOST, 0) as reserved:
        port: int = reserved.getsockname()[1]
        async with running_chain(names=(*ACCOUNT_NAMES, *labels)) as chain:
            people = (writing, reading)
            yield await _installed(folder, chain, port, people, adapters or {}, store_url=store_url, claims=claims)


async def _installed(
    folder: Path,
    chain: RunningChain,
    port: int,
    people: tuple[tuple[Person, ...], tuple[Person, ...]],
    adapters: Mapping[str, Mapping[str, Any]],
    *,
    store_url: str,
    claims: str,
) -> World:
    writing, reading = people
    config = create_installation(
        folder,
        Answers(
            parent=PARENT,
            public_url=f"http://{HOST}:{port}",
            port=port,
            rpc_url=chain.url,
            chain_id=chain.chain_id,
            ens_registry=chain.registry,
            resolver_address=future_resolver(chain),
            allow_private_gateways=True,
            adapters=adapters,
            store_url=store_url,
            claims=claims,
        ),
    )
    settings = load_settings(config, environ={})
    signer = load_signer(settings.ens.signer_key_file).address
    await asyncio.to_thread(found_parent, chain, PARENT, settings.server.public_url, signer)
    await asyncio.to_thread(publish, chain.ens, (*writing, *reading), SERVICE)
    await asyncio.to_thread(upgrade, settings.store.url)
    service = DeliveryServiceProfile.of(load_service_keys(settings.relay.key_file), f"{settings.server.public_url}/ds")
    return World(config, settings, port, service, writing, reading)
