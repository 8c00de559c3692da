"""Messages of XMPP users on their way to ENS names. A receipt goes out when the message is on disk, not before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from adapters.xmpp import render
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import canonical
from adapters.xmpp.render import Way
from adapters.xmpp.stanzas import (
    Bounce,
    Chat,
    Displayed,
    Encrypted,
    Head,
    Message,
    Reactions,
    Retraction,
)
from adapters.xmpp.world import World
from gateway.sdk import (
    NOTICE_MARK,
    Attachment,
    CanonicalId,
    EnsName,
    InvalidInput,
    LimitExceeded,
    MessageType,
    NativeId,
    NotFound,
    Outgoing,
    Person,
    TooLarge,
    Unavailable,
    Value,
)

log = structlog.get_logger(__name__)

REACTED: Final = "reacted"
"""Values: a person's reactions to a message, by person, name and message."""
OWN_IDS: Final = "dm3-"
"""How the ids of messages of ours begin."""
ENCRYPTED: Final = (
    "This gateway cannot read {method}: please switch encryption off for this contact and send the message again."
)


class Inward:
    """Handles messages to contacts."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def message(self, message: Message) -> None:
        """One message. Raises BadStanza for what its sender has to be told."""
        match message:
            case Chat():
                with self._told(message.head):
                    await self._chat(message)
            case Reactions():
                with self._told(message.head):
                    await self._reactions(message)
            case Retraction():
                with self._told(message.head):
                    await self._about(message.head, MessageType.DELETE_REQUEST, message.id)
            case Displayed():
                await self._about(message.head, MessageType.READ_OPENED, message.id, own=f"read {message.id}")
            case Encrypted():
                raise BadStanza(Condition.NOT_ACCEPTABLE, ENCRYPTED.format(method=message.method))
            case Bounce():
                await self._bounced(message)
            case _:
                pass

    @contextmanager
    def _told(self, head: Head) -> Iterator[None]:
        """What cannot be taken is told in the protocol's words: for now, or for good."""
        try:
            self._world.rate.take(str(head.sender.bare))
            yield
        except NotFound as error:
            raise BadStanza(Condition.ITEM_NOT_FOUND, error.sentence) from None
        except TooLarge as error:
            raise BadStanza(Condition.POLICY_VIOLATION, error.sentence) from None
        except InvalidInput as error:
            raise BadStanza(Condition.NOT_ACCEPTABLE, error.sentence) from None
        except (LimitExceeded, Unavailable) as error:
            raise BadStanza(Condition.RESOURCE_CONSTRAINT, error.sentence) from None

    async def _chat(self, chat: Chat) -> None:
        world, head = self._world, chat.head
        name = await world.name_of(head.to)
        person = Person(canonical(head.sender), chat.nick)
        try:
            await world.ctx.check_recipient(name)
        except Unavailable as error:
            # The message is kept, and so is the question.
            log.info("recipient.unknown_for_now", error=type(error).__name__)
        words = chat.text if not chat.subject else f"**{chat.subject}**\n\n{chat.text}".rstrip()
        kind, about = MessageType.NEW, ""
        if chat.replaces:
            kind, about = MessageType.EDIT, chat.replaces
        elif chat.reply_to:
            kind, about = MessageType.REPLY, chat.reply_to
        await world.ctx.submit(
            Outgoing(
                sender=person,
                recipient=name,
                native_id=_own_id(head, chat.origin_id, words, world.ctx.now_ms()),
                sent_at=chat.sent_at or world.ctx.now_ms(),
                type=kind,
                text=words,
                attachments=tuple(Attachment(each.url, each.name or None) for each in chat.files),
                reference=NativeId(about) if about else None,
                automatic=chat.headline,
            )
        )
        if chat.wants_receipt and head.id:
            # From here on the gateway answers for it.
            world.link.send(render.receipt(Way(head.to.bare, head.sender, f"r-{head.id}"[:200]), head.id))

    async def _reactions(self, reactions: Reactions) -> None:
        """All reactions from now on: new ones are sent, missing ones taken back."""
        ctx, head = self._world.ctx, reactions.head
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        key = f"{person} {name} {reactions.id}"
        known: dict[str, str] = json.loads(await ctx.values.get(REACTED, key) or "{}")
        wanted = dict.fromkeys(reactions.emojis)
        number = ctx.now_ms()
        news = []
        for emoji in [each for each in wanted if each not in known]:
            own = f"reaction {head.id or number} {emoji}"
            news.append(self._outgoing(person, name, MessageType.REACTION, emoji, reactions.id, own))
            known[emoji] = own
        for emoji in [each for each in known if each not in wanted]:
            about = known.pop(emoji)
            own = f"gone {head.id or number} {emoji}"
            news.append(self._outgoing(person, name, MessageType.DELETE_REQUEST, "", about, own))
        if news:
            await ctx.submit_all(tuple(news))
            await ctx.values.put(Value(REACTED, key, json.dumps(known) if known else None))

    async def _about(self, head: Head, kind: MessageType, about: str, *, own: str = "") -> None:
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        own = own or f"{kind.value} {head.id or about}"
        await self._world.ctx.submit(self._outgoing(person, name, kind, "", about, own))

    async def _bounced(self, bounce: Bounce) -> None:
        """A server did not deliver what we sent: whoever wrote it is told in the person's name."""
        head = bounce.head
        if not bounce.id.startswith(OWN_IDS):
            return
        name, person = await self._world.name_of(head.to), canonical(head.sender)
        reason = bounce.error.text or f"their server answered: {bounce.error.condition.value}"
        words = f"{NOTICE_MARK}Your message did not reach {person}: {reason}"
        log.info("message.bounced", condition=bounce.error.condition.value)
        await self._world.ctx.submit(
            self._outgoing(person, name, MessageType.REPLY, words, bounce.id, f"bounce {bounce.id}", automatic=True)
        )

    def _outgoing(
        self,
        person: CanonicalId,
        name: EnsName,
        kind: MessageType,
        words: str,
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
            text=words,
            reference=NativeId(about),
            automatic=automatic,
        )


def _own_id(head: Head, origin_id: str, words: str, now: int) -> NativeId:
    """What others refer to: the message's id, that of its first sender, or, without either, its text and time."""
    return NativeId(head.id or origin_id or f"text {now} {hashlib.sha256(words.encode()).hexdigest()[:32]}")
