"""Messages of XMPP users on their way to ENS names. A receipt goes out when the message is on disk, not before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from adapters.xmpp import render
from adapters.xmpp.carrying import Carrying
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import canonical
from adapters.xmpp.render import Way
from adapters.xmpp.stanzas import (
    Bounce,
    Chat,
    Displayed,
    Encrypted,
    Groupchat,
    Head,
    Invite,
    Message,
    Reactions,
    Retraction,
)
from adapters.xmpp.taking import changes, explained, fingerprint, told, unreadable, words
from adapters.xmpp.unread import Unread
from adapters.xmpp.world import World
from gateway.sdk import (
    NOTICE_MARK,
    Attachment,
    CanonicalId,
    EnsName,
    GatewayError,
    MessageType,
    NativeId,
    Outgoing,
    Person,
    Unavailable,
    quoted,
    said_by_people,
)

log = structlog.get_logger(__name__)

NO_ROOM: Final = "This is no room. A room is called label+name, such as team+alice.eth, and is entered first."


class Inward:
    """Handles messages to contacts."""

    def __init__(self, world: World, carrying: Carrying, unread: Unread) -> None:
        self._world = world
        self._unread = unread
        self._carrying = carrying

    async def message(self, message: Message) -> None:
        """One message. Raises BadStanza for what its sender has to be told."""
        match message:
            case Chat():
                with told(self._world, message.head):
                    await self._chat(message)
            case Reactions():
                with told(self._world, message.head):
                    await self._reactions(message)
            case Retraction():
                with told(self._world, message.head):
                    await self._about(message.head, MessageType.DELETE_REQUEST, message.id)
            case Displayed():
                with told(self._world, message.head, "marker"):
                    await self._displayed(message)
            case Encrypted():
                raise unreadable(message)
            case Groupchat() | Invite():
                raise BadStanza(Condition.SERVICE_UNAVAILABLE, NO_ROOM)
            case Bounce():
                with told(self._world, message.head, "bounce"):
                    await self._bounced(message)
            case _:
                pass

    async def several(self, chats: Sequence[Chat]) -> list[BadStanza | None]:
        """Messages of one person to one name, each `alike`, in one transaction; what is wrong with each of them."""
        faults = [self._counted(chat.head) for chat in chats]
        taken = [chat for chat, fault in zip(chats, faults, strict=True) if fault is None]
        try:
            if taken:
                await self._submit(taken)
        except (BadStanza, GatewayError):
            # One may be at fault for all; what was taken is not taken twice.
            for place, chat in enumerate(chats):
                faults[place] = faults[place] or await self._alone(chat)
        return faults

    def _counted(self, head: Head) -> BadStanza | None:
        try:
            with told(self._world, head):
                return None
        except BadStanza as fault:
            return fault

    async def _alone(self, chat: Chat) -> BadStanza | None:
        try:
            with explained():
                await self._submit((chat,))
        except BadStanza as fault:
            return fault
        except GatewayError as error:
            return BadStanza(Condition.REMOTE_SERVER_TIMEOUT, error.sentence)
        return None

    async def _chat(self, chat: Chat) -> None:
        async with self._carrying.attachments(chat) as attachments:
            await self._submit((chat,), attachments)

    async def _submit(self, chats: Sequence[Chat], attachments: tuple[Attachment, ...] = ()) -> None:
        """Messages of one person to one name."""
        world = self._world
        name = await world.name_of(chats[0].head.to)
        try:
            await world.ctx.check_recipient(name)
        except Unavailable as error:
            # The message is kept, and so is the question.
            log.info("recipient.unknown_for_now", error=type(error).__name__)
        now = world.ctx.now_ms()
        await world.ctx.submit_all(tuple(_said(chat, name, attachments, now) for chat in chats))
        for chat in chats:
            head = chat.head
            if chat.wants_receipt and head.id:
                # From here on the gateway answers for it.
                world.owed.send(render.receipt(Way(head.to.bare, head.sender, f"r-{head.id}"[:200]), head.id))

    async def _reactions(self, reactions: Reactions) -> None:
        """All reactions from now on: new ones are sent, missing ones taken back."""
        ctx, head = self._world.ctx, reactions.head
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        key = f"{person} {name} {reactions.id}"
        number = fingerprint(head.id or str(ctx.now_ms()), reactions.id)
        found = await changes(ctx.values, key, reactions, number)
        news = [self._outgoing(person, name, each.type, each.text, each.about, each.id) for each in found.changes]
        if news:
            await ctx.submit_all(tuple(news))
            await ctx.values.put(found.value)

    async def _displayed(self, displayed: Displayed) -> None:
        head = displayed.head
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        seen = await self._unread.seen(f"{person} {name}", displayed.id)
        await self._world.ctx.submit_all(
            tuple(self._outgoing(person, name, MessageType.READ_OPENED, "", id, f"read {id}") for id in seen)
        )

    async def _about(self, head: Head, kind: MessageType, about: str) -> None:
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        own = f"{kind.value} {fingerprint(head.id, about)}"
        await self._world.ctx.submit(self._outgoing(person, name, kind, "", about, own))

    async def _bounced(self, bounce: Bounce) -> None:
        """A server did not deliver what we sent: whoever wrote it is told in the person's name, once for all parts.

        Anybody can write an error; only for an id that we sent to that person it is taken, and its words are quoted.
        """
        head, error = bounce.head, bounce.error
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        about = self._world.own_ids.first_part(bounce.id, name, person)
        log.info("message.bounced", condition=error.condition.value, known=about is not None)
        if about is None:
            return
        notice = f"{NOTICE_MARK}Your message did not reach {person}: their server answered {error.condition.value}."
        if error.text:
            notice = f"{notice} It said: {quoted(error.text)}"
        await self._world.ctx.submit(
            self._outgoing(person, name, MessageType.REPLY, notice, about, f"bounce {about}", automatic=True)
        )

    def _outgoing(
        self,
        person: CanonicalId,
        name: EnsName,
        kind: MessageType,
        text: str,
        about: str,
        own: str,
        *,
        automatic: bool = False,
    ) -> Outgoing:
        return Outgoing(
            sender=Person(person),
            recipient=name,
            native_id=NativeId(own),
            sent_at=self._world.ctx.now_ms(),
            type=kind,
            text=text,
            reference=NativeId(about),
            automatic=automatic,
        )


def alike(chat: Chat) -> bool:
    """Whether a message may share a transaction: it has an id of its own, and no files that have to be fetched."""
    return bool(chat.head.id) and not chat.files


def _said(chat: Chat, name: EnsName, attachments: tuple[Attachment, ...], now: int) -> Outgoing:
    kind, about = MessageType.NEW, ""
    if chat.replaces:
        kind, about = MessageType.EDIT, chat.replaces
    elif chat.reply_to:
        kind, about = MessageType.REPLY, chat.reply_to
    text = said_by_people(words(chat))
    return Outgoing(
        sender=Person(canonical(chat.head.sender), chat.nick),
        recipient=name,
        native_id=_own_id(chat.head, chat.origin_id, text, now),
        fingerprint=fingerprint(kind.value, about, text, *(each.url for each in chat.files)),
        sent_at=chat.sent_at or now,
        type=kind,
        text=text,
        attachments=attachments,
        reference=NativeId(about) if about else None,
        automatic=chat.headline,
    )


def _own_id(head: Head, origin_id: str, words: str, now: int) -> NativeId:
    """What others refer to: the message's id, that of its first sender, or, without either, its text and time."""
    return NativeId(head.id or origin_id or f"text {now} {fingerprint(words)}")
