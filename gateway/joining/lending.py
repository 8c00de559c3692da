"""What the adapters are lent. Loaded only where there are some: a node without would be larger by it for nothing."""

from __future__ import annotations

from functools import partial

from gateway.bridge.context import BridgeContext, Installation
from gateway.bridge.holding import Holding
from gateway.bridge.people import Household
from gateway.custody.derive import adapter_key
from gateway.custody.identities import Identities
from gateway.ens.portraits import Portraits
from gateway.ids import Network
from gateway.joining.parts import Parts
from gateway.relay.service import DeliveryService
from gateway.subnames.departure import Departure


def lend(parts: Parts, relay: DeliveryService) -> dict[Network, BridgeContext]:
    """A context for each adapter, all of one installation."""
    identities, settings = Identities(parts.keyring, parts.parent), parts.settings
    portraits = Portraits(
        parts.ens,
        parts.clients.public,
        ipfs_gateways=settings.chain.ipfs_gateways,
        ipfs_client=parts.clients.named,
    )
    departure = Departure(parts.store, parts.policies, parts.clock, parts.name_rows.forget)
    people = Household(
        store=parts.store,
        identities=identities,
        desk=relay.bridged,
        parent=parts.parent,
        message_ttl_ms=parts.message_ttl_ms,
        clock=parts.clock,
        changed=parts.identity_rows.forget,
        forget_keys=parts.keyring.forget,
        end_link=departure.end_link,
    )
    installation = Installation(
        store=parts.store,
        identities=identities,
        directory=parts.directory,
        parent=parts.parent,
        service_name=parts.service_name,
        public_url=settings.server.public_url,
        size_limit=settings.relay.size_limit,
        message_ttl_ms=parts.message_ttl_ms,
        clock=parts.clock,
        portraits=portraits,
        holding=Holding(parts.store, parts.owner, parts.clock),
        secret=partial(adapter_key, parts.seed),
        people=people,
        changed=parts.identity_rows.forget,
        watch=parts.watch,
    )
    return {network: BridgeContext(network, installation) for network in parts.adapters}
