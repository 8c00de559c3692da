"""The listening sockets, and the count of who is connected."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ssl
from dataclasses import replace
from typing import Final

from cachetools import TTLCache

from adapters.email import replies
from adapters.email.handler import Connection, Handler, Role, ServerOptions, counted_for
from adapters.email.server import LmtpServer, MailServer
from adapters.email.settings import EmailSettings

_CLOSING_TIME: Final = 20.0
"""Seconds that mails on their way in get to end when we stop."""
FAILED_LOG_INS: Final = 20
"""Of one address or customer's network, in the time below; then nobody logs in from there until it is over."""
FAILED_SECONDS: Final = 900.0
FAILED_ADDRESSES: Final = 10_000
_CLOSING_STEP: Final = 0.05
"""Seconds between two looks at who has become idle."""


class Listener:
    """The ports of the adapter, in the running event loop; also the `Gate` of their connections."""

    def __init__(self, settings: EmailSettings, handler: Handler) -> None:
        self._settings = settings
        self._handler = handler
        self._servers: dict[Role, asyncio.Server] = {}
        self._connections: set[Connection] = set()
        self._per_asker: collections.Counter[str] = collections.Counter()
        self._bytes = 0
        self._failures: TTLCache[str, int] = TTLCache(FAILED_ADDRESSES, FAILED_SECONDS)
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """Read the certificate and listen; raises OSError or ssl.SSLError."""
        settings = self._settings
        options = ServerOptions(
            role=Role.MX,
            host_name=settings.host_name,
            domain=settings.domain,
            size_limit=settings.size_limit,
            command_timeout=settings.command_timeout,
            data_timeout=settings.data_timeout,
            tls=await asyncio.to_thread(_tls_context, settings),
        )
        mx = replace(options, proxies=settings.proxy_networks)
        await self._listen(MailServer, mx, settings.smtp_host, settings.smtp_port)
        if settings.submission_port is not None:
            submission = replace(options, role=Role.SUBMISSION)
            await self._listen(MailServer, submission, settings.smtp_host, settings.submission_port)
        if settings.lmtp_port is not None:
            lmtp = replace(options, role=Role.LMTP)
            await self._listen(LmtpServer, lmtp, settings.lmtp_host, settings.lmtp_port)

    async def _listen(self, kind: type[MailServer], options: ServerOptions, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._servers[options.role] = await loop.create_server(lambda: kind(self._handler, self, options), host, port)

    def port(self, role: Role) -> int | None:
        """Where a port really is, for settings that say 0; None when it is not open."""
        server = self._servers.get(role)
        return int(server.sockets[0].getsockname()[1]) if server and server.sockets else None

    def enter(self, connection: Connection, address: str) -> bool:
        """Count a connection; False when there are too many, of one client or of all."""
        if len(self._connections) >= self._settings.max_connections:
            return False
        asker = counted_for(address)
        if self._per_asker[asker] >= self._settings.max_connections_per_address:
            return False
        self._connections.add(connection)
        self._per_asker[asker] += 1
        self._idle.clear()
        return True

    def leave(self, connection: Connection, address: str) -> None:
        """A connection that had entered is over."""
        self._connections.discard(connection)
        self._per_asker -= collections.Counter({counted_for(address): 1})  # drops what reaches zero
        if not self._connections:
            self._idle.set()

    def reserve(self, size: int) -> bool:
        """Count bytes of a mail on its way in."""
        if self._bytes + size > self._settings.max_bytes_at_once:
            return False
        self._bytes += size
        return True

    def release(self, size: int) -> None:
        """They are kept no more."""
        self._bytes -= size

    def log_in_failed(self, address: str) -> None:
        """Count a wrong password."""
        asker = counted_for(address)
        self._failures[asker] = self._failures.get(asker, 0) + 1

    def may_log_in(self, address: str) -> bool:
        """False after too many of them."""
        return self._failures.get(counted_for(address), 0) < FAILED_LOG_INS

    async def close(self) -> None:
        """Stop listening; idle clients are told to come back, mails on their way in get time to end."""
        for server in self._servers.values():
            server.close()
        try:
            async with asyncio.timeout(_CLOSING_TIME):
                while self._connections:
                    for connection in tuple(self._connections):
                        if not connection.busy:
                            connection.hang_up(replies.CLOSING)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._idle.wait(), _CLOSING_STEP)
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.hang_up(replies.CLOSING)
        self._servers.clear()


def _tls_context(settings: EmailSettings) -> ssl.SSLContext | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    return context
