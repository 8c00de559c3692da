"""Portals: which room is the conversation of a person, or of a room that speaks as one, with an ENS name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cachetools import TTLCache
from pydantic import TypeAdapter, ValidationError

from adapters.matrix.ids import EventId, RoomId
from gateway.sdk import CanonicalId, EnsName, Value, Values

ROOM: Final = "room"
"""Values: portals, by room and name: whoever invited the ghost last has it."""
CURRENT: Final = "current"
"""Values: the room in which a conversation goes on, by person and name."""
FORMER: Final = "former"
"""Values: what somebody had in a room that is another's portal by now, and what they said to it, by person and name."""
MARK: Final = "mark"
"""Values: what is being sent, by conversation."""
UNREAD: Final = "unread"
"""Values: events that nobody has seen yet, by room and name."""
MAX_UNREAD: Final = 100
KNOWN: Final = 10_000
KNOWN_SECONDS: Final = 2.0
"""For which a portal is remembered here: what another node changes is seen after that."""


class PortalKind(StrEnum):
    """Whose voice is heard on the DM3 side."""

    DIRECT = "direct"
    """One person's."""
    GROUP = "group"
    """Of a room with several people, each message with its speaker's name."""


@dataclass(frozen=True, slots=True)
class Portal:
    """A room and the ENS name behind it."""

    room: RoomId
    person: CanonicalId
    """The person, or the room's voice."""
    name: EnsName
    kind: PortalKind = PortalKind.DIRECT
    closed: bool = False
    """True when the person left: a new message opens a new room."""
    accepted: bool = True
    """False while the person was only invited."""
    declined: bool = False
    """True when the person declined the invitation or put the ghost out: only they begin it anew."""

    @property
    def key(self) -> str:
        """Of values about this portal."""
        return f"{self.room} {self.name}"


@dataclass(frozen=True, slots=True)
class Sending:
    """The delivery under way in a conversation: after a crash the homeserver is asked what of it is there."""

    key: str
    room: RoomId
    at: int
    """When it began, in milliseconds since the epoch."""
    events: tuple[EventId, ...] = ()


_PORTAL: Final = TypeAdapter(Portal)
_SENDING: Final = TypeAdapter(Sending)
_EVENTS: Final = TypeAdapter(tuple[tuple[EventId, int], ...])


class Portals:
    """Portals of one homeserver, on disk."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._rooms: TTLCache[RoomId, list[Portal]] = TTLCache(KNOWN, KNOWN_SECONDS)
        self._talks: TTLCache[str, Portal] = TTLCache(KNOWN, KNOWN_SECONDS)

    async def in_room(self, room: RoomId) -> list[Portal]:
        """The portals of a room: none, one, or one for each ghost that is or was there."""
        known = self._rooms.get(room)
        if known is None:
            found = await self._values.find(ROOM, f"{room} ")
            known = [portal for value in found if (portal := _read(value.text)) is not None]
            # A closed one is looked at again: another node may open it, and what is written then is for it.
            if known and not any(portal.closed for portal in known):
                self._rooms[room] = known
        return known

    async def open_in(self, room: RoomId) -> list[Portal]:
        """Those that hear what is written there: nobody whose ghost was put out, or whose person left."""
        return [portal for portal in await self.in_room(room) if not portal.closed and not portal.declined]

    async def of(self, person: CanonicalId, name: EnsName) -> Portal | None:
        """Where a conversation goes on, or how it ended; never a portal of anybody else."""
        talk = f"{person} {name}"
        known = self._talks.get(talk)
        if known is None:
            room = await self.last_room(person, name)
            known = None if room is None else await self._had(person, name, room)
            if known is not None:
                self._talks[talk] = known
        return known

    async def last_room(self, person: CanonicalId, name: EnsName) -> RoomId | None:
        """The room in which a conversation went on last, whosever portal it is by now."""
        room = await self._values.get(CURRENT, f"{person} {name}")
        return None if room is None else RoomId(room)

    async def _had(self, person: CanonicalId, name: EnsName, room: RoomId) -> Portal | None:
        """What somebody has, or had, in a room: a ghost may have been invited there again, by another person."""
        here = _read(await self._values.get(ROOM, f"{room} {name}"))
        if here is not None and here.person == person:
            return here
        left = _read(await self._values.get(FORMER, f"{person} {name}"))
        return left if left is not None and left.room == room else None

    def _forget(self, *portals: Portal) -> None:
        """What is remembered of portals that change."""
        for portal in portals:
            self._rooms.pop(portal.room, None)
            self._talks.pop(f"{portal.person} {portal.name}", None)

    async def put(self, portal: Portal) -> None:
        """Write it, and make its room the one where the conversation goes on."""
        before = _read(await self._values.get(ROOM, portal.key))
        taken = [] if before is None or before.person == portal.person else [before]
        await self._values.put(
            Value(ROOM, portal.key, _PORTAL.dump_json(portal).decode()),
            Value(CURRENT, f"{portal.person} {portal.name}", portal.room),
            *[value for each in taken for value in await self._ended(each)],
        )
        self._forget(portal, *taken)

    async def _ended(self, portal: Portal) -> list[Value]:
        """A portal whose room goes to another person: theirs no more, and their "no" stays."""
        values = [Value(UNREAD, portal.key, None)]
        if await self.last_room(portal.person, portal.name) == portal.room:
            text = _PORTAL.dump_json(replace(portal, closed=True)).decode()
            values.append(Value(FORMER, f"{portal.person} {portal.name}", text))
        return values

    async def change(self, portal: Portal, *, closed: bool, declined: bool) -> None:
        """Write that it ended, or that the person is there; nothing when the room is another's by now."""
        here = _read(await self._values.get(ROOM, portal.key))
        if here is None or here.person != portal.person:
            return
        changed = replace(here, closed=closed, declined=declined, accepted=here.accepted or not closed)
        if changed != here:
            await self._values.put(Value(ROOM, portal.key, _PORTAL.dump_json(changed).decode()))
        self._forget(portal)

    async def close(self, portal: Portal) -> None:
        """The room is lost, whoever ended it; what is known of that stays."""
        known = await self.of(portal.person, portal.name)
        if known is not None and known.room == portal.room and not known.closed:
            await self.change(known, closed=True, declined=known.declined)

    async def move(self, portal: Portal, room: RoomId) -> Portal:
        """The room was replaced by another one; what still comes from the old one is heard too."""
        moved = replace(portal, room=room, closed=False, declined=False)
        await self.put(moved)
        return moved

    async def sending(self, portal: Portal) -> Sending | None:
        """The last delivery that began here."""
        text = await self._values.get(MARK, f"{portal.person} {portal.name}")
        try:
            return None if text is None else _SENDING.validate_json(text)
        except ValidationError:
            return None

    async def begin(self, portal: Portal, sending: Sending) -> None:
        """Write down what is about to be sent."""
        await self._values.put(Value(MARK, f"{portal.person} {portal.name}", _SENDING.dump_json(sending).decode()))

    async def shown(self, portal: Portal, sending: Sending, *, unread: bool) -> None:
        """Write down what was sent, and that nobody has seen it yet."""
        mark = Value(MARK, f"{portal.person} {portal.name}", _SENDING.dump_json(sending).decode())
        if not unread:
            await self._values.put(mark)
            return
        # The first event stands for all parts of the message.
        waiting = [*await self.unread(portal), (sending.events[0], sending.at)][-MAX_UNREAD:]
        await self._values.put(mark, Value(UNREAD, portal.key, _EVENTS.dump_json(tuple(waiting)).decode()))

    async def unread(self, portal: Portal) -> tuple[tuple[EventId, int], ...]:
        """Events of the ghost that the person has not seen, with their times (ms), oldest first."""
        text = await self._values.get(UNREAD, portal.key)
        try:
            return () if text is None else _EVENTS.validate_json(text)
        except ValidationError:
            return ()

    async def seen(self, portal: Portal, left: tuple[tuple[EventId, int], ...]) -> None:
        """Keep only what was not seen."""
        await self._values.put(Value(UNREAD, portal.key, _EVENTS.dump_json(left).decode() if left else None))

    async def drop_person(self, person: CanonicalId) -> list[Portal]:
        """Forget all portals of a person; those that were there."""
        dropped = []
        for value in await self._values.find(CURRENT, f"{person} "):
            portal = _read(await self._values.get(ROOM, f"{value.text} {value.key.partition(' ')[2]}"))
            gone = [Value(kind, value.key, None) for kind in (CURRENT, FORMER, MARK)]
            if portal is not None and portal.person == person:
                dropped.append(portal)
                gone += [Value(ROOM, portal.key, None), Value(UNREAD, portal.key, None)]
            await self._values.put(*gone)
        self._forget(*dropped)
        return dropped


def _read(text: str | None) -> Portal | None:
    """A stored portal; None for one that another version wrote in a way that we do not read."""
    try:
        return None if text is None else _PORTAL.validate_json(text)
    except ValidationError:
        return None
