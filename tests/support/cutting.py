"""A proxy that cuts connections: some before a request is handed on, more of them between request and answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
CHUNK: Final = 1 << 16


@dataclass
class Cutting:
    """What is cut how often, by one chance for each request and one for each answer."""

    to: Callable[[], int]
    """The port behind, asked for each connection."""
    before: float
    """Share of requests that are cut off on their way."""
    between: float
    """Share of answers that are cut off: the request was served, and nobody hears of it."""
    chance: random.Random
    port: int = 0
    early: int = 0
    """Cut before the request."""
    ambiguous: int = 0
    """Cut between request and answer."""
    passed: int = 0
    """Answers that came through."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            behind = await asyncio.open_connection(HOST, self.to())
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(self._requests(reader, behind[1])),
            asyncio.create_task(self._answers(behind[0], writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            behind[1].transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # All requests of the tests fit into one piece: they are posted in one, on a network without losses.
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.chance.random() < self.before:
                    self.early += 1
                    return
                writer.write(data)
                await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.chance.random() < self.between:
                    self.ambiguous += 1
                    return
                self.passed += 1
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def cutting(to: Callable[[], int], *, before: float, between: float, seed: int) -> AsyncIterator[Cutting]:
    """A proxy on a free port."""
    made = Cutting(to, before, between, random.Random(seed))
    server = await asyncio.start_server(made.serve, HOST, 0, backlog=1024)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
