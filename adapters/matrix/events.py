"""Which event is handled by what: one table, which README.md shows to people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from adapters.matrix.bot import Bot
from adapters.matrix.ids import Mxid, RoomId, mxid
from adapters.matrix.inward import POLLS, Inward
from adapters.matrix.membership import Membership
from adapters.matrix.portals import Portal
from adapters.matrix.reading import Receipt, RoomEvent, text
from adapters.matrix.world import World

Handler = Callable[[RoomEvent, Sequence[Portal]], Awaitable[None]]


class Opens(Protocol):
    """Opens what is encrypted."""

    async def read(self, event: RoomEvent) -> RoomEvent | None:
        """The event in clear; None when there is nothing to be handled. Sees every event, in its order."""


class Events:
    """Hands each event to the part that knows what it means."""

    def __init__(
        self, world: World, inward: Inward, membership: Membership, bot: Bot, opener: Opens | None = None
    ) -> None:
        """``opener`` is absent without encryption."""
        self._world = world
        self._opener = opener
        self._inward = inward
        self._membership = membership
        self._bot = bot
        messages: dict[str, Handler] = dict.fromkeys(("m.room.message", "m.sticker", *POLLS), inward.message)
        self._timeline: Mapping[str, Handler] = messages | {
            "m.reaction": inward.reaction,
            "m.room.redaction": inward.redaction,
            "m.room.encrypted": inward.encrypted,
        }

    async def handle(self, event: RoomEvent) -> None:
        """One event of a room's timeline. What our own users do is an echo."""
        if self._opener is not None:
            opened = await self._opener.read(event)
            if opened is None:
                return
            event = opened
        if self._world.ids.is_ours(event.sender) and event.type != "m.room.member":
            return
        if event.type == "m.room.member":
            await self._member(event)
        elif event.type == "m.room.tombstone" and event.state_key == "":
            await self._membership.tombstone(event, await self._portals(event))
        elif event.state_key is None and event.type in self._timeline and not self._world.is_ignored(event.sender):
            portals = await self._world.portals.open_in(event.room)
            if not await self._bot.heard(event, portals):
                await self._timeline[event.type](event, portals)

    async def receipts(self, room: RoomId, receipts: Sequence[Receipt]) -> None:
        """Who has seen what."""
        others = [each for each in receipts if not self._world.ids.is_ours(each.user)]
        if others:
            await self._inward.receipts(others, await self._world.portals.open_in(room))

    async def _member(self, event: RoomEvent) -> None:
        about = mxid(event.state_key) or Mxid("")
        membership = text(event.content, "membership")
        if about == self._world.ids.bot and membership == "invite":
            await self._bot.invited(event)
            return
        if membership in ("leave", "ban"):
            await self._bot.gone(event, about)
        await self._membership.member(event, await self._portals(event), self.handle)

    async def _portals(self, event: RoomEvent) -> list[Portal]:
        """Closed ones too: who comes back opens them."""
        return await self._world.portals.in_room(event.room)
