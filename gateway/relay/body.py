"""Reading a request body up to a limit, before anything is parsed."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope

from gateway.errors import InvalidRequest, TooLarge


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int) -> bytes:
    """The whole body; raises TooLarge as soon as it is known to be too large, InvalidRequest when the peer left."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise TooLarge(f"the body has more than {max_bytes} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the connection was closed before the body was complete")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise TooLarge(f"the body has more than {max_bytes} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
