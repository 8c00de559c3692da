"""A name as the interface and the pages show it."""

from __future__ import annotations

from gateway.dm3.eth import checksum
from gateway.store.identities import Identity
from gateway.store.names import NameRow
from gateway.subnames.forms import AvailabilityOut, NameOut
from gateway.subnames.policy import Policy
from gateway.subnames.records import records_of
from gateway.subnames.registrar import Availability
from gateway.subnames.signing_in import ascii_name


def shown_name(row: NameRow, policy: Policy, linked: Identity | None) -> NameOut:
    """What everybody may see: the network of a linked person, but not who they are there."""
    level = "operator" if row.owner is None else "claimed" if linked is None else linked.level
    return NameOut(
        name=row.name,
        ascii=ascii_name(row.name),
        parent=policy.parent,
        owner=None if row.owner is None else checksum(row.owner),
        records=records_of(row),
        level=level,
        network=None if linked is None else linked.network,
        listed=row.listed,
        nonce=row.sequence,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        grace_until=None if row.expires_at is None else row.expires_at + policy.grace,
    )


def shown_availability(found: Availability) -> AvailabilityOut:
    """As the interface gives it."""
    return AvailabilityOut(
        name=found.name,
        ascii=ascii_name(found.name),
        available=found.free,
        reason=found.reason or None,
        warnings=list(found.warnings),
        resembles=list(found.resembles),
        policy=found.policy.admission.value,
    )
