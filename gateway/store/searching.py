"""Looking for bridged people by what an operator knows of them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from gateway.store.identities import Identity
from gateway.store.schema import identities


@dataclass(frozen=True, slots=True)
class PeopleSeen:
    """Bridged people whose name, address in their network or claimed name holds a text, the youngest first.

    All when it is empty; at most ``limit``.
    """

    containing: str
    limit: int

    def run(self, conn: Connection) -> list[Identity]:
        """Read the key backwards; a search reads all of them."""
        page = select(identities).order_by(identities.c.id.desc()).limit(self.limit)
        if self.containing:
            looked_at = (identities.c.name, identities.c.canonical_id, identities.c.owned_name)
            page = page.where(or_(*(column.contains(self.containing, autoescape=True) for column in looked_at)))
        return [Identity(**row._mapping) for row in conn.execute(page)]
