"""Rooms on disk: what they are, who sits in them, since when somebody belongs to them, and what was said."""

from __future__ import annotations

import hashlib
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from adapters.xmpp.jids import Jid
from adapters.xmpp.rooms.room import Passed, Room, Seat
from gateway.sdk import Value, Values

T = TypeVar("T")
ROOM: Final = "room"
"""Values: rooms, by local part."""
OWNED: Final = "owned"
"""Values: who made a room, by person and local part."""
SEAT: Final = "seat"
"""Values: clients in rooms, by local part and digest."""
JOINED: Final = "joined"
"""Values: since when (ms) somebody sees what is said, by local part and person."""
PASSED: Final = "passed"
"""Values: what was said, by local part and number."""
KEPT: Final = 200
"""Messages of a room; the oldest go."""
_ROOM: Final = TypeAdapter(Room)
_SEAT: Final = TypeAdapter(Seat)
_PASSED: Final = TypeAdapter(Passed)
_BATCH: Final = 500


class Shelf:
    """The rooms of one component."""

    def __init__(self, values: Values) -> None:
        self._values = values

    async def room(self, jid: Jid) -> Room | None:
        """What is kept of a room."""
        return _read(_ROOM, await self._values.get(ROOM, jid.local))

    async def put(self, room: Room) -> None:
        """Write a room."""
        await self._values.put(_room_value(room))

    async def found(self, room: Room, founder: str) -> None:
        """Write a new room; its founder is counted."""
        await self._values.put(_room_value(room), Value(OWNED, f"{founder} {room.jid.local}", "1"))

    async def number_of(self, founder: str, most: int) -> int:
        """How many rooms somebody made that are still there; ``most`` for that many and more."""
        return len(await self._values.find(OWNED, f"{founder} ", limit=most))

    async def seats(self, jid: Jid) -> list[Seat]:
        """Who is there."""
        found = await self._values.find(SEAT, f"{jid.local} ")
        return [seat for each in found if (seat := _read(_SEAT, each.text)) is not None]

    async def sit(self, jid: Jid, seat: Seat) -> None:
        """Somebody is there."""
        await self._values.put(Value(SEAT, _seat_key(jid, seat.client), _SEAT.dump_json(seat).decode()))

    async def rise(self, jid: Jid, *clients: Jid) -> None:
        """They are gone."""
        await self._values.put(*(Value(SEAT, _seat_key(jid, each), None) for each in clients))

    async def joined(self, jid: Jid, person: str, now: int) -> int:
        """Since when somebody sees what is said; from now on, if they are new."""
        text = await self._values.claim(Value(JOINED, f"{jid.local} {person}", str(now)))
        return int(text) if text.isdecimal() else now

    async def expel(self, jid: Jid, person: str) -> None:
        """If somebody comes again, they are new."""
        await self._values.put(Value(JOINED, f"{jid.local} {person}", None))

    async def passed(self, jid: Jid) -> list[tuple[int, Passed]]:
        """What was said, with its numbers, oldest first."""
        found = await self._values.find(PASSED, f"{jid.local} ")
        return [
            (int(each.key.rpartition(" ")[2]), passed)
            for each in found
            if (passed := _read(_PASSED, each.text)) is not None
        ]

    async def keep(self, jid: Jid, number: int, passed: Passed) -> None:
        """Something was said; what is too old goes."""
        await self._values.put(
            Value(PASSED, _number_key(jid, number), _PASSED.dump_json(passed).decode()),
            Value(PASSED, _number_key(jid, number - KEPT), None),
        )

    async def drop(self, room: Room) -> None:
        """A room and all that is kept of it go."""
        local = room.jid.local
        for kind in (SEAT, JOINED, PASSED):
            while found := await self._values.find(kind, f"{local} ", limit=_BATCH):
                await self._values.put(*(Value(kind, each.key, None) for each in found))
        owned = [Value(OWNED, f"{person} {local}", None) for person in room.affiliations]
        await self._values.put(Value(ROOM, local, None), *owned)


def _room_value(room: Room) -> Value:
    return Value(ROOM, room.jid.local, _ROOM.dump_json(room).decode())


def _seat_key(jid: Jid, client: Jid) -> str:
    """A full JID may be longer than a key of an index."""
    return f"{jid.local} {hashlib.sha256(str(client).encode()).hexdigest()[:32]}"


def _number_key(jid: Jid, number: int) -> str:
    return f"{jid.local} {max(number, 0):012d}"


def _read(adapter: TypeAdapter[T], text: str | None) -> T | None:
    """None also for what another version wrote in a way that we do not read."""
    try:
        return None if text is None else adapter.validate_json(text)
    except ValidationError:
        return None
