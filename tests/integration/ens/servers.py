"""Servers of this machine that the fetching tests talk to: one that answers by a script, one that only counts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.ens.egress import GuardedClient
from gateway.ens.targets import Target


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script: TypeAlias = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """A listening server: its port, the connections it saw, the requests it read."""

    port: int = 0
    connections: int = 0
    asked: list[Asked] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        """A URL of this server."""
        return f"{scheme}://{host}:{self.port}{path}"


def response(
    status: int = 200, body: bytes = b"", content_type: str = "application/json", *headers: tuple[str, str]
) -> bytes:
    """A whole HTTP response."""
    lines = [f"HTTP/1.1 {status} Any", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that reads each request and lets ``script`` write what it likes."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                asked = await _read(reader)
                server.asked.append(asked)
                await script(asked, writer)
                await writer.drain()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def run() -> None:
            try:
                await serve(reader, writer)
            finally:
                writer.close()
                with suppress(ConnectionError, ssl.SSLError):
                    await writer.wait_closed()

        task = asyncio.create_task(run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(data: bytes) -> Script:
    """A script that gives the same bytes to everybody."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return script


async def silence(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """A script that never answers."""
    await asyncio.sleep(3600)


class ShortClient(GuardedClient):
    """May talk to this machine, and soon gives up servers that are mute; all others have their time."""

    def __init__(self, *mute: Server, seconds: float = 2) -> None:
        super().__init__(allow_private=True, timeout=30)
        self._mute = {server.port for server in mute}
        self._seconds = seconds

    @asynccontextmanager
    async def _in_time(self, target: Target, timeout: float | None) -> AsyncIterator[None]:
        async with super()._in_time(target, self._seconds if target.port in self._mute else timeout):
            yield


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)
