"""What may come over a socket: engine.io 4 packets with socket.io 5 packets inside, as text and within bounds.

The library behind the socket trusts its peers with more than that: binary attachments of any number before anybody
logged in, numbers and depths of any size. What is not in order never reaches it.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.dm3.canonical import Json, parse_json
from gateway.errors import GatewayError

MAX_DEPTH: Final = 14
"""Levels of an event that holds an envelope as an object."""
MAX_ITEMS: Final = 1_000
"""Values of an event; one with an envelope has about thirty."""
RESERVED: Final = frozenset({"connect", "disconnect"})
"""Names by which the library calls its own handlers; it would do so for an event of a peer, too."""
# Engine.io: 1 close, 2 ping, 3 pong, 4 message. Socket.io: 0 connect, 1 disconnect, 2 event, 3 acknowledgement.
_CONTROL: Final = re.compile(r"[123](?:probe)?\Z")
_MESSAGE: Final = re.compile(r"4([0-3])(?:/[a-zA-Z0-9/_-]{0,64},)?([0-9]{0,15})(?=[\[{]|\Z)")


def in_order(text: str, *, max_bytes: int) -> bool:
    """True for a packet that a client of ours may send."""
    if len(text) > max_bytes:
        return False
    if _CONTROL.match(text):
        return True
    head = _MESSAGE.match(text)
    if head is None:
        return False
    kind, number, payload = head[1], head[2], text[head.end() :]
    try:
        value = _value(payload, max_bytes - head.end()) if payload else None
    except GatewayError:
        return False
    match kind:
        case "0":
            return not number and (value is None or isinstance(value, dict))
        case "1":
            return not number and value is None
        case "2":
            return isinstance(value, list) and bool(value) and isinstance(value[0], str) and value[0] not in RESERVED
        case _:
            return bool(number) and isinstance(value, list)


def _value(payload: str, max_bytes: int) -> Json:
    return parse_json(payload, max_bytes=max_bytes, max_depth=MAX_DEPTH, max_items=MAX_ITEMS)
