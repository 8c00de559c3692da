"""Connections that go to the very IP address that was checked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import httpcore2

from gateway.ens.hosts import may_connect, parse_ip
from gateway.errors import FetchRefused

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""IP addresses of a host and port; raises OSError."""

MAX_ADDRESSES: Final = 4
"""Addresses of one host that are tried."""


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Addresses by the resolver of the operating system. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PinningBackend(httpcore2.AsyncNetworkBackend):
    """Connects to checked addresses only; TLS above it still verifies the certificate for the host's name."""

    def __init__(self, connect: httpcore2.AsyncNetworkBackend, resolve: Resolve | None, *, allow_private: bool) -> None:
        """``resolve`` is the operating system's when None."""
        self._connect = connect
        self._resolve = resolve or system_resolve
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Look the host up once, refuse it when any of its addresses is refused, try its addresses in order."""
        error: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in await self._checked(host, port):
            try:
                return await self._connect.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error

    async def _checked(self, host: str, port: int) -> list[str]:
        literal = parse_ip(host)
        texts = [host] if literal is not None else await self._resolve(host, port)
        for text in texts:
            address = parse_ip(text)
            if address is None or not may_connect(address, allow_private=self._allow_private):
                raise FetchRefused(f"{host} leads to an address that must not be fetched from")
        return list(texts)[:MAX_ADDRESSES]
