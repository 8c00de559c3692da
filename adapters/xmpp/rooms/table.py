"""A room that is open: who sits at its table, and what goes round."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from adapters.xmpp.jids import Jid, canonical
from adapters.xmpp.rooms import markup
from adapters.xmpp.rooms.markup import Shown
from adapters.xmpp.rooms.room import Affiliation, Passed, Room, Seat
from adapters.xmpp.rooms.shelf import KEPT, Shelf
from adapters.xmpp.xml import Xml
from gateway.sdk.speakers import folded

ID_DIGITS: Final = 32


class Table:
    """One room. Whoever works on it holds ``lock``, so that everybody sees everything in one order.

    ``send`` hands a stanza to the link and raises LinkDown.
    """

    def __init__(self, room: Room, shelf: Shelf, key: bytes, send: Callable[[str], None]) -> None:
        self.room = room
        self.lock = asyncio.Lock()
        self._shelf = shelf
        self._key = key
        self._send = send
        self._seats: dict[Jid, Seat] = {}
        self._passed: dict[str, int] = {}
        """Numbers of what was said, by the room's id of it."""
        self._last = 0

    async def load(self) -> None:
        """Read who is there, and what was said."""
        self._seats = {seat.client: seat for seat in await self._shelf.seats(self.room.jid)}
        self._passed = {passed.id: number for number, passed in await self._shelf.passed(self.room.jid)}
        self._last = max(self._passed.values(), default=0)

    # --- who is there ---------------------------------------------------------------------------------------------

    @property
    def seats(self) -> list[Seat]:
        """All clients."""
        return list(self._seats.values())

    def seat(self, client: Jid) -> Seat | None:
        """Of a client."""
        return self._seats.get(client)

    def of_person(self, person: Jid) -> list[Seat]:
        """All clients of somebody."""
        return [each for each in self._seats.values() if each.client.bare == person.bare]

    def called(self, nick: str) -> list[Seat]:
        """The clients that go by a nick; it is that of one person."""
        same = folded(nick)
        return [each for each in self._seats.values() if folded(each.nick) == same]

    def is_names(self, nick: str) -> bool:
        """Whether a nick is that of the name with whom the room talks."""
        return folded(nick) in (folded(self.room.nick), folded(self.room.name))

    async def sit(self, seat: Seat) -> None:
        """Somebody is there, also after the next start."""
        await self._shelf.sit(self.room.jid, seat)
        self._seats[seat.client] = seat

    async def rise(self, seats: Iterable[Seat]) -> None:
        """They are gone."""
        clients = [each.client for each in seats]
        await self._shelf.rise(self.room.jid, *clients)
        for client in clients:
            self._seats.pop(client, None)

    async def put(self, room: Room) -> None:
        """The room is another from now on."""
        await self._shelf.put(room)
        self.room = room

    def clear(self) -> None:
        """Nobody is there."""
        self._seats.clear()

    # --- what they look like ---------------------------------------------------------------------------------------

    def occupant(self, person: str) -> str:
        """The same for all nicks of a person in this room, and telling nothing about them (XEP-0421)."""
        text = f"{self.room.jid}\n{person}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:ID_DIGITS]

    def shown(self, seat: Seat, to: Jid) -> Shown:
        """A client's person, as somebody sees them: moderators know who is behind a nick."""
        person = canonical(seat.client)
        knows = self.room.rules(canonical(to)) or seat.client.bare == to.bare
        return Shown(
            nick=seat.nick,
            occupant=self.occupant(person),
            affiliation=self.room.affiliation(person),
            jid=seat.client if knows else None,
            show=seat.show,
            status=seat.status,
        )

    def shown_name(self) -> Shown:
        """The name with whom the room talks."""
        room = self.room
        return Shown(
            nick=room.nick,
            occupant=self.occupant(""),
            affiliation=Affiliation.MEMBER,
            jid=room.contact,
            status=room.name,
        )

    # --- what goes round ------------------------------------------------------------------------------------------

    def id_of(self, person: str, own_id: str, payload: Xml) -> str:
        """The room's id for a message of somebody's: the same when it comes again, and not for another one.

        Writers' own ids need not be unique for longer than a stream (RFC 6120, section 8.1.3).
        """
        if not own_id:
            return secrets.token_hex(ID_DIGITS // 2)
        text = f"{self.room.jid}\n{person}\n{own_id}\n{payload}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:ID_DIGITS]

    async def say(self, passed: Passed) -> None:
        """Keep it, and tell all who are there. Raises LinkDown when they cannot be told now."""
        if passed.id not in self._passed:
            self._last += 1
            await self._shelf.keep(self.room.jid, self._last, passed)
            self._passed[passed.id] = self._last
            if len(self._passed) > KEPT:
                del self._passed[next(iter(self._passed))]
        for seat in self.seats:
            self.tell(seat.client, passed)

    def tell(self, client: Jid, passed: Passed, *, late: bool = False) -> None:
        """Tell one."""
        self._send(markup.message(self.room, client, passed, self.occupant(passed.person), late=late))

    def signal(self, seat: Seat, own_id: str, xml: Xml) -> None:
        """Tell all, and keep nothing."""
        for each in self.seats:
            self._send(markup.signal(self.room, each.client, seat.nick, own_id, xml))

    def all(self, make: Callable[[Room, Jid], Xml]) -> None:
        """Send something to everybody."""
        for seat in self.seats:
            self._send(make(self.room, seat.client))

    async def passed(self) -> list[Passed]:
        """What was said, oldest first."""
        return [each for _, each in await self._shelf.passed(self.room.jid)]

    async def find_own(self, person: str, own_id: str) -> Passed | None:
        """What somebody said last under an id of their own."""
        said = await self.passed()
        return next((each for each in reversed(said) if (each.person, each.own_id) == (person, own_id)), None)

    async def find(self, id: str) -> Passed | None:
        """Something that was said, by the room's id of it."""
        return next((each for each in await self.passed() if each.id == id), None)
