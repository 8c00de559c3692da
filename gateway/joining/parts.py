"""What the parts of one node have in common: keys, store, chain, clients, clock."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from gateway.bodies import Bodies
from gateway.custody.directory import Directory
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import Holdings
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.resolver.rows import Rows
from gateway.sdk.adapter import Adapter
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.store.names import NameRow
from gateway.subnames.policy import Policy
from gateway.watch import Watch

DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Who fetches: they differ in where they may go, and none uses up the connections of another."""

    public: GuardedClient
    """Goes where records of strangers lead."""
    named: GuardedClient
    """Goes where the operator said, which may be on this machine."""
    submissions: GuardedClient
    """Brings envelopes to other delivery services; slow ones must not hold up look-ups of profiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The ground of one node. Who opened it closes it, by `resources`, in the opposite order."""

    settings: Settings
    adapters: Mapping[Network, Adapter]
    parent: EnsName
    service_name: EnsName
    service_keys: ServiceKeys = field(repr=False)
    service_profile: DeliveryServiceProfile
    policies: Mapping[EnsName, Policy]
    store: Store
    name_rows: Rows[NameRow]
    identity_rows: Rows[Identity]
    seed: MasterSeed = field(repr=False)
    keyring: Keyring
    directory: Directory
    chain: Chain
    ens: Ens
    profiles: Profiles
    holdings: Holdings
    clients: Clients
    resources: AsyncExitStack
    owner: str
    """Of leases: this node, since this start."""
    clock: Clock
    offload: Offload
    bodies: Bodies
    """Of the public listener, whichever part a request is for."""
    watch: Watch

    @property
    def message_ttl_ms(self) -> int:
        """How long a message waits for its recipient, in milliseconds."""
        return message_ttl_ms(self.settings)


def message_ttl_ms(settings: Settings) -> int:
    """How long a message waits for its recipient, in milliseconds."""
    return settings.relay.message_ttl_days * DAY_MS
