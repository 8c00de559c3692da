"""Keys of programs that issue names: what they may do below one parent, and the digest they are known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, or_, select, update

from gateway.ids import EnsName
from gateway.store.schema import api_keys


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key; ``digest`` is the SHA-256 of the whole token (32 bytes), ``scopes`` what it may do below ``parent``."""

    id: str
    digest: bytes = field(repr=False)
    label: str
    parent: EnsName
    scopes: tuple[str, ...]
    created_by: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    used_at: int | None = None
    """The last use, by the minute."""


@dataclass(frozen=True, slots=True)
class AddApiKey:
    """Write down a new key."""

    key: ApiKey

    def apply(self, conn: Connection) -> None:
        """Insert; ids are random, so nobody has this one."""
        key = self.key
        conn.execute(
            api_keys.insert().values(
                id=key.id,
                digest=key.digest,
                label=key.label,
                parent=key.parent,
                scopes=" ".join(key.scopes),
                created_by=key.created_by,
                created_at=key.created_at,
                expires_at=key.expires_at,
            )
        )


@dataclass(frozen=True, slots=True)
class RevokeApiKey:
    """End a key of ``parent`` for good; True when there was one that was not ended."""

    parent: EnsName
    id: str
    now: int

    def apply(self, conn: Connection) -> bool:
        """Update one row; it stays, so that the log can be read."""
        ended = update(api_keys).where(
            api_keys.c.id == self.id, api_keys.c.parent == self.parent, api_keys.c.revoked_at.is_(None)
        )
        return conn.execute(ended.values(revoked_at=self.now)).rowcount > 0


@dataclass(frozen=True, slots=True)
class NoteApiKeyUse:
    """Write down that a key was used at ``now``, unless a use after ``not_since`` (ms) is known."""

    id: str
    now: int
    not_since: int

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        unknown = or_(api_keys.c.used_at.is_(None), api_keys.c.used_at <= self.not_since)
        return (
            conn.execute(update(api_keys).where(api_keys.c.id == self.id, unknown).values(used_at=self.now)).rowcount
            > 0
        )


@dataclass(frozen=True, slots=True)
class ApiKeyOf:
    """The key with this id, ended or not, or None."""

    id: str

    def run(self, conn: Connection) -> ApiKey | None:
        """Look up by the key."""
        row = conn.execute(select(api_keys).where(api_keys.c.id == self.id)).first()
        return None if row is None else _api_key_of(row)


@dataclass(frozen=True, slots=True)
class ListApiKeys:
    """Keys of ``parent`` by their ids, after ``after``; at most ``limit``."""

    parent: EnsName
    limit: int
    after: str = ""

    def run(self, conn: Connection) -> list[ApiKey]:
        """Read one page; there are few keys."""
        page = select(api_keys).where(api_keys.c.parent == self.parent, api_keys.c.id > self.after)
        return [_api_key_of(row) for row in conn.execute(page.order_by(api_keys.c.id).limit(self.limit))]


def _api_key_of(row: Any) -> ApiKey:
    fields = dict(row._mapping)
    return ApiKey(**{**fields, "scopes": tuple(row.scopes.split())})
