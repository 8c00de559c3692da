"""The rooms of the component: which there are, and what comes for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.carrying import Carrying
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid, canonical
from adapters.xmpp.render import Content
from adapters.xmpp.rooms.entering import Entering
from adapters.xmpp.rooms.room import MAX_SEATS, Room
from adapters.xmpp.rooms.ruling import Ruling, founded
from adapters.xmpp.rooms.shelf import Shelf
from adapters.xmpp.rooms.speaking import NOT_HERE, Speaking
from adapters.xmpp.rooms.table import Table
from adapters.xmpp.services import disco, forms
from adapters.xmpp.services.disco import Face, Identity
from adapters.xmpp.services.forms import Field, Form
from adapters.xmpp.stanzas import (
    Available,
    Bounce,
    Enter,
    Groupchat,
    Invite,
    PresenceError,
    Probe,
    Request,
    Stanza,
    Subscribe,
    Subscribed,
    Unavailable,
    Unsubscribe,
    Unsubscribed,
)
from adapters.xmpp.world import World
from adapters.xmpp.xml import NOTHING, Xml, name_of
from gateway.sdk import Delivery, LimitExceeded, NotFound, Outcome, Rejected
from gateway.sdk import Unavailable as Later

MAX_OWNED: Final = 50
"""Rooms that one person may make."""
GONE: Final = frozenset(
    {
        Condition.GONE,
        Condition.ITEM_NOT_FOUND,
        Condition.JID_MALFORMED,
        Condition.RECIPIENT_UNAVAILABLE,
        Condition.REDIRECT,
        Condition.REMOTE_SERVER_NOT_FOUND,
        Condition.REMOTE_SERVER_TIMEOUT,
        Condition.SERVICE_UNAVAILABLE,
    }
)
"""What servers say of clients that are not there any more."""
_FEATURES: Final = (
    ns.DISCO_INFO,
    ns.PING,
    ns.MUC,
    ns.MUC_STABLE_ID,
    ns.IDS,
    ns.OCCUPANT,
    "muc_hidden",
    "muc_persistent",
    "muc_semianonymous",
    "muc_unmoderated",
    "muc_unsecured",
)


class Rooms:
    """Everything that comes for an address of a room."""

    def __init__(self, world: World, carrying: Carrying) -> None:
        self._world = world
        self._shelf = Shelf(world.ctx.values)
        self._entering = Entering(world, self._shelf)
        self._speaking = Speaking(world, carrying)
        self._ruling = Ruling(world, self._shelf, self._entering)
        self._tables: dict[Jid, Table] = {}
        self._founding = asyncio.Lock()

    def forget(self) -> None:
        """Whoever had the link until now may have changed everything."""
        self._tables.clear()

    async def stanza(self, stanza: Stanza) -> None:
        """A message or a presence. Raises BadStanza for what its sender has to be told."""
        head = stanza.head
        if isinstance(stanza, Enter):
            await self._enter(stanza)
            return
        jid, _ = self._world.ids.room(head.to)
        table = await self._table(jid)
        if table is None:
            if isinstance(stanza, Bounce | PresenceError | Unavailable):
                return
            raise BadStanza(Condition.ITEM_NOT_FOUND, "There is no such room; whoever enters it makes it.")
        async with table.lock:
            await self._at(table, stanza)

    async def _at(self, table: Table, stanza: Stanza) -> None:
        match stanza:
            case Groupchat() if not stanza.head.to.resource:
                await self._speaking.said(table, stanza)
            case Invite():
                await self._ruling.invite(table, stanza)
            case Available():
                self._count(stanza.head.sender)
                await self._entering.change(table, stanza)
            case Unavailable():
                await self._entering.leave(table, stanza.head.sender)
            case Subscribe():
                raise BadStanza(Condition.NOT_ALLOWED, "A room is entered; it is nobody's contact.")
            case Probe() | Subscribed() | Unsubscribe() | Unsubscribed():
                pass
            case Bounce() | PresenceError():
                if stanza.error.condition in GONE:
                    await self._entering.lose(table, stanza.head.sender)
            case _:
                raise BadStanza(
                    Condition.NOT_ACCEPTABLE,
                    f"Say it to the whole room; whoever wants to talk with {table.room.name} alone writes to "
                    f"{table.room.contact}.",
                )

    async def request(self, request: Request) -> Xml:
        """What to answer. Raises BadStanza."""
        head = request.head
        jid, _ = self._world.ids.room(head.to)
        table = await self._table(jid)
        if table is None:
            raise BadStanza(Condition.ITEM_NOT_FOUND, "There is no such room; whoever enters it makes it.")
        async with table.lock:
            match name_of(request.payload):
                case (ns.DISCO_INFO, "query") if not head.to.resource:
                    return disco.info(_face(table))
                case (ns.DISCO_ITEMS, "query") if not head.to.resource:
                    # Who is there is told to those who are there.
                    return disco.items(())
                case (ns.PING, "ping"):
                    # How clients find out whether they still are where they think (XEP-0410).
                    seat = table.seat(head.sender)
                    if seat is None or head.to.resource not in ("", seat.nick):
                        raise BadStanza(Condition.NOT_ACCEPTABLE, NOT_HERE)
                    return NOTHING
                case (ns.MUC_ADMIN, "query") if not head.to.resource:
                    return await self._ruling.admin(table, request)
                case (ns.MUC_OWNER, "query") if not head.to.resource:
                    answer = await self._ruling.owner(table, request)
                    if answer is None:
                        self._tables.pop(jid, None)
                    return answer or NOTHING
                case _:
                    raise BadStanza(Condition.SERVICE_UNAVAILABLE, "This is not offered here.")

    async def deliver(self, delivery: Delivery, contents: Sequence[Content]) -> Outcome:
        """The name behind a room says something. Raises LinkDown."""
        table = await self._table(Jid.parse(delivery.recipient))
        if table is None:
            return Rejected("there is no such room")
        async with table.lock:
            return await self._speaking.delivered(table, delivery, contents)

    async def exists(self, room: Jid) -> bool:
        """Whether there is such a room."""
        return await self._table(room) is not None

    async def failed(self, room: Jid, native_id: str, reason: str) -> None:
        """A message of a room did not arrive. Raises LinkDown."""
        table = await self._table(room)
        if table is not None:
            async with table.lock:
                await self._speaking.failed(table, native_id, reason)

    async def opened(self, room: Jid, native_id: str) -> None:
        """A message of a room was seen. Raises LinkDown."""
        table = await self._table(room)
        if table is not None:
            async with table.lock:
                self._speaking.opened(table, native_id)

    async def _enter(self, enter: Enter) -> None:
        """The first who comes makes the room (section 10.1); it is there as long as its owners want it."""
        self._count(enter.head.sender)
        jid, contact = self._world.ids.room(enter.head.to)
        table = await self._table(jid)
        is_new = False
        if table is None:
            async with self._founding:
                table, is_new = await self._found(jid, contact, canonical(enter.head.sender))
        async with table.lock:
            await self._entering.enter(table, enter, is_new=is_new)

    async def _found(self, jid: Jid, contact: Jid, founder: str) -> tuple[Table, bool]:
        """The room, and whether it is new."""
        # Somebody else may have come meanwhile.
        table = await self._table(jid)
        if table is not None:
            return table, False
        try:
            name = await self._world.name_of(contact)
            await self._world.ctx.check_recipient(name)
        except NotFound as error:
            raise BadStanza(Condition.ITEM_NOT_FOUND, error.sentence) from None
        except Later as error:
            raise BadStanza(Condition.REMOTE_SERVER_TIMEOUT, error.sentence) from None
        if await self._shelf.number_of(founder, MAX_OWNED) >= MAX_OWNED:
            raise BadStanza(Condition.NOT_ALLOWED, f"You have {MAX_OWNED} rooms already.")
        room = founded(jid, name, contact, founder)
        await self._shelf.found(room, founder)
        return await self._opened(room), True

    async def _table(self, jid: Jid) -> Table | None:
        known = self._tables.get(jid)
        if known is None:
            room = await self._shelf.room(jid)
            if room is not None:
                known = await self._opened(room)
        return known

    async def _opened(self, room: Room) -> Table:
        table = Table(room, self._shelf, self._world.ctx.secret("xmpp rooms"), self._world.link.send)
        await table.load()
        # Two may have come at once; there is one table.
        return self._tables.setdefault(room.jid, table)

    def _count(self, person: Jid) -> None:
        try:
            self._world.rate.take(f"presence {person.bare}")
        except LimitExceeded as error:
            raise BadStanza(Condition.RESOURCE_CONSTRAINT, error.sentence) from None


def _face(table: Table) -> Face:
    room = table.room
    about = (
        forms.hidden_type(ns.MUC_INFO),
        Field("muc#roominfo_description", (f"Talks with {room.name}",), label="Description"),
        Field("muc#roominfo_subject", ("" if room.subject is None else room.subject.text,), label="Subject"),
        Field("muc#roominfo_occupants", (str(len({each.nick for each in table.seats}) + 1),), label="Occupants"),
        Field("muc#maxhistoryfetch", ("200",)),
        Field("muc#roomconfig_maxusers", (str(MAX_SEATS),)),
    )
    open_or_closed = "muc_membersonly" if room.members_only else "muc_open"
    return Face(
        (Identity("conference", "text", room.called),),
        (*_FEATURES, open_or_closed),
        (Form(about, "result"),),
    )
