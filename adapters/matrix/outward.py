"""DM3 messages on their way to Matrix users: each becomes one or more events of the sender's ghost, exactly once.

A transaction id makes the homeserver recognise a repeat as long as it runs; after a restart it has forgotten all. So
what is about to be sent is written down first, and after an interruption the room itself is asked what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from adapters.matrix.content import answering, file_content, reaction, replacing, text_content
from adapters.matrix.errors import HomeserverDown, HomeserverRefused
from adapters.matrix.ids import EventId, Mxid, event_id
from adapters.matrix.intent import Intent
from adapters.matrix.portals import Portal, PortalKind, Sending
from adapters.matrix.reading import whole
from adapters.matrix.rooms import Rooms
from adapters.matrix.splitting import split_text
from adapters.matrix.world import World, txn
from gateway.sdk import (
    Capabilities,
    Delivered,
    Delivery,
    FileContent,
    InvalidInput,
    Link,
    MessageType,
    NativeId,
    Outcome,
    Rejected,
    Retry,
    TextFormat,
    attachment_content,
)
from gateway.sdk.degrade import stand_in

log = structlog.get_logger(__name__)

CAPABILITIES: Final = Capabilities(
    types=frozenset(
        {MessageType.NEW, MessageType.REPLY, MessageType.EDIT, MessageType.DELETE_REQUEST, MessageType.REACTION}
    ),
    max_text=1_000_000,
    max_attachments=50,
    max_attachment_bytes=50_000_000,
    text_format=TextFormat.MARKDOWN,
    idempotent=True,
    ordered=True,
)
KEY: Final = "eth.dm3.key"
"""In the content of what we send: by which delivery it came,"""
PART: Final = "eth.dm3.part"
"""and which of its events it is, from 0 on."""
PART_BYTES: Final = 12_000
"""Of a text in one event: it stands there twice, once as HTML, and everything together has at most 64 KiB."""
MAX_PARTS: Final = 5
"""A longer text is a file."""
PREVIEW_BYTES: Final = 500
LONG: Final = 2_000
"""Characters of a text that is converted in a thread."""
OLD_MS: Final = 60_000
"""A message that waited for longer is shown with the time at which it was written."""
AGAIN_SECONDS: Final = 1.0
WITHOUT_REFERENCE: Final = frozenset({MessageType.NEW, MessageType.REPLY})
FIRST: Final = (
    "{name} writes to you from the DM3 network through the gateway {parent}. This conversation is bridged, not "
    "end-to-end encrypted: the gateway can read it. Leave the room to end it."
)


class RoomLost(Exception):
    """The ghost is not in its room and cannot come back."""


Tell = Callable[[Mxid, str, str], Awaitable[EventId]]


@dataclass(frozen=True, slots=True)
class Part:
    """One event to be sent; a file is uploaded when its turn comes."""

    kind: str
    content: Mapping[str, Any]
    file: FileContent | None = None
    redacts: EventId | None = None


class Outward:
    """Delivers to rooms."""

    def __init__(self, world: World, rooms: Rooms, tell: Tell) -> None:
        """``tell`` says something to a person at the bot's desk, once for each key."""
        self._world = world
        self._rooms = rooms
        self._tell = tell

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Show one message; Rejected for what the person does not want or the homeserver never takes."""
        if self._world.ids.is_ours(delivery.recipient) and not self._world.ids.is_voice(delivery.recipient):
            return Rejected("this address belongs to the gateway itself")
        if not delivery.recipient.endswith(f":{self._world.settings.server_name}"):
            return Rejected("this gateway serves another homeserver")
        try:
            if delivery.sender == self._world.ctx.service_name:
                return Delivered(NativeId(await self._tell(delivery.recipient, delivery.text, delivery.key)))
            portal = await self._portal(delivery)
            if isinstance(portal, Rejected):
                return portal
            return await self._shown_in(portal, delivery)
        except HomeserverDown as error:
            return Retry(error.sentence, error.after)
        except InvalidInput as error:
            return Rejected(error.detail)
        except HomeserverRefused as refusal:
            log.info("delivery.refused", errcode=refusal.errcode, status=refusal.status, said=refusal.error)
            return Rejected(f"the Matrix homeserver refuses it ({refusal.errcode})")

    async def _portal(self, delivery: Delivery) -> Portal | Rejected:
        portal = await self._world.portals.of(delivery.recipient, delivery.sender)
        if portal is not None and portal.declined:
            return Rejected("declined this conversation")
        if self._world.ids.is_voice(delivery.recipient):
            if portal is not None and portal.closed:
                return Rejected("you are not in this Matrix room any more")
            return portal or Rejected("this room did not invite you")
        if portal is None or portal.closed:
            return await self._rooms.open(delivery.recipient, delivery.sender)
        return portal

    async def _shown_in(self, portal: Portal, delivery: Delivery) -> Outcome:
        try:
            return await self._show(delivery, portal)
        except RoomLost:
            # Somebody ended it while we were about to write; the next try sees how, or opens another room.
            await self._world.portals.close(portal)
            return Retry("the room is gone", AGAIN_SECONDS)

    async def _show(self, delivery: Delivery, portal: Portal) -> Outcome:
        ghost = await self._world.ghosts.of(delivery.sender)
        parts = await self._off_the_loop(delivery)
        sending, there = await self._begun(delivery, portal, ghost)
        at = delivery.sent_at if 0 < delivery.sent_at < self._world.ctx.now_ms() - OLD_MS else None
        if delivery.first and not there and portal.kind is PortalKind.DIRECT:
            words = FIRST.format(name=delivery.sender, parent=self._world.ctx.parent)
            notice = text_content(words, kind="m.notice")
            await self._send(portal, ghost, "m.room.message", notice, txn("first", delivery.key))
        events = [
            there.get(number) or await self._part(delivery, portal, ghost, part, number, at)
            for number, part in enumerate(parts)
        ]
        sending = replace(sending, events=tuple(events))
        kept = parts[0].kind == "m.room.message" and not delivery.automatic
        await self._world.portals.shown(portal, sending, unread=kept and portal.kind is PortalKind.DIRECT)
        first, *others = map(NativeId, events)
        return Delivered(first, tuple(others))

    async def _begun(self, delivery: Delivery, portal: Portal, ghost: Intent) -> tuple[Sending, Mapping[int, EventId]]:
        """The note of this delivery, and which of its events are there already, by their number."""
        now = self._world.ctx.now_ms()
        before = await self._world.portals.sending(portal)
        if before is not None and before.key == delivery.key and before.room == portal.room:
            if before.events:
                return before, dict(enumerate(before.events))
            there: dict[int, EventId] = {}
            for event, content in await ghost.sent_with(portal.room, KEY, delivery.key):
                there.setdefault(whole(content.get(PART)), event)
            return before, there
        sending = Sending(delivery.key, portal.room, now)
        await self._world.portals.begin(portal, sending)
        return sending, {}

    async def _part(
        self, delivery: Delivery, portal: Portal, ghost: Intent, part: Part, number: int, at: int | None
    ) -> EventId:
        tx = txn(delivery.key, str(number))
        if part.redacts is not None:
            return await ghost.redact(portal.room, part.redacts, tx)
        shown_at = None if part.kind == "m.reaction" else at
        content = {**part.content, KEY: delivery.key, PART: number}
        return await self._send(portal, ghost, part.kind, content, tx, shown_at, part.file)

    async def _send(
        self,
        portal: Portal,
        ghost: Intent,
        kind: str,
        content: Mapping[str, Any],
        tx: str,
        at: int | None = None,
        file: FileContent | None = None,
    ) -> EventId:
        """A ghost that is not in its room any more joins again where it may."""
        try:
            return await ghost.send(portal.room, kind, content, tx, at=at, file=file)
        except HomeserverRefused as refusal:
            if refusal.errcode != "M_FORBIDDEN":
                raise
        try:
            await ghost.join(portal.room)
        except HomeserverRefused as refusal:
            raise RoomLost from refusal
        return await ghost.send(portal.room, kind, content, tx, at=at, file=file)

    async def _off_the_loop(self, delivery: Delivery) -> list[Part]:
        """Hostile Markdown and large files take their time."""
        if len(delivery.text) > LONG or delivery.attachments:
            return await asyncio.to_thread(self._parts, delivery)
        return self._parts(delivery)

    # --- what is shown --------------------------------------------------------------------------------------------

    def _parts(self, delivery: Delivery) -> list[Part]:
        """The events of a delivery, at least one."""
        about = event_id(delivery.reference.native_id) if delivery.reference is not None else None
        kind, words = delivery.type, delivery.text
        if about is None and kind not in WITHOUT_REFERENCE:
            shown = stand_in(kind, words, WITHOUT_REFERENCE)
            assert shown is not None
            kind, words = shown.type, shown.text
        if about is not None:
            match kind:
                case MessageType.DELETE_REQUEST:
                    assert delivery.reference is not None
                    others = [event for other in delivery.reference.others if (event := event_id(other)) is not None]
                    return [Part("m.room.redaction", {}, redacts=event) for event in (about, *others)]
                case MessageType.REACTION if words.strip():
                    return [Part("m.reaction", reaction(words.strip()[:100], about))]
                case MessageType.EDIT:
                    first, *more = _texts(words)
                    return [Part("m.room.message", replacing(first, about)), *_messages(more)]
        limit = self._world.settings.max_media_bytes
        files = [attachment_content(each, max_bytes=limit) for each in delivery.attachments]
        parts = _message(words, files)
        if about is not None and kind is MessageType.REPLY:
            parts[0] = replace(parts[0], content=answering(dict(parts[0].content), about))
        return parts


def _message(words: str, files: Sequence[FileContent | Link]) -> list[Part]:
    """Text first, then each file; a single file takes a short text as its caption."""
    links = [f"{each.name}: {each.url}" for each in files if isinstance(each, Link)]
    embedded = [each for each in files if isinstance(each, FileContent)]
    words = "\n".join(filter(None, (words, *links)))
    size = len(words.encode("utf-8", "replace"))
    if len(embedded) == 1 and size <= PART_BYTES:
        return [_file_part(embedded[0], words)]
    parts: list[Part] = []
    if words.strip() or not embedded:
        parts = _messages(_texts(words)) if size <= MAX_PARTS * PART_BYTES else _long(words)
    return [*parts, *map(_file_part, embedded)]


def _texts(words: str) -> list[dict[str, Any]]:
    return [text_content(each) for each in split_text(words, PART_BYTES)] or [text_content(words)]


def _messages(contents: Sequence[dict[str, Any]]) -> list[Part]:
    return [Part("m.room.message", content) for content in contents]


def _long(words: str) -> list[Part]:
    """A text that nobody reads in a chat: its beginning, and all of it as a file."""
    beginning = split_text(words, PREVIEW_BYTES)[0]
    whole = FileContent("message.txt", "text/plain", words.encode("utf-8", "replace"))
    return [_file_part(whole, f"{beginning} …")]


def _file_part(file: FileContent, caption: str = "") -> Part:
    return Part("m.room.message", file_content(file.media_type, file.name, len(file.data), "", caption), file)
