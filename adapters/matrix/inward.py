"""Messages of Matrix users on their way to ENS names: what is written, changed, taken back, reacted to and read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from adapters.matrix.content import Written, read_message, read_poll, read_reaction, read_sticker, text_content
from adapters.matrix.errors import BadEvent, Unfit
from adapters.matrix.ids import EventId
from adapters.matrix.portals import Portal, PortalKind
from adapters.matrix.reading import Receipt, RoomEvent, text
from adapters.matrix.settings import Permission
from adapters.matrix.status import Status
from adapters.matrix.world import World, txn
from gateway.sdk import (
    Attachment,
    InvalidInput,
    MessageType,
    NativeId,
    Outgoing,
    Person,
    TooLarge,
    Value,
    said_by_people,
)
from gateway.sdk.speakers import spoken

log = structlog.get_logger(__name__)

LONG: Final = 2_000
"""Characters of HTML that are converted in a thread."""
SAID: Final = "said"
"""Values: what was said once in a room."""
POLLS: Final = frozenset({"m.poll.start", "org.matrix.msc3381.poll.start"})
ONLY_ONE: Final = (
    "Only {person} speaks to {name} in this room: nothing of what others write here is passed on. "
    "Invite the ghost into a room of several people to speak together."
)
ENCRYPTED: Final = (
    "This room is encrypted, and this gateway cannot read encrypted rooms: nothing that is written here arrives. "
    "Please start a new chat without encryption."
)
NOT_ALLOWED: Final = "You are not allowed to use this gateway."


@dataclass(frozen=True, slots=True)
class Spoken:
    """An event of somebody in a portal."""

    portal: Portal
    event: RoomEvent
    person: Person

    def outgoing(
        self,
        kind: MessageType,
        text: str,
        *,
        attachments: tuple[Attachment, ...] = (),
        reference: EventId | None = None,
        automatic: bool = False,
    ) -> Outgoing:
        """As a message to the name behind the portal; nobody speaks as the gateway."""
        return Outgoing(
            sender=self.person,
            recipient=self.portal.name,
            native_id=NativeId(self.event.id),
            sent_at=self.event.at,
            type=kind,
            text=said_by_people(text),
            attachments=attachments,
            reference=None if reference is None else NativeId(reference),
            automatic=automatic,
        )


Handle = Callable[[Spoken], Awaitable[None]]


class Inward:
    """Handles events of portals."""

    def __init__(self, world: World, status: Status) -> None:
        self._world = world
        self._status = status

    async def message(self, event: RoomEvent, portals: Sequence[Portal]) -> None:
        """``m.room.message``, ``m.sticker`` and polls."""
        await self._each(event, portals, self._message)

    async def reaction(self, event: RoomEvent, portals: Sequence[Portal]) -> None:
        """``m.reaction``."""
        about, key = read_reaction(event.content)
        await self._each(event, portals, self._submitter(MessageType.REACTION, key, about))

    async def redaction(self, event: RoomEvent, portals: Sequence[Portal]) -> None:
        """``m.room.redaction``: of a message, a file or a reaction; each is a message on the DM3 side."""
        if event.redacts is None:
            raise BadEvent("redacts")
        await self._each(event, portals, self._submitter(MessageType.DELETE_REQUEST, "", event.redacts))

    async def encrypted(self, event: RoomEvent, portals: Sequence[Portal]) -> None:
        """``m.room.encrypted`` without the means to read it: said once for each room."""
        for portal in portals:
            await self._notice_once(portal, "encrypted", ENCRYPTED)

    async def receipts(self, receipts: Sequence[Receipt], portals: Sequence[Portal]) -> None:
        """``m.receipt``: the name behind a portal learns what its person has seen."""
        if not self._world.settings.read_receipts:
            return
        for portal in portals:
            for receipt in receipts:
                if portal.kind is PortalKind.DIRECT and receipt.user == portal.person:
                    await self._seen(portal, receipt)

    async def _seen(self, portal: Portal, receipt: Receipt) -> None:
        """Whoever has seen an event has seen what came before it; own events have times only."""
        waiting = await self._world.portals.unread(portal)
        places = [place for place, (event, _) in enumerate(waiting) if event == receipt.event]
        end = places[-1] + 1 if places else sum(at <= receipt.at for _, at in waiting)
        if not end:
            return
        sender = Person(portal.person)
        await self._world.ctx.submit_all(
            tuple(
                Outgoing(
                    sender=sender,
                    recipient=portal.name,
                    native_id=NativeId(f"read {event}"),
                    sent_at=receipt.at,
                    type=MessageType.READ_OPENED,
                    reference=NativeId(event),
                )
                for event, _ in waiting[:end]
            )
        )
        await self._world.portals.seen(portal, waiting[end:])

    async def _each(self, event: RoomEvent, portals: Sequence[Portal], handle: Handle) -> None:
        """For each name behind the room. What does not fit is told where it was written."""
        permission = self._world.settings.permission_of(event.sender)
        if permission < Permission.USER:
            for portal in portals:
                await self._notice_once(portal, f"not allowed {event.sender}", NOT_ALLOWED)
            return
        if portals and permission < Permission.ADMIN:
            self._world.rate.take(event.sender)
        for portal in portals:
            if portal.kind is PortalKind.DIRECT and event.sender != portal.person:
                await self._notice_once(portal, "others", ONLY_ONE.format(person=portal.person, name=portal.name))
                continue
            person = Person(portal.person, await self._world.faces.of(portal.person))
            try:
                await handle(Spoken(portal, event, person))
            except (Unfit, TooLarge, InvalidInput) as error:
                reason = error.sentence
                await self._status.failed(portal, await self._world.ghosts.of(portal.name), event.id, reason)

    def _submitter(self, kind: MessageType, text: str, about: EventId) -> Handle:
        async def submit(spoken: Spoken) -> None:
            await self._world.ctx.submit(spoken.outgoing(kind, text, reference=about))

        return submit

    async def _message(self, spoken: Spoken) -> None:
        event, ctx = spoken.event, self._world.ctx
        long = len(text(event.content, "formatted_body")) > LONG
        written = await asyncio.to_thread(_read, event) if long else _read(event)
        if written.replaces is not None and not await self._is_own(spoken, written.replaces):
            log.info("edit.of_anothers_words", id=event.id)
            return
        words = await self._said(spoken, written)
        if written.replaces is not None:
            await ctx.submit(spoken.outgoing(MessageType.EDIT, words, reference=written.replaces))
            return
        attachments: tuple[Attachment, ...] = ()
        if written.file is not None:
            ghost = await self._world.ghosts.of(spoken.portal.name)
            attachments = (await self._world.files.attachment(written.file, ghost, ctx.now_ms()),)
        kind = MessageType.NEW if written.answers is None else MessageType.REPLY
        await ctx.submit(
            spoken.outgoing(kind, words, attachments=attachments, reference=written.answers, automatic=written.notice)
        )

    async def _is_own(self, spoken: Spoken, original: EventId) -> bool:
        """Whether an edit is of its sender's own words, as the specification demands ("Event replacements").

        A room that speaks as one is one writer on the other side, which cannot tell. Where only one person is heard it
        can: nothing but what they wrote is found there.
        """
        if spoken.portal.kind is PortalKind.DIRECT:
            return True
        ghost = await self._world.ghosts.of(spoken.portal.name)
        return await ghost.writer(spoken.portal.room, original) == spoken.event.sender

    async def _said(self, said: Spoken, written: Written) -> str:
        """The words, with the speaker's name where a room speaks as one, and for an emote."""
        portal, sender, words = said.portal, said.event.sender, written.text
        if not written.emote and portal.kind is PortalKind.DIRECT:
            return words
        faces = self._world.faces
        if portal.kind is PortalKind.DIRECT:
            return f"* {await faces.of(sender) or sender} {words}"
        ghost = await self._world.ghosts.of(portal.name)
        return spoken(await faces.in_room(sender, portal.room, ghost), words, emote=written.emote)

    async def _notice_once(self, portal: Portal, what: str, words: str) -> None:
        """Say something in a room, and never again there."""
        values, key = self._world.ctx.values, f"{portal.key} {what}"
        if await values.get(SAID, key) is not None:
            return
        ghost = await self._world.ghosts.of(portal.name)
        await ghost.send(portal.room, "m.room.message", text_content(words, kind="m.notice"), txn("notice", key))
        await values.put(Value(SAID, key, "1"))


def _read(event: RoomEvent) -> Written:
    if event.type == "m.sticker":
        return read_sticker(event.content)
    if event.type in POLLS:
        return read_poll(event.content)
    return read_message(event.content)
