"""Where records come from: bridged people, rows of the names table, the delivery service itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.dm3.eth import address_bytes
from gateway.dm3.profile import DeliveryServiceProfile, SignedProfile, data_uri
from gateway.ens.escapes import BridgedName, parse_bridged_name
from gateway.errors import UnknownName
from gateway.ids import EnsName, Network
from gateway.resolver.records import DEFAULT_EVM, ETHEREUM, NameRecords
from gateway.resolver.rows import Rows
from gateway.store.identities import Identity
from gateway.store.names import NameRow

PROFILE_KEY: Final = "network.dm3.profile"
"""Text record with a user's signed profile (DM3-MTP)."""
DELIVERY_SERVICE_KEY: Final = "network.dm3.deliveryService"
"""Text record with a delivery service's profile (DM3-MTP)."""

Admit = Callable[[BridgedName], Awaitable[Identity | None]]
"""Issues the identity behind a name that is nobody's yet; None leaves the name empty."""


@dataclass(frozen=True, slots=True)
class Identities:
    """People of other networks.

    ``profile_of`` gives the signed profile of an identity and may be asked for every look-up, so it must be quick.
    ``admit`` is asked for a name that is nobody's yet, so that a person can be written to before they ever wrote.
    """

    rows: Rows[Identity]
    parent: EnsName
    networks: frozenset[Network]
    profile_of: Callable[[Identity], SignedProfile]
    admit: Admit | None = None

    async def find(self, name: EnsName) -> NameRecords | None:
        """See RecordSource; None for names that are in no zone of a network or are nobody's."""
        try:
            bridged = parse_bridged_name(name, self.parent)
        except UnknownName:
            return None
        if bridged.network not in self.networks:
            return None
        identity = await self.rows.get(name)
        if identity is None and self.admit is not None and bridged.canonical_id is not None:
            identity = await self.admit(bridged)
        if identity is None or identity.sealed_salt is None:
            return None
        return identity_records(identity, self.profile_of(identity))


@dataclass(frozen=True, slots=True)
class Names:
    """Names with rows of their own: claimed, imported or set by the operator."""

    rows: Rows[NameRow]

    async def find(self, name: EnsName) -> NameRecords | None:
        """See RecordSource."""
        row = await self.rows.get(name)
        return None if row is None or row.released_at is not None else row_records(row)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Names whose records the program itself knows, such as its delivery service."""

    records: Mapping[EnsName, NameRecords]

    async def find(self, name: EnsName) -> NameRecords | None:
        """See RecordSource."""
        return self.records.get(name)


def row_records(row: NameRow) -> NameRecords:
    """What a row of the names table says; ``name`` is a record of reverse nodes, which are not here."""
    return NameRecords(
        address=row.address,
        coins=row.coins,
        texts=row.texts,
        contenthash=row.contenthash,
        pubkey=None if row.pubkey is None else (row.pubkey[:32], row.pubkey[32:]),
        abis=row.abis,
        interfaces={bytes.fromhex(identifier): address for identifier, address in row.interfaces.items()},
        data=row.data,
    )


def identity_records(identity: Identity, profile: SignedProfile) -> NameRecords:
    """A bridged person: own address on every EVM chain (ENSIP-19), DM3 profile, the name they show."""
    address = address_bytes(identity.address)
    texts = {PROFILE_KEY: data_uri(profile.to_text())}
    if identity.display_name:
        # "alias" is ENSIP-18's key for it; "name" is what older clients look for.
        texts |= {"name": identity.display_name, "alias": identity.display_name}
    return NameRecords(address, MappingProxyType({ETHEREUM: address, DEFAULT_EVM: address}), MappingProxyType(texts))


def delivery_service_records(profile: DeliveryServiceProfile) -> NameRecords:
    """The relay's own name."""
    return NameRecords(texts=MappingProxyType({DELIVERY_SERVICE_KEY: data_uri(profile.to_text())}))
