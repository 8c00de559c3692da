"""How people enter a room, change what they are called, and leave (XEP-0045, section 7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid, canonical
from adapters.xmpp.rooms import markup
from adapters.xmpp.rooms.markup import CREATED, ITSELF, LOST, RENAMED
from adapters.xmpp.rooms.room import MAX_SEATS, Affiliation, Seat, check_nick, past
from adapters.xmpp.rooms.shelf import Shelf
from adapters.xmpp.rooms.table import Table
from adapters.xmpp.stanzas import Available, Enter
from adapters.xmpp.world import World
from adapters.xmpp.xml import NOTHING, Xml


class Entering:
    """Handles presence in rooms. The table's lock is held by the caller."""

    def __init__(self, world: World, shelf: Shelf) -> None:
        self._world = world
        self._shelf = shelf

    async def enter(self, table: Table, enter: Enter, *, is_new: bool) -> None:
        """Somebody comes, or comes again because their client lost track. Raises BadStanza (section 7.2)."""
        client, nick = enter.head.sender, check_nick(enter.head.to.resource)
        self._check_entry(table, client)
        self._check_nick(table, client, nick)
        before = table.seat(client)
        if before is None and len(table.seats) >= MAX_SEATS:
            raise BadStanza(Condition.SERVICE_UNAVAILABLE, f"{MAX_SEATS} people are in this room; it is full.")
        if before is not None and before.nick != nick:
            await self._leave(table, [before])
        now = self._world.ctx.now_ms()
        joined_at = await self._shelf.joined(table.room.jid, canonical(client), now)
        seat = Seat(client, nick, enter.show, enter.status)
        await table.sit(seat)
        self._introduce(table, seat, is_new=is_new)
        for each in past(await table.passed(), enter, joined_at, now):
            table.tell(client, each, late=True)
        self._world.link.send(markup.subject(table.room, client))

    async def change(self, table: Table, presence: Available) -> None:
        """Somebody is there in another way, or under another nick. Raises BadStanza when they are not there."""
        client, nick = presence.head.sender, check_nick(presence.head.to.resource)
        seat = table.seat(client)
        if seat is None:
            raise BadStanza(Condition.NOT_ACCEPTABLE, "You are not in this room; please enter it again.")
        self._check_nick(table, client, nick)
        changed = replace(seat, nick=nick, show=presence.show, status=presence.status)
        if nick != seat.nick:
            self._tell_gone(table, seat, RENAMED, new_nick=nick)
        await table.sit(changed)
        self._tell_here(table, changed)

    async def leave(self, table: Table, client: Jid) -> None:
        """Somebody goes, or is gone already."""
        seat = table.seat(client)
        if seat is not None:
            await self._leave(table, [seat])

    async def lose(self, table: Table, client: Jid) -> None:
        """A client does not answer any more (section 9.11 of XEP-0045, XEP-0410)."""
        seat = table.seat(client)
        if seat is not None:
            await self._leave(table, [seat], LOST)

    async def expel(self, table: Table, seats: Iterable[Seat], code: int, reason: str = "") -> None:
        """Send people out."""
        await self._leave(table, seats, code, reason=reason)

    async def _leave(self, table: Table, seats: Iterable[Seat], *codes: int, reason: str = "") -> None:
        leaving = list(seats)
        for seat in leaving:
            self._tell_gone(table, seat, *codes, reason=reason)
        await table.rise(leaving)

    def _introduce(self, table: Table, seat: Seat, *, is_new: bool) -> None:
        """Everybody to the newcomer, and the newcomer to everybody; to themselves as the last (section 7.2.2)."""
        room, client, send = table.room, seat.client, self._world.link.send
        send(markup.presence(room, client, table.shown_name()))
        seen = {seat.nick}
        for each in table.seats:
            if each.nick not in seen:
                seen.add(each.nick)
                send(markup.presence(room, client, table.shown(each, client)))
        for each in table.seats:
            if each.client != client:
                send(markup.presence(room, each.client, table.shown(seat, each.client)))
        send(markup.presence(room, client, table.shown(seat, client), ITSELF, *((CREATED,) if is_new else ())))

    def show(self, table: Table, seats: Iterable[Seat]) -> None:
        """They are something else than before."""
        for seat in seats:
            self._tell_here(table, seat)

    def _tell_here(self, table: Table, seat: Seat) -> None:
        for each in table.seats:
            codes = (ITSELF,) if each.client.bare == seat.client.bare else ()
            self._world.link.send(markup.presence(table.room, each.client, table.shown(seat, each.client), *codes))

    def _tell_gone(self, table: Table, seat: Seat, *codes: int, new_nick: str | None = None, reason: str = "") -> None:
        """To all others only when nobody else goes by this nick; to the client itself in any case."""
        others = any(each.client != seat.client for each in table.called(seat.nick))
        absence = partial(markup.absence, new_nick=new_nick, reason=reason)
        for each in table.seats:
            own = each.client == seat.client
            if own or not others:
                told = (*codes, ITSELF) if own else codes
                self._world.link.send(absence(table.room, each.client, table.shown(seat, each.client), *told))

    def destroy(self, table: Table, why: Xml) -> None:
        """Tell everybody that there is no room any more (section 10.9)."""
        for seat in table.seats:
            shown = replace(table.shown(seat, seat.client), affiliation=Affiliation.NONE, jid=None)
            self._world.link.send(markup.absence(table.room, seat.client, shown, ITSELF, extra=why or NOTHING))

    def _check_entry(self, table: Table, client: Jid) -> None:
        affiliation = table.room.affiliation(canonical(client))
        if affiliation is Affiliation.OUTCAST:
            raise BadStanza(Condition.FORBIDDEN, "You are banned from this room.")
        if table.room.members_only and affiliation is Affiliation.NONE:
            raise BadStanza(Condition.REGISTRATION_REQUIRED, "Only members enter this room; ask for an invitation.")

    def _check_nick(self, table: Table, client: Jid, nick: str) -> None:
        taken = any(each.client.bare != client.bare for each in table.called(nick))
        if taken or table.is_names(nick):
            raise BadStanza(Condition.CONFLICT, "Somebody else has this nick in the room.")
