"""The queue of a node, by way of its file: lanes that another node holds, and waiting until all is done."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from typing import Final

from gateway.ids import LaneKey
from gateway.store.engine import sqlite_path
from gateway.store.jobs import destination_of
from tests.bench.world import World

FAR: Final = 2**53
"""A time (ms) that does not come."""
EMPTY_SECONDS: Final = 300.0


class Lanes:
    """Lanes of one world; those that are named can be held."""

    def __init__(self, world: World, names: Iterable[LaneKey]) -> None:
        self._conn = sqlite3.connect(sqlite_path(world.settings.store.url), isolation_level=None, timeout=10)
        self._names = tuple(names)

    def hold(self) -> None:
        """Be another node that works on the named lanes."""
        self._conn.execute("BEGIN IMMEDIATE")
        for name in self._names:
            self._conn.execute(
                "INSERT INTO lanes (name, destination, owner, token, lease_until) VALUES (?, ?, 'bench', 1, ?)"
                " ON CONFLICT DO UPDATE SET owner = 'bench', token = token + 1, lease_until = excluded.lease_until",
                (name, destination_of(name), FAR),
            )
        self._conn.execute("COMMIT")

    def release(self) -> None:
        """Be gone: the node finds the lanes when it looks next, within a second."""
        self._conn.execute("UPDATE lanes SET owner = NULL, lease_until = 0 WHERE owner = 'bench'")

    def payloads(self) -> list[bytes]:
        """Of all jobs that are not done."""
        return [payload for (payload,) in self._conn.execute("SELECT payload FROM jobs")]

    def waiting(self) -> int:
        """How many jobs are not done."""
        return int(self._conn.execute("SELECT count(*) FROM jobs").fetchone()[0])

    def drop(self) -> None:
        """Do away with all jobs, as a node does that is done with them."""
        self._conn.execute("DELETE FROM jobs")

    def envelopes(self) -> int:
        """How many have ever been in a mailbox here."""
        return int(self._conn.execute("SELECT coalesce(max(seq), 0) FROM envelopes").fetchone()[0])

    async def empty(self) -> None:
        """Return when all is done and all lanes are given back; RuntimeError when something was set aside."""
        async with asyncio.timeout(EMPTY_SECONDS):
            while self._one("SELECT 1 FROM jobs") or self._one("SELECT 1 FROM lanes WHERE owner IS NOT NULL"):
                if held := self._one("SELECT reason FROM jobs WHERE state = 'hold'"):
                    raise RuntimeError(f"a job was set aside: {held[0]}")
                await asyncio.sleep(0.05)

    def close(self) -> None:
        """Close the file."""
        self._conn.close()

    def _one(self, query: str) -> tuple[str, ...] | None:
        found: tuple[str, ...] | None = self._conn.execute(f"{query} LIMIT 1").fetchone()
        return found
