"""DM3 messages on their way to XMPP users: sent by their writer's contact, delivered when the server has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import structlog

from adapters.xmpp import presences, render
from adapters.xmpp.contacts import Contacts
from adapters.xmpp.errors import BadStanza
from adapters.xmpp.jids import Jid
from adapters.xmpp.link import MAX_STANZA
from adapters.xmpp.own_ids import OWN_IDS, OwnIds
from adapters.xmpp.presences import Step
from adapters.xmpp.render import Content, Quote, Said, Way
from adapters.xmpp.rooms.rooms import Rooms
from adapters.xmpp.services.vcard import called
from adapters.xmpp.stanzas import RemoteFile
from adapters.xmpp.unread import Unread
from adapters.xmpp.uploads import Uploads
from adapters.xmpp.world import World
from adapters.xmpp.xml import Xml, well_formed
from gateway.sdk import (
    Capabilities,
    Delivered,
    Delivery,
    InvalidInput,
    MessageType,
    NativeId,
    Outcome,
    Rejected,
    Retry,
    TextFormat,
    Unavailable,
    Value,
    attachment_content,
)
from gateway.sdk.degrade import stand_in

log = structlog.get_logger(__name__)

CAPABILITIES: Final = Capabilities(
    types=frozenset(
        {MessageType.NEW, MessageType.REPLY, MessageType.EDIT, MessageType.DELETE_REQUEST, MessageType.REACTION}
    ),
    max_text=60_000,
    max_attachments=50,
    max_attachment_bytes=20_000_000,
    text_format=TextFormat.PLAIN,
    # The same message has the same id, but it is the clients that look at it, not the servers.
    idempotent=False,
    ordered=True,
)
PART_CHARACTERS: Final = 15_000
"""Of a text in one message: at most four bytes each, and twice as many where they are escaped."""
GIVEN: Final = "given"
"""Values: a contact's reactions to a message, by person, name and message."""
REACTION: Final = "reaction"
"""Values: what a reaction of a contact is about, by person, name and its own id."""
OLD_MS: Final = 60_000
"""A message that waited for longer carries the time at which it was written."""
PLAIN: Final = frozenset({MessageType.NEW, MessageType.REPLY})
OF_ITS_WRITER: Final = frozenset({MessageType.EDIT, MessageType.DELETE_REQUEST})
FIRST: Final = (
    "{name} writes to you from the DM3 network through the gateway {parent}. This conversation is bridged, not "
    "end-to-end encrypted: the gateway can read it."
)


@dataclass(frozen=True, slots=True)
class _To:
    """One delivery and its ends."""

    delivery: Delivery
    contact: Jid
    person: Jid
    ids: OwnIds

    def way(self, part: int = 0) -> Way:
        """The same id over every attempt."""
        delivery = self.delivery
        return Way(self.contact, self.person, self.ids.of(delivery.key, delivery.sender, delivery.recipient, part))


class Outward:
    """Delivers over the link."""

    def __init__(self, world: World, uploads: Uploads, rooms: Rooms, contacts: Contacts, unread: Unread) -> None:
        self._world = world
        self._uploads = uploads
        self._rooms = rooms
        self._contacts = contacts
        self._unread = unread

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send one message and wait until the server has read it."""
        try:
            person = Jid.parse(delivery.recipient)
            is_room = self._world.ids.is_room(person)
            if self._world.ids.is_ours(person) and not is_room:
                return Rejected("this address belongs to the gateway itself")
            service = delivery.sender == self._world.ctx.service_name
            contact = self._world.ids.gateway if service else await self._world.contact(delivery.sender)
            to = _To(delivery, contact, person, self._world.own_ids)
            contents = await self._contents(to)
            if is_room:
                return await self._rooms.deliver(delivery, contents)
            stanzas = [render.message(Way(contact, person, each.id), each.xml) for each in contents]
            if not all(len(each) <= MAX_STANZA and well_formed(each) for each in stanzas):
                return Rejected("the message does not fit into the network's form")
            await self._world.link.deliver(*await self._first(to), *stanzas)
        except Unavailable as error:
            return Retry(error.sentence)
        except (BadStanza, InvalidInput) as error:
            return Rejected(str(error))
        if not delivery.automatic and delivery.type in PLAIN:
            await self._unread.add(_talk(to), contents[-1].id)
        ids = [NativeId(each.id) for each in contents]
        return Delivered(ids[0], tuple(ids[1:]))

    async def _first(self, to: _To) -> list[Xml]:
        """To somebody who never heard of this name: a contact request that says who it is, and what a bridge is."""
        if not to.delivery.first:
            return []
        name, ctx = to.delivery.sender, self._world.ctx
        portrait = await self._world.portrait(name)
        nick = called(name, portrait)
        words = FIRST.format(name=name, parent=ctx.parent)
        notice = Way(to.contact, to.person, f"{OWN_IDS}first-{to.delivery.key[:32]}")
        introduced = render.chat(Said(way=notice, text=words, nick=nick, wants_receipt=False, markable=False))
        if await self._contacts.befriend(to.person, name, to.contact, nick):
            return [introduced]
        asked = presences.step(to.contact, to.person, Step.SUBSCRIBE, status=f"{name} writes to you", nick=nick)
        return [asked, introduced]

    async def _contents(self, to: _To) -> list[Content]:
        """The message as what is in one or more stanzas."""
        delivery = to.delivery
        about = delivery.reference.native_id if delivery.reference is not None else None
        kind, words = delivery.type, delivery.text
        # Clients heed a correction only from whoever wrote the message.
        foreign = about is not None and kind in OF_ITS_WRITER and not about.startswith(OWN_IDS)
        if (about is None or foreign) and kind not in PLAIN:
            about = None
            shown = stand_in(kind, words, PLAIN)
            assert shown is not None
            kind, words = shown.type, shown.text
        if about is not None:
            match kind:
                case MessageType.REACTION if words.strip():
                    return [await self._reaction(to, about, words.strip()[:50])]
                case MessageType.DELETE_REQUEST:
                    return [await self._retraction(to, about)]
                case MessageType.EDIT:
                    return [self._said(to, words, replaces=about)]
        files = tuple(
            [
                await self._uploads.remote(attachment_content(each, max_bytes=self._limit))
                for each in delivery.attachments
            ]
        )
        reply = Quote(about) if about is not None and kind is MessageType.REPLY else None
        texts = _parts(words)
        contents = [
            self._said(to, each, part=part, reply=reply if not part else None) for part, each in enumerate(texts)
        ]
        # Clients show a file in its place only where it is alone in a message.
        contents += [self._said(to, "", part=len(contents) + at, files=(each,)) for at, each in enumerate(files)]
        return contents or [self._said(to, " ")]

    @property
    def _limit(self) -> int:
        return self._world.settings.max_file_bytes

    def _said(
        self,
        to: _To,
        words: str,
        *,
        part: int = 0,
        reply: Quote | None = None,
        replaces: str = "",
        files: tuple[RemoteFile, ...] = (),
    ) -> Content:
        at = to.delivery.sent_at
        old = 0 < at < self._world.ctx.now_ms() - OLD_MS
        said = render.chat_content(
            Said(
                way=to.way(part),
                text=words,
                files=files,
                reply=reply,
                replaces=replaces,
                sent_at=at if old else None,
                wants_receipt=False,
                markable=not to.delivery.automatic,
            )
        )
        return Content(to.way(part).id, said)

    async def _reaction(self, to: _To, about: str, emoji: str) -> Content:
        """Reactions are told as a whole, so those of before go along."""
        given = await self._given(to, about)
        if emoji not in given:
            given.append(emoji)
        own = f"{_talk(to)} {to.way().id}"
        await self._world.ctx.values.put(
            Value(GIVEN, f"{_talk(to)} {about}", json.dumps(given)), Value(REACTION, own, json.dumps([about, emoji]))
        )
        return Content(to.way().id, render.reactions_content(about, given))

    async def _retraction(self, to: _To, about: str) -> Content:
        reaction = await self._world.ctx.values.get(REACTION, f"{_talk(to)} {about}")
        if reaction is None:
            words = f"{to.delivery.sender} took a message back."
            return Content(to.way().id, render.retraction_content(about, text=words))
        meant, emoji = json.loads(reaction)
        given = [each for each in await self._given(to, meant) if each != emoji]
        await self._world.ctx.values.put(Value(GIVEN, f"{_talk(to)} {meant}", json.dumps(given) if given else None))
        return Content(to.way().id, render.reactions_content(meant, given))

    async def _given(self, to: _To, about: str) -> list[str]:
        return list(json.loads(await self._world.ctx.values.get(GIVEN, f"{_talk(to)} {about}") or "[]"))


def _talk(to: _To) -> str:
    return f"{to.person} {to.delivery.sender}"


def _parts(words: str) -> list[str]:
    """A long text in pieces, cut at a line or a blank where there is one near."""
    parts = []
    while len(words) > PART_CHARACTERS:
        cut = max(words.rfind(mark, PART_CHARACTERS // 2, PART_CHARACTERS) for mark in ("\n", " "))
        cut = cut if cut > 0 else PART_CHARACTERS
        parts.append(words[:cut])
        words = words[cut:].lstrip(" \n")
    return [*parts, words] if words.strip() else parts
