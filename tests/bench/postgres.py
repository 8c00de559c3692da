"""A PostgreSQL server for rows that need one: its commits wait for the disk, and it has a core with the load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.store.migrate import upgrade
from tests.bench.machine import DATABASE_CORE, family_cpu_seconds, pin_family
from tests.support.postgres import PostgresServer


class Database:
    """A running server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    async def fresh(self, *, migrated: bool = False) -> str:
        """URL of a new database, empty or with our tables."""
        url = self._server.url(await asyncio.to_thread(self._server.fresh_database))
        if migrated:
            await asyncio.to_thread(upgrade, url)
        return url

    def cpu_seconds(self) -> float:
        """Of all its processes since its start; of those that have ended to a hundredth of a second."""
        return family_cpu_seconds(self._server.pid)

    def pin(self, core: int | None) -> None:
        """Keep it on one core, or let it have all."""
        pin_family(self._server.pid, core)


@asynccontextmanager
async def database(package: Path) -> AsyncIterator[Database]:
    """A server of its own from the binaries of ``package``."""
    server = PostgresServer(package)
    try:
        await asyncio.to_thread(server.initialise)
        await asyncio.to_thread(server.start, durable=True)
        made = Database(server)
        made.pin(DATABASE_CORE)
        yield made
    finally:
        await asyncio.to_thread(server.remove)
