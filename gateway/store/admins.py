"""Wallets that may look after the names below a parent."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from gateway.ids import EnsName, EthAddress
from gateway.store.schema import admins
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class Admin:
    """One wallet of one parent."""

    parent: EnsName
    address: EthAddress
    created_at: int


@dataclass(frozen=True, slots=True)
class AddAdmin:
    """Let a wallet look after a parent; True when it did not before."""

    admin: Admin

    def apply(self, conn: Connection) -> bool:
        """Insert, or leave what is there."""
        admin = self.admin
        added = insert(conn, admins).values(parent=admin.parent, address=admin.address, created_at=admin.created_at)
        return conn.execute(added.on_conflict_do_nothing().returning(admins.c.address)).first() is not None


@dataclass(frozen=True, slots=True)
class DropAdmin:
    """Take that right away; True when the wallet had it."""

    parent: EnsName
    address: EthAddress

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        dropped = delete(admins).where(admins.c.parent == self.parent, admins.c.address == self.address)
        return conn.execute(dropped).rowcount > 0


@dataclass(frozen=True, slots=True)
class IsAdmin:
    """Whether a wallet looks after a parent."""

    parent: EnsName
    address: EthAddress

    def run(self, conn: Connection) -> bool:
        """Look up by the key."""
        found = select(admins.c.address).where(admins.c.parent == self.parent, admins.c.address == self.address)
        return conn.execute(found).first() is not None


@dataclass(frozen=True, slots=True)
class AdminsOf:
    """Wallets that look after a parent, by address; at most ``limit``."""

    parent: EnsName
    limit: int

    def run(self, conn: Connection) -> list[Admin]:
        """Read by the key."""
        rows = conn.execute(
            select(admins).where(admins.c.parent == self.parent).order_by(admins.c.address).limit(self.limit)
        )
        return [Admin(EnsName(row.parent), EthAddress(row.address), row.created_at) for row in rows]
