"""Socket.io packets whose content is JSON already: an envelope is written once, when it comes in.

Heavy imports: loaded only by a node that has a socket or a Redis.
"""

from __future__ import annotations

import json
from typing import Any

from socketio.packet import Packet


class JsonText(str):
    """JSON that is sent as it is, as one argument of an event."""

    __slots__ = ()


class _Writer:
    """What the library needs of the module ``json``."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        """Arguments of an event, or anything else."""
        if isinstance(value, list) and any(isinstance(each, JsonText) for each in value):
            texts = (each if isinstance(each, JsonText) else json.dumps(each, **options) for each in value)
            return f"[{','.join(texts)}]"
        return json.dumps(value, **options)


class TextPacket(Packet):  # type: ignore[misc]  # the library has no types
    """A packet that takes `JsonText` for what it says."""

    json = _Writer
