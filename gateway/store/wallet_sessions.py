"""Wallets that are signed in. Tokens are kept only as the SHA-256 of what the client holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select

from gateway.ids import EthAddress
from gateway.store.schema import wallet_sessions


@dataclass(frozen=True, slots=True)
class PutWalletSession:
    """Remember a session until ``expires_at`` (ms); ``digest`` is the token's."""

    digest: bytes = field(repr=False)
    address: EthAddress
    expires_at: int

    def apply(self, conn: Connection) -> None:
        """Insert one row."""
        conn.execute(
            wallet_sessions.insert().values(digest=self.digest, address=self.address, expires_at=self.expires_at)
        )


@dataclass(frozen=True, slots=True)
class WalletOf:
    """Whose session a token is at ``now``, or None."""

    digest: bytes = field(repr=False)
    now: int

    def run(self, conn: Connection) -> EthAddress | None:
        """Look up by the key."""
        alive = (wallet_sessions.c.digest == self.digest, wallet_sessions.c.expires_at > self.now)
        address = conn.scalar(select(wallet_sessions.c.address).where(*alive))
        return None if address is None else EthAddress(address)


@dataclass(frozen=True, slots=True)
class DropWalletSession:
    """End a session; True when there was one."""

    digest: bytes = field(repr=False)

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(wallet_sessions).where(wallet_sessions.c.digest == self.digest)).rowcount > 0


@dataclass(frozen=True, slots=True)
class ExpireWalletSessions:
    """Forget sessions that ended before ``now``, at most ``limit``; returns how many."""

    now: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete by the index of expiry."""
        over = select(wallet_sessions.c.digest).where(wallet_sessions.c.expires_at <= self.now).limit(self.limit)
        return conn.execute(delete(wallet_sessions).where(wallet_sessions.c.digest.in_(over))).rowcount
