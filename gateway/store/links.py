"""Links between claimed names and bridged people: codes on their way, and what was agreed to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, or_, select, tuple_, update

from gateway.errors import LimitExceeded, NotFound
from gateway.ids import CanonicalId, EnsName, EthAddress, IdentityId, Network
from gateway.store.identities import MOVED, OWNED, UNLINKED, Identity, find_identity, identity_in
from gateway.store.schema import identities, link_codes
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class LinkCode:
    """A code that was sent to a person; ``digest`` is its SHA-256 with the name (32 bytes)."""

    name: EnsName
    network: Network
    canonical_id: CanonicalId
    owner: EthAddress
    """Who asked for the link."""
    digest: bytes = field(repr=False)
    sent_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class PutLinkCode:
    """Remember a code; those before it for the same name or the same person are worth nothing from now on.

    Raises LimitExceeded when this name or this person got one after ``not_since`` (ms).
    """

    code: LinkCode
    not_since: int

    def apply(self, conn: Connection) -> None:
        """Look, end the older ones, then insert or replace."""
        code = self.code
        person = (link_codes.c.network == code.network) & (link_codes.c.canonical_id == code.canonical_id)
        recent = select(link_codes.c.name).where(
            or_(link_codes.c.name == code.name, person), link_codes.c.sent_at > self.not_since
        )
        if conn.execute(recent.limit(1)).first() is not None:
            raise LimitExceeded("a code was sent a moment ago")
        # Kept without a digest, so that it is still known when that person was last written to.
        conn.execute(update(link_codes).where(link_codes.c.name == code.name).values(digest=b""))
        values: dict[str, Any] = {
            "name": code.name,
            "owner": code.owner,
            "digest": code.digest,
            "attempts": 0,
            "sent_at": code.sent_at,
            "expires_at": code.expires_at,
        }
        put = insert(conn, link_codes).values(network=code.network, canonical_id=code.canonical_id, **values)
        key = [link_codes.c.network, link_codes.c.canonical_id]
        conn.execute(put.on_conflict_do_update(index_elements=key, set_=values))


@dataclass(frozen=True, slots=True)
class LinkCodeFor:
    """The code that is on its way for a name at the request of its owner, or None."""

    name: EnsName
    owner: EthAddress
    now: int

    def run(self, conn: Connection) -> LinkCode | None:
        """Look up by the index of names; ended codes have no digest."""
        alive = (
            link_codes.c.name == self.name,
            link_codes.c.owner == self.owner,
            link_codes.c.expires_at > self.now,
            link_codes.c.digest != b"",
        )
        row = conn.execute(select(link_codes).where(*alive)).first()
        return None if row is None else _code_of(row)


@dataclass(frozen=True, slots=True)
class TryLinkCode:
    """Use a code up, or count a wrong guess; gives the code once, and None for every other try.

    After ``attempts`` wrong guesses the code is worth nothing, and so it is for anybody but who asked for it. Never
    raises: a refusal would roll the count back.
    """

    name: EnsName
    owner: EthAddress
    digest: bytes = field(repr=False)
    now: int
    attempts: int

    def apply(self, conn: Connection) -> LinkCode | None:
        """Delete what fits; else count."""
        alive = (
            link_codes.c.name == self.name,
            link_codes.c.owner == self.owner,
            link_codes.c.expires_at > self.now,
            link_codes.c.attempts < self.attempts,
        )
        used = conn.execute(
            delete(link_codes).where(*alive, link_codes.c.digest == self.digest).returning(*link_codes.c)
        ).first()
        if used is None:
            conn.execute(update(link_codes).where(*alive).values(attempts=link_codes.c.attempts + 1))
            return None
        return _code_of(used)


@dataclass(frozen=True, slots=True)
class DropLinkCodes:
    """Forget codes that expired before ``now``, at most ``limit``; returns how many."""

    now: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete by the index of expiry."""
        some = select(link_codes.c.network, link_codes.c.canonical_id).where(link_codes.c.expires_at <= self.now)
        over = [tuple(row) for row in conn.execute(some.limit(self.limit))]
        key = tuple_(link_codes.c.network, link_codes.c.canonical_id)
        return conn.execute(delete(link_codes).where(key.in_(over))).rowcount if over else 0


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Let a bridged person be seen under a name they own; a link either had before ends.

    ``signature`` is the owner's on the profile of ``epoch``. Raises NotFound when there are no such keys any more.
    """

    id: IdentityId
    epoch: int
    name: EnsName
    signature: str = field(repr=False)
    now: int

    def apply(self, conn: Connection) -> Identity:
        """Two updates: the name is unique among links."""
        UnlinkName(self.name).apply(conn)
        linked = conn.execute(
            update(identities)
            .where(
                identities.c.id == self.id,
                identities.c.epoch == self.epoch,
                identities.c.sealed_salt.is_not(None),
            )
            .values(level=OWNED, owned_name=self.name, owner_signature=self.signature, linked_at=self.now)
            .returning(identities.c.id)
        ).first()
        found = None if linked is None else find_identity(conn, identities.c.id == self.id)
        if found is None:
            raise NotFound("this person has no keys of that epoch here")
        return found


@dataclass(frozen=True, slots=True)
class UnlinkName:
    """End the link of a claimed name; True when it had one."""

    name: EnsName

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        ended = update(identities).where(identities.c.owned_name == self.name).values(**UNLINKED)
        return conn.execute(ended).rowcount > 0


@dataclass(frozen=True, slots=True)
class UnlinkStrangers:
    """End the links of names whose record no longer has the profile that was linked; returns how many.

    For names that were changed by somebody else than their owner. ``profiles`` gives the profile, as JSON, of each
    name that was written, empty when it has none.
    """

    profiles: tuple[tuple[EnsName, str], ...]

    def apply(self, conn: Connection) -> int:
        """Look up by the unique index; few names are linked."""
        records = dict(self.profiles)
        linked = select(identities.c.owned_name, identities.c.owner_signature).where(
            identities.c.owned_name.in_(records), identities.c.level == OWNED
        )
        stale = [
            row.owned_name
            for row in conn.execute(linked)
            if (row.owner_signature or "-") not in records[row.owned_name]
        ]
        for name in stale:
            UnlinkName(EnsName(name)).apply(conn)
        return len(stale)


@dataclass(frozen=True, slots=True)
class MoveIdentity:
    """The owner of a linked name has taken it to another delivery service; True when it was linked."""

    name: EnsName
    now: int

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        moved = (
            update(identities)
            .where(identities.c.owned_name == self.name, identities.c.level == OWNED)
            .values(level=MOVED, owner_signature=None, linked_at=self.now)
        )
        return conn.execute(moved).rowcount > 0


@dataclass(frozen=True, slots=True)
class IdentityOwning:
    """The person who is linked to a claimed name, or None."""

    name: EnsName

    def run(self, conn: Connection) -> Identity | None:
        """Look up by the unique index."""
        return find_identity(conn, identities.c.owned_name == self.name)


def _code_of(row: Any) -> LinkCode:
    return LinkCode(
        name=EnsName(row.name),
        network=Network(row.network),
        canonical_id=CanonicalId(row.canonical_id),
        owner=EthAddress(row.owner),
        digest=row.digest,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
    )


@dataclass(frozen=True, slots=True)
class IdentityBearing:
    """The person whose name this is, be it given by us or claimed by them, or None."""

    name: EnsName

    def run(self, conn: Connection) -> Identity | None:
        """Look up by two unique indexes."""
        return identity_in(conn.execute(_BEARING, {"name": self.name}))


_BEARING: Final = select(identities).where(
    or_(identities.c.name == bindparam("name"), identities.c.owned_name == bindparam("name"))
)
