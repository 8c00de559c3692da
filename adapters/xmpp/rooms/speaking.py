"""What is said in a room: by people to all and to the name, and by the name to all.

The name hears one voice, that of the room, with the speaker's nick before each line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from adapters.xmpp.carrying import Carrying
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import canonical
from adapters.xmpp.link import MAX_STANZA
from adapters.xmpp.render import Content, displayed_content
from adapters.xmpp.rooms import markup
from adapters.xmpp.rooms.room import Passed, Seat, Subject
from adapters.xmpp.rooms.table import Table
from adapters.xmpp.stanzas import Chat, Encrypted, Groupchat, Reactions, Retraction
from adapters.xmpp.taking import changes, told, unreadable, words
from adapters.xmpp.world import World
from adapters.xmpp.xml import Xml, leaf, well_formed
from gateway.sdk import Delivered, Delivery, MessageType, NativeId, Outcome, Outgoing, Person, Rejected, said_by_people
from gateway.sdk.speakers import spoken, without_colons

log = structlog.get_logger(__name__)

NOT_HERE: Final = "You are not in this room; please enter it again."
TOO_LARGE: Final = "The message does not fit into what a server passes on."
FIRST: Final = (
    "This room talks with {name} through the gateway {parent}, as {voice}. It is bridged, not end-to-end encrypted: "
    "the gateway can read it."
)
ROOM_ID: Final = "room-"
"""How the ids of the room's own words begin."""


class Speaking:
    """Handles messages in rooms. The table's lock is held by the caller."""

    def __init__(self, world: World, carrying: Carrying) -> None:
        self._world = world
        self._carrying = carrying

    async def said(self, table: Table, message: Groupchat) -> None:
        """Somebody says something to all. Raises BadStanza for what is not taken."""
        head = message.head
        seat = table.seat(head.sender)
        if seat is None:
            raise BadStanza(Condition.NOT_ACCEPTABLE, NOT_HERE)
        with told(self._world, head):
            if message.subject is not None:
                await self._subject(table, seat, message.subject)
                return
            person = canonical(head.sender)
            now = self._world.ctx.now_ms()
            id = table.id_of(person, head.id, message.payload)
            passed = Passed(id, head.id, seat.nick, person, now, message.payload)
            if not self._fits(table, passed):
                raise BadStanza(Condition.POLICY_VIOLATION, TOO_LARGE)
            match message.said:
                case Chat() as chat:
                    outgoing = await self._chat(table, seat, chat, passed)
                    async with self._carrying.attachments(chat) as attachments:
                        await self._world.ctx.submit(replace(outgoing, attachments=attachments))
                case Reactions() as reactions:
                    await self._reactions(table, reactions, passed)
                case Retraction() as retraction:
                    await self._retraction(table, retraction, passed)
                case Encrypted() as encrypted:
                    raise unreadable(encrypted)
                case _:
                    table.signal(seat, head.id, message.payload)
                    return
            # What the others and the speaker see of it is how everybody knows that it was taken.
            await table.say(passed)

    async def delivered(self, table: Table, delivery: Delivery, contents: Sequence[Content]) -> Outcome:
        """The name says something to all; it is delivered when it is kept, whoever is there. Raises LinkDown."""
        room, now = table.room, self._world.ctx.now_ms()
        own = delivery.sender == self._world.ctx.service_name
        if not own and delivery.sender != room.name:
            return Rejected(f"this room talks with {room.name} only")
        nick = "" if own else room.nick
        said = [Passed(each.id, each.id, nick, "", now, each.xml) for each in contents]
        if not all(self._fits(table, each) for each in said):
            return Rejected("the message does not fit into the network's form")
        if delivery.first and not own:
            await table.say(self._notice(table, delivery, now))
        for each in said:
            await table.say(each)
        await self._world.link.barrier()
        ids = [NativeId(each.id) for each in contents]
        return Delivered(ids[0], tuple(ids[1:]))

    async def failed(self, table: Table, native_id: str, reason: str) -> None:
        """A message of somebody's did not arrive; the room says so."""
        about = await table.find(native_id)
        whose = f"What {about.nick} wrote" if about is not None else "A message"
        text = f"{whose} did not reach {table.room.name}: {reason}"
        own = f"{ROOM_ID}failed-{native_id}"[:200]
        await table.say(Passed(own, own, "", "", self._world.ctx.now_ms(), leaf("body", text)))
        await self._world.link.barrier()

    def opened(self, table: Table, native_id: str) -> None:
        """The name has seen a message (XEP-0333, section 5)."""
        name = Seat(table.room.contact, table.room.nick)
        table.signal(name, f"{ROOM_ID}seen-{native_id}"[:200], displayed_content(native_id))

    async def _subject(self, table: Table, seat: Seat, text: str) -> None:
        subject = Subject(text, seat.nick, self._world.ctx.now_ms())
        await table.put(replace(table.room, subject=subject))
        table.all(markup.subject)

    async def _chat(self, table: Table, seat: Seat, chat: Chat, passed: Passed) -> Outgoing:
        kind, about = MessageType.NEW, ""
        if chat.replaces:
            # Corrections name their writer's own id, so that nobody corrects what others wrote.
            meant = await table.find_own(passed.person, chat.replaces)
            kind, about = MessageType.EDIT, "" if meant is None else meant.id
        elif chat.reply_to:
            kind, about = MessageType.REPLY, chat.reply_to
        said = words(chat)
        # A nick is chosen by its owner, too.
        text = said_by_people(spoken(without_colons(seat.nick), said, emote=False))
        return self._outgoing(table, kind, text, about, passed.id, passed.at)

    async def _reactions(self, table: Table, reactions: Reactions, passed: Passed) -> None:
        ctx, room = self._world.ctx, table.room
        key = f"{passed.person} {room.jid.local} {reactions.id}"
        found = await changes(ctx.values, key, reactions, passed.id)
        if found.changes:
            await ctx.submit_all(
                tuple(
                    self._outgoing(table, each.type, each.text, each.about, each.id, passed.at)
                    for each in found.changes
                )
            )
            await ctx.values.put(found.value)

    async def _retraction(self, table: Table, retraction: Retraction, passed: Passed) -> None:
        """Everybody takes back what they said themselves."""
        about = await table.find(retraction.id)
        if about is None or about.person != passed.person:
            raise BadStanza(Condition.FORBIDDEN, "Only what you wrote yourself can be taken back.")
        outgoing = self._outgoing(table, MessageType.DELETE_REQUEST, "", about.id, passed.id, passed.at)
        await self._world.ctx.submit(outgoing)

    def _outgoing(self, table: Table, kind: MessageType, text: str, about: str, own: str, at: int) -> Outgoing:
        room = table.room
        return Outgoing(
            sender=Person(canonical(room.jid), room.called),
            recipient=room.name,
            native_id=NativeId(own),
            sent_at=at,
            type=kind,
            text=text,
            reference=NativeId(about) if about else None,
        )

    def _notice(self, table: Table, delivery: Delivery, now: int) -> Passed:
        own = f"{ROOM_ID}first-{delivery.key[:32]}"
        text = FIRST.format(name=table.room.name, parent=self._world.ctx.parent, voice=delivery.recipient_name)
        return Passed(own, own, "", "", now, leaf("body", text))

    def _fits(self, table: Table, passed: Passed) -> bool:
        """Whether it can be told to everybody, whatever their addresses are."""
        whole: Xml = markup.message(table.room, table.room.contact, passed, table.occupant(passed.person), late=True)
        return len(whole) <= MAX_STANZA - 3_200 and well_formed(whole)
