"""Spellings of the envelope that other delivery services understand, when it is not the first one that is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select

from gateway.dm3.envelope import Dialect
from gateway.store.schema import services
from gateway.store.upsert import insert

DIALECT_LIFE_MS: Final = 7 * 24 * 3600 * 1000
"""How long a choice counts: the service may have been upgraded since."""


@dataclass(frozen=True, slots=True)
class LearnedDialect:
    """A spelling that a service took, and when (ms)."""

    dialect: Dialect
    learned_at: int

    def counts(self, now: int) -> bool:
        """Whether it is young enough at ``now`` (ms); one from the future was written by a wrong clock."""
        return 0 <= now - self.learned_at < DIALECT_LIFE_MS


@dataclass(frozen=True, slots=True)
class LearnDialect:
    """Remember which spelling the service at ``url`` took at ``now`` (ms), in the place of what was known."""

    url: str
    dialect: Dialect
    now: int

    def apply(self, conn: Connection) -> None:
        """Insert or replace."""
        put = insert(conn, services).values(url=self.url, dialect=self.dialect, learned_at=self.now)
        conn.execute(
            put.on_conflict_do_update(
                index_elements=[services.c.url],
                set_={"dialect": put.excluded.dialect, "learned_at": put.excluded.learned_at},
            )
        )


@dataclass(frozen=True, slots=True)
class ForgetDialect:
    """Forget what was known of the service at ``url``; True when there was something."""

    url: str

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(services).where(services.c.url == self.url)).rowcount > 0


@dataclass(frozen=True, slots=True)
class DialectOf:
    """What is known of the service at ``url``, or None."""

    url: str

    def run(self, conn: Connection) -> LearnedDialect | None:
        """Look up by the key; a spelling that this program does not know counts for nothing."""
        row = conn.execute(select(services.c.dialect, services.c.learned_at).where(services.c.url == self.url)).first()
        if row is None or row.dialect not in set(Dialect):
            return None
        return LearnedDialect(Dialect(row.dialect), row.learned_at)


@dataclass(frozen=True, slots=True)
class ForgetServices:
    """Remove at most ``limit`` services learned before ``before`` (ms); returns how many."""

    before: int
    limit: int = 10_000

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        old = (
            select(services.c.url)
            .where(services.c.learned_at < self.before)
            .order_by(services.c.learned_at)
            .limit(self.limit)
        )
        return conn.execute(delete(services).where(services.c.url.in_(old))).rowcount
