"""Who was deleted for good. What is kept is a digest under a key that is not in the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from gateway.store.accounts import CLOSED_SCOPE, FOR_EVER
from gateway.store.schema import once, tombstones
from gateway.store.upsert import insert

CLOSED: Final = "closed:"
"""Stands before the digest of an account that its owner closed, where both kinds are listed together."""


@dataclass(frozen=True, slots=True)
class Bury:
    """Remember digests, as of ``at`` (ms); how many were new."""

    digests: tuple[str, ...]
    at: int

    def apply(self, conn: Connection) -> int:
        """Insert what is not there."""
        return sum(self._put(conn, digest) for digest in sorted(set(self.digests)))

    def _put(self, conn: Connection, digest: str) -> int:
        if digest.startswith(CLOSED):
            row = insert(conn, once).values(scope=CLOSED_SCOPE, key=digest.removeprefix(CLOSED), expires_at=FOR_EVER)
        else:
            row = insert(conn, tombstones).values(digest=digest, at=self.at)
        return conn.execute(row.on_conflict_do_nothing()).rowcount


@dataclass(frozen=True, slots=True)
class IsBuried:
    """Whether the person behind a digest was deleted for good."""

    digest: str

    def run(self, conn: Connection) -> bool:
        """Look up by the key."""
        return is_buried(conn, self.digest)


@dataclass(frozen=True, slots=True)
class AllBuried:
    """Every digest, of people and (after ``CLOSED``) of closed accounts, sorted."""

    def run(self, conn: Connection) -> tuple[str, ...]:
        """Read both tables."""
        closed: Iterable[str] = conn.scalars(select(once.c.key).where(once.c.scope == CLOSED_SCOPE))
        return tuple(sorted([*conn.scalars(select(tombstones.c.digest)), *(CLOSED + key for key in closed)]))


def is_buried(conn: Connection, digest: str) -> bool:
    """The same inside a transaction."""
    return conn.scalar(select(tombstones.c.digest).where(tombstones.c.digest == digest)) is not None
