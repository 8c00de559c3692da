"""Around the socket.io server: bounds on what a peer can hold open, send, and leave unread."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import LimitExceeded
from gateway.rates import Rate, asker_of
from gateway.relay.frames import in_order

log = structlog.get_logger(__name__)

LOG_IN_SECONDS: Final = 10.0
"""From the connection to the end of a log-in."""
MAX_BEFORE_LOG_IN: Final = 8_192
"""Bytes of a packet of somebody who is not logged in."""
SOCKETS_PER_ASKER: Final = 50
"""Open at one time from one address."""
PACKETS_PER_MINUTE: Final = 600
BYTES_PER_MINUTE: Final = 32 * 2**20
"""Of one socket: a packet is read by its bytes, and one of the largest costs as much as a hundred others."""
SENT_LATE_SECONDS: Final = 20.0
"""A peer that does not read for this long is not there any more."""
CLOSE_SECONDS: Final = 1.0
"""For the end of a connection whose peer may not read any more."""
LOGGED_IN: Final = "dm3.logged_in"
"""Key of the scope under which the log-in is noted."""
DROP: Final = "dm3.drop"
"""Key of the event that ends the connection without a word to its peer."""
POLICY: Final = 1008
"""Close code of RFC 6455 for whoever breaks a rule."""


class SocketGuard:
    """An ASGI application around another one; passes on websockets only, and closes those that are out of bounds."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        log_in_seconds: float = LOG_IN_SECONDS,
        sockets_per_asker: int = SOCKETS_PER_ASKER,
        packets_per_minute: int = PACKETS_PER_MINUTE,
        bytes_per_minute: int = BYTES_PER_MINUTE,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._log_in_seconds = log_in_seconds
        self._sockets_per_asker = sockets_per_asker
        self._packets_per_minute = packets_per_minute
        self._bytes_per_minute = bytes_per_minute
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection to its end."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        asker = asker_of(scope)
        if self._open[asker] >= self._sockets_per_asker:
            await receive()
            await send({"type": "websocket.close", "code": POLICY})
            return
        self._open[asker] += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._open[asker] -= 1
            if not self._open[asker]:
                del self._open[asker]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        packets, content = Rate(self._packets_per_minute), Rate(self._bytes_per_minute)
        closed = False

        async def close() -> Message:
            nonlocal closed
            if not closed:
                closed = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await send({"type": "websocket.close", "code": POLICY})
            return {"type": "websocket.disconnect", "code": POLICY}

        async def guarded_receive() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            text = message.get("text")
            try:
                packets.take("")
                content.take("", len(text or ""))
            except LimitExceeded:
                return await close()
            limit = self._max_bytes if LOGGED_IN in scope else MAX_BEFORE_LOG_IN
            if text is None or not in_order(text, max_bytes=limit):
                return await close()
            return message

        async def guarded_send(message: Message) -> None:
            if not closed:
                async with asyncio.timeout(SENT_LATE_SECONDS):
                    await send(message)

        drop = scope[DROP] = asyncio.Event()
        served = asyncio.create_task(self._run(scope, guarded_receive, guarded_send))
        dropped = asyncio.create_task(drop.wait())
        try:
            await asyncio.wait({served, dropped}, timeout=self._log_in_seconds, return_when=asyncio.FIRST_COMPLETED)
            if LOGGED_IN in scope:
                await asyncio.wait({served, dropped}, return_when=asyncio.FIRST_COMPLETED)
            elif not served.done():
                await close()
                await asyncio.wait({served}, timeout=CLOSE_SECONDS)
        finally:
            dropped.cancel()
            served.cancel()
            await asyncio.wait({served})

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # A peer that went away in the middle; what was submitted before is on disk.
            log.info("socket.ended", error=type(error).__name__)
