"""Look-ups of names: the resolver with its sources and registries, and the batch gateway."""

from __future__ import annotations

from gateway.custody.identities import Identities
from gateway.dm3.eth import parse_address
from gateway.ens.egress import GuardedClient
from gateway.joining.parts import Parts
from gateway.resolver import sources
from gateway.resolver.batch import batch_endpoint
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.registries.opening import Ground, open_registries
from gateway.resolver.registries.registries import Registries
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import Signer


def join_resolver(parts: Parts, signer: Signer) -> Resolver:
    """What answers CCIP-read for the names of this node."""
    own = {parts.service_name: sources.delivery_service_records(parts.service_profile)}
    keyring = parts.keyring
    return Resolver(
        (
            sources.Fixed(own),
            sources.Names(parts.name_rows),
            sources.Identities(
                rows=parts.identity_rows,
                parent=parts.parent,
                networks=frozenset(parts.adapters),
                profile_of=lambda identity: keyring.keys(identity).signed_profile,
                admit=_admission(parts) if parts.adapters else None,
            ),
        ),
        signer,
        map(parse_address, parts.settings.ens.resolver_addresses),
        parts.settings.ens.answer_ttl,
        parts.policies,
        clock=lambda: parts.clock() / 1000,
        registries=_registries(parts),
        watch=parts.watch,
    )


def _admission(parts: Parts) -> sources.Admit:
    from gateway.bridge.newcomers import Newcomers

    identities = Identities(parts.keyring, parts.parent)
    return Newcomers(parts.store, identities, parts.adapters, parts.clock, parts.identity_rows.forget).admit


def _registries(parts: Parts) -> Registries:
    """Registries of other systems, for names below ours that nobody here has."""
    settings = parts.settings
    ground = Ground(
        parent=parts.parent,
        resolvers=[parse_address(each) for each in settings.ens.resolver_addresses],
        chain=parts.chain,
        ens_registry=parse_address(settings.chain.ens_registry),
        allow_private_gateways=settings.chain.allow_private_gateways,
        clock=parts.clock,
    )
    return open_registries(settings.ens.registries, parts.adapters, ground, parts.resources)


def join_batch(parts: Parts) -> CcipEndpoint | None:
    """The batch gateway, when the operator wants one."""
    settings = parts.settings
    if not settings.ens.batch_gateway:
        return None
    # Others' look-ups must not use up the connections of ours.
    client = GuardedClient(allow_private=settings.chain.allow_private_gateways)
    parts.resources.push_async_callback(client.close)
    return batch_endpoint(parts.chain, client, settings.ens.batch_calls_per_minute, parts.watch)
