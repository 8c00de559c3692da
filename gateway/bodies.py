"""Reading request bodies: up to a limit, within a time, and all of them together within one budget of memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from gateway.dm3.canonical import Json, parse_json
from gateway.errors import InvalidRequest, LimitExceeded, TooLarge
from gateway.offload import Offload

BODY_SECONDS: Final = 30.0
"""For a whole body; 20 MB in this time are 5 Mbit/s."""
SLOW_SECONDS: Final = 8.0
"""For a body that brings next to nothing."""
SLOW_BYTES: Final = 64 * 2**10
"""What a body must bring for each further second, on average."""
BODY_BUDGET: Final = 256 * 2**20
"""Bytes of all bodies that are held at one time, by one listener: strangers cannot use up that of the operators."""


class Bodies:
    """The bodies of all requests that are being worked on."""

    def __init__(
        self,
        *,
        offload: Offload | None = None,
        budget: int = BODY_BUDGET,
        seconds: float = BODY_SECONDS,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        """``offload`` is that of the node, where large bodies are read; None makes one."""
        self._offload = offload or Offload()
        self._left = budget
        self._seconds = seconds
        self._slow_seconds = slow_seconds

    @asynccontextmanager
    async def body(self, scope: Scope, receive: Receive, *, max_bytes: int) -> AsyncIterator[bytes]:
        """The whole body; its bytes count against the budget until the block is left.

        Raises TooLarge as soon as the body is known to be too large, InvalidRequest when the peer left, LimitExceeded
        when the body does not arrive in time or the budget is used up.
        """
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > max_bytes:
                raise TooLarge(f"the body has more than {max_bytes} bytes")
        parts: list[bytes] = []
        held = 0
        started = asyncio.get_running_loop().time()
        try:
            try:
                async with asyncio.timeout_at(started + self._allowed(0)) as patience:
                    more = True
                    while more:
                        part, more = _part(await receive())
                        if held + len(part) > max_bytes:
                            raise TooLarge(f"the body has more than {max_bytes} bytes")
                        if len(part) > self._left:
                            raise LimitExceeded("too many bytes of request bodies at once")
                        self._left -= len(part)
                        held += len(part)
                        parts.append(part)
                        if more:
                            patience.reschedule(started + self._allowed(held))
            except TimeoutError:
                raise LimitExceeded("the body did not arrive in time") from None
            yield b"".join(parts)
        finally:
            self._left += held

    def _allowed(self, held: int) -> float:
        """Seconds that a body may have taken so far: more for one that comes than for one that only drips."""
        return min(self._seconds, self._slow_seconds + held / SLOW_BYTES)

    async def json(self, request: Request, *, max_bytes: int, max_depth: int) -> Json:
        """The body of a request as strict JSON; raises as `body`, and ParseError."""
        async with self.body(request.scope, request.receive, max_bytes=max_bytes) as body:
            return await self._offload.run(len(body), parse_json, body, max_bytes=max_bytes, max_depth=max_depth)


def _part(message: Message) -> tuple[bytes, bool]:
    """A piece of the body, and whether more is to come."""
    if message["type"] == "http.disconnect":
        raise InvalidRequest("the connection was closed before the body was complete")
    return message.get("body", b""), message.get("more_body", False)
