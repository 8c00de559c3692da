"""Accounts of a relay, for tests that need one and not the way to it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.ids import EnsName, EthAddress
from gateway.store.schema import accounts


@dataclass(frozen=True)
class Registered:
    """An operation: the address has an account, with notifications on or off."""

    address: EthAddress
    name: EnsName
    notify: bool = False

    def apply(self, conn: Connection) -> None:
        """Insert one row."""
        conn.execute(
            accounts.insert().values(
                address=self.address,
                name=self.name,
                profile="",
                rules="",
                notify=self.notify,
                created_at=0,
                updated_at=0,
            )
        )
