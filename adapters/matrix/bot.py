"""The bot: a person's room with it is the desk at which they command the gateway; ``!dm3`` does so elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from adapters.matrix.content import answering, file_content, read_message, text_content
from adapters.matrix.errors import AnswerTooLarge, BadEvent, HomeserverRefused, Unfit
from adapters.matrix.ids import EventId, Mxid, RoomId
from adapters.matrix.intent import Intent
from adapters.matrix.inward import NOT_ALLOWED, SAID
from adapters.matrix.portals import Portal
from adapters.matrix.reading import RoomEvent, text
from adapters.matrix.rooms import Rooms
from adapters.matrix.settings import Permission
from adapters.matrix.world import World, txn
from gateway.sdk import EnsName, Person, Value
from gateway.sdk.commands import Answer, Commands

log = structlog.get_logger(__name__)

PREFIX: Final = "!dm3"
DESK: Final = "desk"
"""Values: a person's room with the bot, by person."""
DESK_ROOM: Final = "desk-room"
"""Values: whose desk a room is, by room."""
WELCOME: Final = (
    "Here you can reach everybody who has an ENS name with a DM3 profile: write `chat name.eth`, or invite "
    "`{example}` into a room. `help` tells what else there is."
)
ENCRYPTED: Final = "I cannot read encrypted rooms: please write to me in a room without encryption."


class Bot:
    """Answers commands, and tells people what the gateway has to say to them."""

    def __init__(self, world: World, rooms: Rooms) -> None:
        self._world = world
        self._rooms = rooms
        self._commands = Commands(
            world.ctx.people,
            self._chat,
            parent=world.ctx.parent,
            public_url=world.ctx.public_url,
            now_ms=world.ctx.now_ms,
            prefix=f"{PREFIX} ",
        )

    async def invited(self, event: RoomEvent) -> None:
        """Join; a room of two is the inviter's desk."""
        if self._world.ids.is_ours(event.sender) or self._world.is_ignored(event.sender):
            return
        if self._world.settings.permission_of(event.sender) < Permission.USER:
            await self._world.bot.leave(event.room)
            return
        try:
            await self._world.bot.join(event.room)
        except HomeserverRefused as refusal:
            log.info("invitation.over", errcode=refusal.errcode)
            return
        try:
            joined = await self._world.bot.joined(event.room)
        except AnswerTooLarge:
            # Nobody's desk.
            return
        people = [user for user in joined if not self._world.ids.is_ours(user)]
        if event.content.get("is_direct") is True or len(people) <= 1:
            await self._found(event.sender, event.room)
            await self._welcome(event.room)

    async def gone(self, event: RoomEvent, about: Mxid) -> None:
        """The bot was put out, or the person left their desk."""
        owner = await self._world.ctx.values.get(DESK_ROOM, event.room)
        if owner is None or about not in (owner, self._world.ids.bot):
            return
        gone = [Value(DESK_ROOM, event.room, None)]
        if await self._world.ctx.values.get(DESK, owner) == event.room:
            gone.append(Value(DESK, owner, None))
        await self._world.ctx.values.put(*gone)
        if about != self._world.ids.bot:
            await self._world.bot.leave(event.room)

    async def heard(self, event: RoomEvent, portals: Sequence[Portal]) -> bool:
        """Whether a message was for the bot; then it is answered."""
        if event.type == "m.room.encrypted":
            return await self._heard_nothing(event, portals)
        line = _line(event)
        if line is None:
            return False
        spoken_to = line.text == PREFIX or line.text.startswith(PREFIX + " ")
        if not spoken_to:
            owner = None if portals else await self._world.ctx.values.get(DESK_ROOM, event.room)
            if owner is None or owner != event.sender:
                return False
        if line.edited:
            # What was done is done; and it is nobody else's to read.
            return True
        voice = await self._world.ghosts.of(portals[0].name) if portals else self._world.bot
        if self._world.settings.permission_of(event.sender) < Permission.USER:
            await self._say(voice, event.room, NOT_ALLOWED, event.id)
            return True
        person = Person(event.sender)
        answer = await self._commands.run(person, line.text)
        await self._answer(voice, event, answer)
        if answer.deleted:
            await self._forget(event.sender)
        return True

    async def tell(self, person: Mxid, words: str, key: str = "") -> EventId:
        """Say something at a person's desk, which is made when there is none; ``key`` makes it said once."""
        room = await self._desk(person)
        return await self._say(self._world.bot, room, words, key=key or words)

    async def _heard_nothing(self, event: RoomEvent, portals: Sequence[Portal]) -> bool:
        if portals or await self._world.ctx.values.get(DESK_ROOM, event.room) is None:
            return False
        await self._say(self._world.bot, event.room, ENCRYPTED, key=f"encrypted {event.room}")
        return True

    async def _answer(self, voice: Intent, event: RoomEvent, answer: Answer) -> None:
        if answer.text:
            await self._say(voice, event.room, answer.text, event.id)
        if answer.file is not None:
            content = file_content(answer.file.media_type, answer.file.name, len(answer.file.data), "")
            sent = txn("answer file", event.id)
            await voice.send(event.room, "m.room.message", content, sent, file=answer.file)

    async def _say(
        self, voice: Intent, room: RoomId, words: str, about: EventId | None = None, key: str = ""
    ) -> EventId:
        content: dict[str, Any] = text_content(words, kind="m.notice")
        if about is not None:
            content = answering(content, about)
        return await voice.send(room, "m.room.message", content, txn("say", room, about or "", key))

    async def _forget(self, person: Mxid) -> None:
        """Of somebody who was deleted: conversations, what was said in them, how they called themselves."""
        values = self._world.ctx.values
        desk = await values.get(DESK, person)
        if desk is not None:
            await values.put(Value(DESK, person, None), Value(DESK_ROOM, desk, None))
            await self._world.bot.leave(RoomId(desk))
        for portal in await self._world.portals.drop_person(person):
            said = await values.find(SAID, f"{portal.key} ")
            await values.put(*(Value(SAID, each.key, None) for each in said))
            await self._world.ghosts.known(portal.name).leave(portal.room)
        await self._world.faces.drop(person)

    # --- desks ----------------------------------------------------------------------------------------------------

    async def _desk(self, person: Mxid) -> RoomId:
        known = await self._world.ctx.values.get(DESK, person)
        if known is not None:
            return RoomId(known)
        bot = self._world.bot
        local = f"dm3_desk_{hashlib.sha256(person.encode()).hexdigest()[:32]}"
        room = await bot.room_at(f"#{local}:{self._world.ids.server_name}")
        if room is None:
            body = {"preset": "trusted_private_chat", "invite": [person], "is_direct": True, "room_alias_name": local}
            room = await bot.create_room(body)
        elif await bot.membership(room, person) not in ("join", "invite"):
            await bot.invite(room, person)
        await self._found(person, room)
        return room

    async def _found(self, person: Mxid, room: RoomId) -> None:
        await self._world.ctx.values.put(Value(DESK, person, room), Value(DESK_ROOM, room, person))

    async def _welcome(self, room: RoomId) -> None:
        example, _ = self._world.ids.ghost(EnsName("name.eth"))
        await self._say(self._world.bot, room, WELCOME.format(example=example), key="welcome")

    # --- chat -----------------------------------------------------------------------------------------------------

    async def _chat(self, person: Person, name: EnsName) -> str:
        """Begin a conversation; what `Commands` says to the person. Raises GatewayError with a sentence."""
        mxid = Mxid(person.canonical_id)
        known = await self._world.portals.of(mxid, name)
        if known is not None and not known.closed and not known.declined:
            return f"You have a chat with {name} already: https://matrix.to/#/{known.room}"
        await self._world.ctx.check_recipient(name)
        if self._world.settings.permission_of(mxid) < Permission.ADMIN:
            self._world.chats.take(mxid)
        portal = await self._rooms.open(mxid, name)
        return f"I invited you into a chat with {name}: https://matrix.to/#/{portal.room}"


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    edited: bool


def _line(event: RoomEvent) -> _Line | None:
    """What might be a command; None for what cannot be one."""
    if event.type != "m.room.message" or text(event.content, "msgtype") != "m.text":
        return None
    try:
        written = read_message({**event.content, "format": ""})
    except (BadEvent, Unfit):
        return None
    return _Line(written.text.strip(), written.replaces is not None)
