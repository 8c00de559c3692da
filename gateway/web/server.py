"""The HTTP listener: uvicorn inside our own event loop, so that start and end are in our hands."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from gateway.errors import ConfigError
from gateway.web.crowd import PER_ADDRESS, Crowd, counted
from gateway.web.deadline import HEAD_SECONDS, punctual

BACKLOG: Final = 2048
GRACE_SECONDS: Final = 10
KEEP_ALIVE_SECONDS: Final = 10
WEBSOCKET_BYTES: Final = 2**20
"""Of one message; each connection may hold so much half-received."""
CONNECTIONS: Final = 1000
"""Open at one time; whoever comes above that is answered 503."""


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises ConfigError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle off only on sockets that name their protocol.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigError(f"server: cannot listen on {host} port {port}: {error.strerror}") from None
    return bound


class HttpServer:
    """Serves one application on one bound socket, with bounds on what a peer can hold open."""

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        *,
        head_seconds: float = HEAD_SECONDS,
        connections: int = CONNECTIONS,
        connections_per_address: int = PER_ADDRESS,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self.host, self.port = bound.getsockname()[:2]
        self._bound = bound
        self._parting = _Parting(app)
        config = uvicorn.Config(
            self._parting,
            http=counted(punctual(AutoHTTPProtocol, head_seconds), Crowd(connections_per_address, trusted_proxies)),
            ws="websockets-sansio",
            ws_max_size=WEBSOCKET_BYTES,
            # socket.io has its own, and packed messages would have to be bounded twice.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            lifespan="off",
            log_config=None,
            # Paths hold the names that people look up: no line per request.
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            limit_concurrency=connections,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when requests are answered; raises ConfigError when another process was quicker.

        Two can be bound to a port while neither listens, and uvloop tells the exception handler only that it could not.
        """
        try:
            self._bound.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(f"server: cannot listen on {self.host} port {self.port}: {error.strerror}") from None
        self._task = asyncio.create_task(self._server.serve(sockets=[self._bound]), name="http")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise ConfigError("server: the HTTP listener did not start")
            await asyncio.sleep(0.005)

    def part(self) -> None:
        """Serve on, and end each connection with its next answer: clients that keep theirs open go elsewhere.

        A connection that is closed at the stop may have a request under way that nobody reads any more.
        """
        self._parting.begun = True

    async def stop(self) -> None:
        """Finish open requests, at most for the grace period, and close the socket."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._bound.close()


class _Parting:
    """An application whose answers end their connections once `begun` is set (RFC 9112, 9.6)."""

    def __init__(self, app: ASGIApp) -> None:
        self.begun = False
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: Message) -> None:
            if self.begun and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, last if scope["type"] == "http" else send)


class _Server(uvicorn.Server):
    """Leaves signals to whoever owns the event loop: uvicorn would end the process before the rest is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
