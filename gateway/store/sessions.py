"""Log-in: challenges that work once, and opaque tokens. Both are kept only as SHA-256 of what the client holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select

from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store.schema import challenges, tokens
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class Session:
    """Whom a token speaks for, and the profile key that proved it."""

    name: EnsName
    address: EthAddress
    signing_key: bytes


@dataclass(frozen=True, slots=True)
class IssueChallenge:
    """Remember a challenge for ``subject`` and ``purpose`` until ``expires_at``; ``digest`` is its SHA-256.

    Raises ``InvalidInput`` when this challenge was issued before.
    """

    digest: bytes = field(repr=False)
    subject: str
    purpose: str
    expires_at: int

    def apply(self, conn: Connection) -> None:
        """Insert one row."""
        issued = conn.execute(
            insert(conn, challenges)
            .values(digest=self.digest, subject=self.subject, purpose=self.purpose, expires_at=self.expires_at)
            .on_conflict_do_nothing()
            .returning(challenges.c.purpose)
        ).first()
        if issued is None:
            raise InvalidInput("this challenge was issued before")


@dataclass(frozen=True, slots=True)
class ConsumeChallenge:
    """Use a challenge up: True for exactly one caller, and only for the right subject and purpose, before expiry."""

    digest: bytes = field(repr=False)
    subject: str
    purpose: str
    now: int

    def apply(self, conn: Connection) -> bool:
        """Delete; who deleted it has used it. A wrong subject does not spoil it for the right one."""
        return (
            conn.execute(
                delete(challenges).where(
                    challenges.c.digest == self.digest,
                    challenges.c.subject == self.subject,
                    challenges.c.purpose == self.purpose,
                    challenges.c.expires_at > self.now,
                )
            ).rowcount
            > 0
        )


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Remember a token for a name and its address until ``expires_at``; ``digest`` is its SHA-256."""

    digest: bytes = field(repr=False)
    name: EnsName
    address: EthAddress
    signing_key: bytes
    expires_at: int

    def apply(self, conn: Connection) -> None:
        """Insert one row; a token issued twice is a broken random source and raises ``InvalidInput``."""
        issued = conn.execute(
            insert(conn, tokens)
            .values(
                digest=self.digest,
                name=self.name,
                address=self.address,
                signing_key=self.signing_key,
                expires_at=self.expires_at,
            )
            .on_conflict_do_nothing()
            .returning(tokens.c.name)
        ).first()
        if issued is None:
            raise InvalidInput("this token was issued before")


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """Whom the token with this SHA-256 speaks for at ``now``, or None."""

    digest: bytes = field(repr=False)
    now: int

    def run(self, conn: Connection) -> Session | None:
        """Look up by the key."""
        row = conn.execute(
            select(tokens.c.name, tokens.c.address, tokens.c.signing_key).where(
                tokens.c.digest == self.digest, tokens.c.expires_at > self.now
            )
        ).first()
        return None if row is None else Session(EnsName(row.name), EthAddress(row.address), row.signing_key)


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """End the session of the token with this SHA-256; True when there was one."""

    digest: bytes = field(repr=False)

    def apply(self, conn: Connection) -> bool:
        """Delete by the key."""
        return conn.execute(delete(tokens).where(tokens.c.digest == self.digest)).rowcount > 0


@dataclass(frozen=True, slots=True)
class ExpireSessions:
    """Remove at most ``limit`` challenges and ``limit`` tokens whose time is over at ``now``; returns how many."""

    now: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        removed = 0
        for table in (challenges, tokens):
            expired = (
                select(table.c.digest)
                .where(table.c.expires_at <= self.now)
                .order_by(table.c.expires_at)
                .limit(self.limit)
            )
            removed += conn.execute(delete(table).where(table.c.digest.in_(expired))).rowcount
        return removed
