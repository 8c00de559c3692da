"""Deadlines that uvicorn has not: for the head of a request, the rest of a body, and an answer that nobody reads."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

HEAD_SECONDS: Final = 10.0
"""From the connection, or from the first byte behind an answer, to the end of the request's head."""
LINGER_SECONDS: Final = 2.0
"""For the rest of a body behind its answer: whoever still sends must get to read why it was refused."""
UNREAD_SECONDS: Final = 20.0
"""For some 50 KiB of an answer that has more than its peer takes off the line."""


def punctual(protocol: type[asyncio.Protocol], seconds: float) -> type[asyncio.Protocol]:
    """One of uvicorn's HTTP protocols (httptools or h11), with connections closed that are late by `seconds`."""
    return type("Punctual", (_Deadlines, protocol), {"seconds": seconds})


class _Deadlines(asyncio.Protocol):
    """In front of a protocol of uvicorn, which sets `cycle` when a head is complete."""

    seconds: ClassVar[float]
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._is_read()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Called by uvicorn when an answer was written."""
        super().on_response_complete()  # type: ignore[misc]
        # A pipelined request has a cycle of its own by now.
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._forget()
            self._deadline = self.loop.call_later(min(self.seconds, LINGER_SECONDS), self._late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """From here another protocol has the connection, and whoever serves it sets the bounds."""
        self._forget()
        self._is_read()
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

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _late(self) -> None:
        self._deadline = None
        self.transport.close()
