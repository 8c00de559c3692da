"""A deadline for the head of a request: uvicorn alone waits for ever for a peer that says nothing, or half a line."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

HEAD_SECONDS: Final = 15.0
"""From the connection, or from the first byte behind an answer, to the end of the request's head."""


def punctual(protocol: type[asyncio.Protocol], seconds: float) -> type[asyncio.Protocol]:
    """One of uvicorn's HTTP protocols (httptools or h11), with connections closed that are late by `seconds`."""
    return type("Punctual", (_HeadDeadline, protocol), {"seconds": seconds})


class _HeadDeadline(asyncio.Protocol):
    """In front of a protocol of uvicorn, which sets `cycle` when a head is complete."""

    seconds: ClassVar[float]
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """From here another protocol has the connection, and whoever serves it sets the bounds."""
        self._forget()
        super().handle_websocket_upgrade(*event)  # type: ignore[misc]

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._late)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        self.transport.close()
