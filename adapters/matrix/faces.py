"""How people call themselves: kept of everybody who was seen; a room is asked where it matters who else is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from cachetools import TTLCache

from adapters.matrix.errors import AnswerTooLarge, HomeserverRefused
from adapters.matrix.ids import Mxid, RoomId
from adapters.matrix.intent import Intent
from gateway.sdk import CanonicalId, Value, Values
from gateway.sdk.speakers import one_line, unmistakable, with_id

FACE: Final = "face"
"""Values: how people of the network call themselves, by id."""
KNOWN: Final = 10_000
FACE_SECONDS: Final = 10.0
ROOMS: Final = 1_000
ROOM_SECONDS: Final = 60.0
"""For which the names of a room are remembered, unless this node sees them change before."""
CROWD_SECONDS: Final = 3600.0
"""For which a room is not asked again that has more people than are read."""


class Faces:
    """Display names of one homeserver, on disk."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._faces: TTLCache[CanonicalId, str] = TTLCache(KNOWN, FACE_SECONDS)
        self._rooms: TTLCache[RoomId, Mapping[str, str]] = TTLCache(ROOMS, ROOM_SECONDS)
        self._crowds: TTLCache[RoomId, bool] = TTLCache(ROOMS, CROWD_SECONDS)

    async def put(self, faces: Mapping[CanonicalId, str]) -> None:
        """Write how people, or rooms that speak as one, call themselves now; "" is nothing."""
        await self._values.put(*(Value(FACE, user, one_line(name) or None) for user, name in faces.items()))

    async def drop(self, user: CanonicalId) -> None:
        """Forget somebody."""
        await self._values.put(Value(FACE, user, None))
        self._faces.pop(user, None)

    async def of(self, user: CanonicalId) -> str:
        """How somebody calls themselves, in one line, "" when they do not; remembered for some seconds."""
        known = self._faces.get(user)
        if known is None:
            # Once more in one line: older versions kept what people wrote.
            known = self._faces[user] = one_line(await self._values.get(FACE, user) or "")
        return known

    async def in_room(self, user: Mxid, room: RoomId, ghost: Intent) -> str:
        """How somebody is called in a room of several people, as nobody else there is. Raises HomeserverDown."""
        if room in self._crowds:
            return with_id(user, await self.of(user))
        known = self._rooms.get(room)
        if known is None or user not in known:
            try:
                # Everybody counts, our own users too; in a thread, for there are rooms of thousands.
                known = await asyncio.to_thread(unmistakable, await ghost.joined(room))
            except AnswerTooLarge:
                known, self._crowds[room] = {}, True
            except HomeserverRefused:
                # The ghost is not there any more.
                known = {}
            self._rooms[room] = known
        return known.get(user) or with_id(user, await self.of(user))

    def changed(self, room: RoomId) -> None:
        """Somebody came, left, or is called otherwise now."""
        self._rooms.pop(room, None)
