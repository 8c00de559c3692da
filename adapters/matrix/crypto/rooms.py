"""What is known of rooms for writing into them: whether they are encrypted, and who reads there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from adapters.matrix.client import Homeserver, path
from adapters.matrix.crypto.machine import MEGOLM, Rotation
from adapters.matrix.errors import HomeserverRefused
from adapters.matrix.ids import Ids, Mxid, RoomId
from adapters.matrix.reading import part, text, whole

MAX_ROOMS: Final = 10_000
HOUR_MS: Final = 3600 * 1000
T = TypeVar("T")


class EncryptedRooms:
    """Asked once, and told of every change by the events that we are pushed."""

    def __init__(self, homeserver: Homeserver, ids: Ids) -> None:
        self._homeserver = homeserver
        self._ids = ids
        self._encryption: dict[RoomId, Rotation | None] = {}
        self._members: dict[RoomId, frozenset[str]] = {}

    async def rotation(self, room: RoomId, viewer: Mxid) -> Rotation | None:
        """How often the room wants another key; None when it is not encrypted. Raises as `Homeserver.call`."""
        if room not in self._encryption:
            where = path("rooms", room, "state", "m.room.encryption", "")
            try:
                rotation = _read(await self._homeserver.call("GET", where, user=viewer))
            except HomeserverRefused as refusal:
                if refusal.status != 404:
                    raise
                rotation = None
            _keep(self._encryption, room, rotation)
        return self._encryption[room]

    def encrypted(self, room: RoomId, content: Mapping[str, Any]) -> None:
        """A room's encryption was switched on, or changed; it is never switched off."""
        _keep(self._encryption, room, _read(content))

    async def people(self, room: RoomId, viewer: Mxid) -> frozenset[str]:
        """Who is in a room or invited, without users of ours: they tell each other nothing."""
        known = self._members.get(room)
        if known is None:
            answer = await self._homeserver.call("GET", path("rooms", room, "members"), user=viewer)
            chunk = answer.get("chunk")
            known = frozenset(
                str(event["state_key"])
                for event in (chunk if isinstance(chunk, list) else ())
                if isinstance(event, Mapping)
                and text(part(event, "content"), "membership") in ("join", "invite")
                and not self._ids.is_ours(text(event, "state_key"))
            )
            _keep(self._members, room, known)
        return known

    def changed(self, room: RoomId) -> None:
        """Somebody came or went."""
        self._members.pop(room, None)


def _read(content: Mapping[str, Any]) -> Rotation:
    """Whatever stands there: to write in clear where that is not wanted would be worse than not to be read."""
    default = Rotation()
    if text(content, "algorithm") != MEGOLM:
        return default
    messages, ms = whole(content.get("rotation_period_msgs")), whole(content.get("rotation_period_ms"))
    return Rotation(min(messages, 10_000) or default.messages, max(HOUR_MS, min(ms, 10**12)) if ms else default.ms)


def _keep(table: dict[RoomId, T], room: RoomId, value: T) -> None:
    while len(table) >= MAX_ROOMS:
        table.pop(next(iter(table)))
    table[room] = value
