"""From ``[[ens.registries]]`` to registries that can be asked; what cannot be is told before the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from gateway.dm3.eth import parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.names import is_under, require_normal
from gateway.errors import ConfigError, FetchRefused, InvalidInput, InvalidName
from gateway.ids import EnsName, EthAddress, Network
from gateway.lifecycle import Clock
from gateway.registry_settings import NAME_PLACE, AliasRegistry, EvmRegistry, HttpRegistry, RegistrySettings
from gateway.resolver.registries.breaker import Breaker, BreakerLimits
from gateway.resolver.registries.chain_registry import ChainOrigin, Contracts
from gateway.resolver.registries.http_registry import HttpOrigin
from gateway.resolver.registries.registries import FOLLOWED, Registries
from gateway.resolver.registries.registry import Origin, Registry, RegistryLimits
from gateway.resolver.registries.zone_alias import AliasOrigin


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of ours and the name that stands for it in the registry."""

    zone: EnsName
    target: EnsName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What registries stand on: our own names and contracts, the main chain, and whether trials may be private."""

    parent: EnsName
    resolvers: Sequence[EthAddress]
    chain: Chain
    ens_registry: EthAddress
    allow_private_gateways: bool
    clock: Clock


def zones(tables: Iterable[RegistrySettings], parent: EnsName, networks: Iterable[Network]) -> list[Zone]:
    """The zones of the tables, in their order.

    Raises ConfigError for one that is no name below ``parent``, one inside the zone of a network, whose people only
    this gateway speaks for, and an alias that leads back below ``parent``.
    """
    reserved = [EnsName(f"{network}.{parent}") for network in networks]
    found = []
    for place, table in enumerate(tables):
        where = f"ens.registries.{place}"
        zone = _below(_normal(table.zone, f"{where}.zone"), parent)
        if zone == parent or any(zone == taken or is_under(zone, taken) for taken in reserved):
            raise ConfigError(f"{where}.zone: must be a name below ens.parent and in no network's zone")
        target = zone if table.target is None else _normal(table.target, f"{where}.target")
        if isinstance(table, AliasRegistry) and (target == parent or is_under(target, parent)):
            raise ConfigError(f"{where}.target: leads back to this gateway's own names")
        found.append(Zone(zone, target))
    return found


def open_registries(
    tables: Sequence[RegistrySettings], networks: Iterable[Network], ground: Ground, closing: AsyncExitStack
) -> Registries:
    """The registries of the tables, each with connections of its own; does no I/O. ``closing`` gets what to close.

    Raises ConfigError for what ``zones`` refuses, and for addresses and URLs that cannot be used.
    """
    found = []
    for place, (table, zone) in enumerate(zip(tables, zones(tables, ground.parent, networks), strict=True)):
        try:
            origin = _origin(place, table, ground, closing)
        except (InvalidInput, FetchRefused) as error:
            raise ConfigError(f"ens.registries.{place}: {error.detail}") from None
        limits = RegistryLimits(table.ttl, table.negative_ttl, table.concurrency, table.cache_bytes)
        found.append(Registry(zone.zone, zone.target, origin, limits, clock=ground.clock))
    return Registries(found)


def _origin(place: int, table: RegistrySettings, ground: Ground, closing: AsyncExitStack) -> Origin:
    limits = BreakerLimits(table.failures, table.rest_seconds)
    breaker: Callable[[], Breaker] = partial(Breaker, limits, registry=place)
    match table:
        case HttpRegistry():
            return _http(table, breaker, ground, closing)
        case EvmRegistry():
            # One that hangs must leave time for the next.
            each = table.timeout / len(table.rpc_urls) if table.quorum == 1 else table.timeout / 2
            chain = Chain(table.rpc_urls, table.chain_id, quorum=table.quorum, strict=True, timeout=each)
            closing.push_async_callback(chain.close)
            contracts = Contracts(_address(table.registry), _address(table.resolver))
            return ChainOrigin(chain, contracts, block=table.block, timeout=table.timeout, breaker=breaker())
        case AliasRegistry():
            # Gateways of strangers' names, kept apart from those of senders' profiles.
            client = GuardedClient(
                allow_private=ground.allow_private_gateways,
                max_connections=table.concurrency,
                headers={FOLLOWED: "1"},
            )
            closing.push_async_callback(client.close)
            return AliasOrigin(
                Ens(ground.chain, ground.ens_registry, client),
                own_parent=ground.parent,
                own_resolvers=ground.resolvers,
                timeout=table.timeout,
                breaker=breaker,
            )


def _http(table: HttpRegistry, breaker: Callable[[], Breaker], ground: Ground, closing: AsyncExitStack) -> HttpOrigin:
    # What the operator named may be on this machine.
    client = GuardedClient(allow_private=True, max_connections=table.concurrency)
    closing.push_async_callback(client.close)
    for url in table.urls:
        client.check(url.replace(NAME_PLACE, "x"))
    signers = [parse_address(signer) for signer in table.signers]
    return HttpOrigin(table.urls, signers, client, timeout=table.timeout, breaker=breaker, clock=ground.clock)


def _address(text: str | None) -> EthAddress | None:
    return None if text is None else parse_address(text)


def _normal(text: str, where: str) -> EnsName:
    try:
        return require_normal(text)
    except InvalidName as error:
        raise ConfigError(f"{where}: {error.detail}") from None


def _below(zone: EnsName, parent: EnsName) -> EnsName:
    return zone if zone == parent or is_under(zone, parent) else EnsName(f"{zone}.{parent}")
