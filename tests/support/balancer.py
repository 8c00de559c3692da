"""What stands before several nodes: a plain TCP balancer, in turn over those whose /readyz answers 200.

It retries only when a node takes no connection, which no request can have met; whatever happens later is the client's.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
CHUNK: Final = 1 << 16
LOOK_SECONDS: Final = 0.2
"""Between two looks at /readyz."""
PATIENCE_SECONDS: Final = 4.0
"""With one look."""
READY: Final = b"GET /readyz HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n"


@dataclass
class Balancer:
    """Ports of the nodes, and which of them get connections."""

    nodes: Sequence[int]
    port: int = 0
    ready: set[int] = field(default_factory=set)
    given: Counter[int] = field(default_factory=Counter)
    """Connections of each node."""
    refused: int = 0
    """Connections for which there was no node."""
    _turns: itertools.count[int] = field(default_factory=itertools.count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join one connection to a node."""
        try:
            node = await self._connect()
            if node is None:
                self.refused += 1
                return
            await join((reader, writer), node)
        finally:
            writer.transport.abort()

    async def watch(self, port: int) -> None:
        """Look after one node, for ever."""
        while True:
            if await self._is_ready(port):
                self.ready.add(port)
            else:
                self.ready.discard(port)
            await asyncio.sleep(LOOK_SECONDS)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(2 * len(self.nodes)):
            ready = [port for port in self.nodes if port in self.ready]
            if not ready:
                return None
            port = ready[next(self._turns) % len(ready)]
            try:
                streams = await asyncio.open_connection(HOST, port)
            except OSError:
                self.ready.discard(port)
                continue
            self.given[port] += 1
            return streams
        return None

    async def _is_ready(self, port: int) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, port)
                try:
                    writer.write(READY)
                    return (await reader.readline()).split(b" ")[1] == b"200"
                finally:
                    writer.transport.abort()
        except (OSError, EOFError, TimeoutError, IndexError):
            return False


async def join(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Hand on what comes from either side until one of them ends."""
    ways = [asyncio.create_task(_hand_on(one[0], other[1])), asyncio.create_task(_hand_on(other[0], one[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        other[1].transport.abort()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def balancer(nodes: Sequence[int]) -> AsyncIterator[Balancer]:
    """A balancer on a free port."""
    made = Balancer(nodes)
    server = await asyncio.start_server(made.serve, HOST, 0, backlog=1024)
    made.port = server.sockets[0].getsockname()[1]
    watches = [asyncio.create_task(made.watch(port)) for port in nodes]
    try:
        yield made
    finally:
        server.close()
        for watch in watches:
            watch.cancel()
