"""Bridged identities: people of other networks, their ENS names and the sealed salts of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, CursorResult, bindparam, delete, select, update

from gateway.errors import InvalidInput, NotFound, PersonDeleted
from gateway.ids import CanonicalId, EnsName, EthAddress, IdentityId, Network
from gateway.store.among import among
from gateway.store.schema import accounts, identities
from gateway.store.tombstones import Bury, is_buried
from gateway.store.upsert import insert

OWNED: Final = "owned"
"""Trust level of somebody who has linked a name that their wallet owns."""
MOVED: Final = "moved"
"""Trust level of somebody whose name now leads to another delivery service."""
UNLINKED: Final[Mapping[str, Any]] = {
    "level": "bridged",
    "owned_name": None,
    "owner_signature": None,
    "linked_at": None,
}
"""Columns of an identity that is linked to no claimed name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person of ``network``; ``sealed_salt`` is None where the keys were shredded before there were tombstones."""

    id: IdentityId
    network: Network
    canonical_id: CanonicalId
    name: EnsName
    address: EthAddress
    level: str
    epoch: int
    sealed_salt: bytes | None = field(repr=False)
    display_name: str
    created_at: int
    rotated_at: int | None
    owned_name: EnsName | None = None
    """The name that the person claimed with a wallet and linked: what others see instead of ``name``."""
    owner_signature: str | None = field(default=None, repr=False)
    """Of that wallet, on the profile of the present epoch."""
    linked_at: int | None = None
    """When the present trust level began."""
    paused_until: int | None = None
    """Until when (ms) nothing is delivered to this person, by their own wish."""
    display_name_chosen: bool = False
    """Whether they chose the display name themselves, and not their network."""

    @property
    def shown_name(self) -> EnsName:
        """The name that others see: the one that the person owns, as long as it leads here."""
        return self.owned_name if self.owned_name is not None and self.level == OWNED else self.name

    @property
    def shown_person(self) -> str:
        """What others are told that they are: who linked a name need not show what they are in their network."""
        return self.canonical_id if self.shown_name == self.name else self.shown_name


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity to be issued."""

    network: Network
    canonical_id: CanonicalId
    name: EnsName
    address: EthAddress
    sealed_salt: bytes = field(repr=False)
    created_at: int
    display_name: str = ""
    level: str = "bridged"
    epoch: int = 0
    tombstone: str = ""
    """Digest that is kept of this person when they are deleted."""


@dataclass(frozen=True, slots=True)
class IssueIdentity:
    """Store a draft, or return what this person already has: the first issue wins.

    Raises ``InvalidInput`` when name or address belong to another person, ``PersonDeleted`` for one who was deleted.
    """

    draft: NewIdentity

    def apply(self, conn: Connection) -> Identity:
        """Insert; on a conflict look for the person."""
        draft = self.draft
        issued = conn.execute(
            insert(conn, identities)
            .values(
                network=draft.network,
                canonical_id=draft.canonical_id,
                name=draft.name,
                address=draft.address,
                level=draft.level,
                epoch=draft.epoch,
                sealed_salt=draft.sealed_salt,
                display_name=draft.display_name,
                created_at=draft.created_at,
                rotated_at=None,
            )
            .on_conflict_do_nothing()
            .returning(*identities.c)
        ).first()
        if issued is not None:
            # Looked at after the insert, which waits for a deletion that is under way on another node.
            if draft.tombstone and is_buried(conn, draft.tombstone):
                raise PersonDeleted
            return _identity_of(issued)
        existing = find_identity(conn, *_person(draft.network, draft.canonical_id))
        if existing is None:
            raise InvalidInput(f"name {draft.name!r} or address {draft.address} belongs to another identity")
        return existing


@dataclass(frozen=True, slots=True)
class IdentityOf:
    """The identity of a person, or None."""

    network: Network
    canonical_id: CanonicalId

    def run(self, conn: Connection) -> Identity | None:
        """Look up by the unique key."""
        return identity_in(conn.execute(_OF, {"network": self.network, "person": self.canonical_id}))


@dataclass(frozen=True, slots=True)
class IdentityNamed:
    """The identity with this ENS name, or None."""

    name: EnsName

    def run(self, conn: Connection) -> Identity | None:
        """Look up by the unique key."""
        return identity_in(conn.execute(_NAMED, {"name": self.name}))


@dataclass(frozen=True, slots=True)
class IdentitiesNamed:
    """The identities with these ENS names; names that are nobody's are left out."""

    names: tuple[EnsName, ...]

    def run(self, conn: Connection) -> dict[EnsName, Identity]:
        """Look up by the unique key, together."""
        found = map(_identity_of, conn.execute(_AMONG, {"names": self.names}))
        return {identity.name: identity for identity in found}


@dataclass(frozen=True, slots=True)
class RotateIdentity:
    """Move an identity to ``epoch``, which must be the one after its present epoch, with the address of that epoch.

    It loses its link to a claimed name: the owner's signature is on the keys of before.

    ``sealed_salt`` replaces the stored one when given, because a seal is bound to its epoch. Raises ``NotFound`` when
    there is no such identity, ``InvalidInput`` when it is at another epoch, shredded, or the address is taken.
    """

    id: IdentityId
    epoch: int
    address: EthAddress
    now: int
    sealed_salt: bytes | None = field(default=None, repr=False)

    def apply(self, conn: Connection) -> Identity:
        """Compare and set."""
        before = conn.scalar(select(identities.c.address).where(identities.c.id == self.id))
        resealed = {} if self.sealed_salt is None else {"sealed_salt": self.sealed_salt}
        rotated = conn.execute(
            update(identities)
            .where(
                identities.c.id == self.id,
                identities.c.epoch == self.epoch - 1,
                identities.c.sealed_salt.is_not(None),
            )
            .values(epoch=self.epoch, address=self.address, rotated_at=self.now, **resealed, **UNLINKED)
            .returning(*identities.c)
        ).first()
        if rotated is not None:
            # What they decided about their mail is kept by address.
            conn.execute(update(accounts).where(accounts.c.address == before).values(address=self.address))
            return _identity_of(rotated)
        present = find_identity(conn, identities.c.id == self.id)
        if present is None:
            raise NotFound(f"there is no identity {self.id}")
        if present.sealed_salt is None:
            raise InvalidInput(f"identity {self.id} was shredded")
        raise InvalidInput(f"identity {self.id} is at epoch {present.epoch}, not {self.epoch - 1}")


@dataclass(frozen=True, slots=True)
class ShredIdentity:
    """Delete a person's row, the salt in it, and with it every key of theirs, for good.

    What stays is ``tombstone``, by which nobody can tell who it was and they never get a name again. True when there
    was such a person.
    """

    id: IdentityId
    now: int
    tombstone: str

    def apply(self, conn: Connection) -> bool:
        """Delete one row; SQLite overwrites it with zeros."""
        if not conn.execute(delete(identities).where(identities.c.id == self.id)).rowcount:
            return False
        Bury((self.tombstone,), self.now).apply(conn)
        return True


@dataclass(frozen=True, slots=True)
class SetDisplayName:
    """Change the name that is shown; True when the identity exists and is not shredded.

    ``chosen`` says whether the person wants this one, whatever their network calls them.
    """

    id: IdentityId
    display_name: str
    chosen: bool = False

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        return (
            conn.execute(
                update(identities)
                .where(identities.c.id == self.id, identities.c.sealed_salt.is_not(None))
                .values(display_name=self.display_name, display_name_chosen=self.chosen)
            ).rowcount
            > 0
        )


@dataclass(frozen=True, slots=True)
class SetPause:
    """Deliver nothing to this person until ``until`` (ms), or deliver again when None.

    True when the identity exists and is not shredded.
    """

    id: IdentityId
    until: int | None

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        return (
            conn.execute(
                update(identities)
                .where(identities.c.id == self.id, identities.c.sealed_salt.is_not(None))
                .values(paused_until=self.until)
            ).rowcount
            > 0
        )


@dataclass(frozen=True, slots=True)
class ListIdentities:
    """Identities of one network, or of all when None, in the order of ids after ``after``; at most ``limit``."""

    network: Network | None
    limit: int
    after: int = 0

    def run(self, conn: Connection) -> list[Identity]:
        """Read one page."""
        wanted = select(identities).where(identities.c.id > self.after).order_by(identities.c.id).limit(self.limit)
        if self.network is not None:
            wanted = wanted.where(identities.c.network == self.network)
        return [_identity_of(row) for row in conn.execute(wanted)]


def _person(network: Network, canonical_id: CanonicalId) -> tuple[ColumnElement[bool], ...]:
    return identities.c.network == network, identities.c.canonical_id == canonical_id


def find_identity(conn: Connection, *where: ColumnElement[bool]) -> Identity | None:
    """The one identity that fits, or None."""
    return identity_in(conn.execute(select(identities).where(*where)))


def identity_in(found: CursorResult[Any]) -> Identity | None:
    """The one identity of a result, or None."""
    row = found.first()
    return None if row is None else _identity_of(row)


_OF: Final = select(identities).where(
    identities.c.network == bindparam("network"), identities.c.canonical_id == bindparam("person")
)
_NAMED: Final = select(identities).where(identities.c.name == bindparam("name"))
_AMONG: Final = select(identities).where(among(identities.c.name, "names"))


def _identity_of(row: Any) -> Identity:
    return Identity(**row._mapping)
