"""Aliases: short forms of names that are too long for a network, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.errors import InvalidInput
from gateway.ids import Network
from gateway.store.schema import aliases
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class PutAlias:
    """Remember that ``alias`` stands for ``target`` in ``network``; to say it again does nothing.

    Raises ``InvalidInput`` when it stands for something else: an address must never change hands.
    """

    network: Network
    alias: str
    target: str

    def apply(self, conn: Connection) -> None:
        """Insert unless there, then compare."""
        conn.execute(
            insert(conn, aliases)
            .values(network=self.network, alias=self.alias, target=self.target)
            .on_conflict_do_nothing()
        )
        if AliasTarget(self.network, self.alias).run(conn) != self.target:
            raise InvalidInput(f"alias {self.alias!r} of {self.network} stands for another name")


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """What an alias stands for, or None."""

    network: Network
    alias: str

    def run(self, conn: Connection) -> str | None:
        """Look up by the key."""
        return conn.scalar(
            select(aliases.c.target).where(aliases.c.network == self.network, aliases.c.alias == self.alias)
        )
