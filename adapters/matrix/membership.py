"""Who comes and who goes: invitations of ghosts and of the bot, leaving, putting out, upgrades of rooms.

Client-Server API, "Room membership", "Room upgrades". A portal begins when a ghost is invited, or with a delivery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from adapters.matrix.errors import AnswerTooLarge, BadEvent, HomeserverRefused
from adapters.matrix.ids import Mxid, RoomId, mxid, room_id
from adapters.matrix.intent import Intent
from adapters.matrix.portals import Portal, PortalKind
from adapters.matrix.reading import RoomEvent, parse_room_event, text
from adapters.matrix.rooms import Rooms
from adapters.matrix.settings import Permission
from adapters.matrix.world import World
from gateway.sdk import CanonicalId, EnsName, GatewayError, InvalidInput, LimitExceeded, UnknownName, Value

log = structlog.get_logger(__name__)

MOVED: Final = "moved"
"""Values: which room another one replaces, by the new one."""
TOO_MANY: Final = "You began many conversations within an hour; please try again later."
TOO_LARGE: Final = "The room into which you invited {name} has too many people for this gateway."
Backfill = Callable[[RoomEvent], Awaitable[None]]


class Membership:
    """Handles ``m.room.member`` and ``m.room.tombstone``."""

    def __init__(self, world: World, rooms: Rooms, tell: Callable[[Mxid, str], Awaitable[object]]) -> None:
        """``tell`` says something to a person in the bot's room with them."""
        self._world = world
        self._rooms = rooms
        self._tell = tell

    async def member(self, event: RoomEvent, portals: Sequence[Portal], backfill: Backfill) -> None:
        """One change of one membership; ``backfill`` handles what was written before the ghost was there."""
        about = mxid(event.state_key)
        if about is None:
            raise BadEvent("state_key")
        self._world.faces.changed(event.room)
        membership = text(event.content, "membership")
        ids = self._world.ids
        if membership == "invite" and ids.is_ghost(about):
            await self._ghost_invited(event, about, backfill)
        elif membership in ("leave", "ban") and ids.is_ghost(about):
            await self._ghost_gone(event, about, portals)
        elif membership == "join" and not ids.is_ours(about):
            await self._world.faces.put({about: text(event.content, "displayname")})
            await self._joined(about, portals)
        elif membership in ("leave", "ban") and not ids.is_ours(about):
            await self._person_gone(event, about, portals)

    async def tombstone(self, event: RoomEvent, portals: Sequence[Portal]) -> None:
        """The room was replaced: follow, at once where we may, else when the ghost is invited there."""
        new = room_id(event.content.get("replacement_room"))
        if new is None:
            return
        for portal in portals:
            if portal.closed:
                continue
            await self._world.ctx.values.put(Value(MOVED, f"{new} {portal.name}", portal.room))
            ghost = await self._world.ghosts.of(portal.name)
            try:
                await ghost.join(new)
            except HomeserverRefused as refusal:
                log.info("portal.waits_for_invitation", errcode=refusal.errcode)
                continue
            if await self._is_there(portal, new, ghost):
                await self._follow(portal, new, ghost)
            else:
                if all(other.name != portal.name for other in await self._world.portals.in_room(new)):
                    await ghost.leave(new)
                await self._world.portals.change(portal, closed=True, declined=False)

    async def _follow(self, portal: Portal, new: RoomId, ghost: Intent) -> None:
        await self._rooms.describe(await self._world.portals.move(portal, new), ghost)
        await self._world.ctx.values.put(Value(MOVED, f"{new} {portal.name}", None))

    async def _is_there(self, portal: Portal, room: RoomId, ghost: Intent) -> bool:
        """Whether who speaks in a portal is in a room, or asked into it: what is for them is shown to nobody else."""
        return portal.kind is PortalKind.GROUP or await ghost.membership(room, portal.person) in ("join", "invite")

    # --- ghosts ---------------------------------------------------------------------------------------------------

    async def _ghost_invited(self, event: RoomEvent, about: Mxid, backfill: Backfill) -> None:
        """Somebody wants to speak with a name."""
        sender = event.sender
        if self._world.ids.is_ours(sender) or self._ignored(sender):
            return
        try:
            name = await self._world.ghosts.named_by(about)
        except UnknownName:
            await self._refuse(sender, f"{about} stands for no ENS name.")
            return
        if self._world.settings.permission_of(sender) < Permission.USER:
            log.info("invitation.not_allowed", room=event.room)
            return
        try:
            await self._world.ctx.check_recipient(name)
        except (UnknownName, InvalidInput) as error:
            await self._refuse(sender, f"{name} cannot be written to: {error.sentence}")
            return
        try:
            await self._begin(event, name, backfill)
        except LimitExceeded:
            await self._refuse(sender, TOO_MANY)

    async def _begin(self, event: RoomEvent, name: EnsName, backfill: Backfill) -> None:
        ghost = await self._world.ghosts.of(name)
        if await ghost.membership(event.room, ghost.user) != "join":
            if self._world.settings.permission_of(event.sender) < Permission.ADMIN:
                self._world.chats.take(event.sender)
            try:
                await ghost.join(event.room)
            except HomeserverRefused as refusal:
                # Taken back meanwhile, or a room that nobody of this server can join.
                log.info("invitation.over", errcode=refusal.errcode)
                return
        try:
            portal = await self._portal(event, name, ghost)
        except AnswerTooLarge:
            await ghost.leave(event.room)
            await self._refuse(event.sender, TOO_LARGE.format(name=name))
            return
        await self._rooms.describe(portal, ghost)
        for missed in await self._missed(ghost, event):
            await backfill(missed)

    async def _portal(self, event: RoomEvent, name: EnsName, ghost: Intent) -> Portal:
        """A new portal, or the one that this room goes on with."""
        values, portals = self._world.ctx.values, self._world.portals
        before = await values.get(MOVED, f"{event.room} {name}")
        if before is not None:
            for old in await portals.in_room(RoomId(before)):
                if old.name != name:
                    continue
                await values.put(Value(MOVED, f"{event.room} {name}", None))
                own = old.person == event.sender
                if own or (not old.declined and await self._is_there(old, event.room, ghost)):
                    return await portals.move(old, event.room)
                # The inviter begins one of their own, and the next message to the other person opens a room.
                await portals.change(old, closed=True, declined=old.declined)
        people = await self._people_in(ghost, event.room)
        await self._world.faces.put(people)
        direct = event.content.get("is_direct") is True or len(people) <= 1
        if direct:
            portal = Portal(event.room, CanonicalId(event.sender), name)
        else:
            portal = Portal(event.room, self._world.ids.voice(event.room), name, PortalKind.GROUP)
            shown = text(await ghost.state(event.room, "m.room.name"), "name") or "A Matrix room"
            await self._world.faces.put({portal.person: shown})
        await portals.put(portal)
        return portal

    async def _missed(self, ghost: Intent, invitation: RoomEvent) -> list[RoomEvent]:
        """What people wrote between the invitation and the joining: the homeserver never pushes that."""
        missed = []
        for raw in await ghost.history(invitation.room, until=invitation.id):
            try:
                event = parse_room_event({**raw, "room_id": invitation.room})
            except BadEvent as error:
                log.info("backfill.bad_event", detail=str(error))
                continue
            if event.state_key is None and not self._world.ids.is_ours(event.sender):
                missed.append(event)
        return missed[::-1]

    async def _ghost_gone(self, event: RoomEvent, about: Mxid, portals: Sequence[Portal]) -> None:
        """Put out by somebody: they do not want this conversation. What a ghost does by itself says nothing."""
        if self._world.ids.is_ours(event.sender):
            return
        for portal in portals:
            if self._world.ghosts.known(portal.name).user == about:
                await self._world.portals.change(portal, closed=True, declined=True)

    # --- people ---------------------------------------------------------------------------------------------------

    async def _joined(self, about: Mxid, portals: Sequence[Portal]) -> None:
        """They accepted, or are called otherwise now, which is a joining too. What ended is not begun anew by either:
        the ghost is not there, until somebody invites it."""
        for portal in portals:
            if portal.person == about and not portal.closed:
                await self._world.portals.change(portal, closed=False, declined=False)

    async def _person_gone(self, event: RoomEvent, about: Mxid, portals: Sequence[Portal]) -> None:
        """An empty portal is left too. Who declines an invitation is not asked again; who leaves may be."""
        for portal in portals:
            ghost = await self._world.ghosts.of(portal.name)
            if portal.kind is PortalKind.DIRECT and portal.person == about:
                await self._world.portals.change(portal, closed=True, declined=not portal.accepted)
                await ghost.leave(portal.room)
            elif portal.kind is PortalKind.GROUP and await self._is_empty(ghost, portal.room):
                await self._world.portals.change(portal, closed=True, declined=True)
                await ghost.leave(portal.room)

    async def _is_empty(self, ghost: Intent, room: RoomId) -> bool:
        """Whether nobody is left but users of ours."""
        try:
            return not await self._people_in(ghost, room)
        except AnswerTooLarge:
            return False

    async def _people_in(self, ghost: Intent, room: RoomId) -> dict[CanonicalId, str]:
        """Humans in a room, with their display names; nobody when the ghost is not there any more.

        Raises AnswerTooLarge.
        """
        try:
            joined = await ghost.joined(room)
        except AnswerTooLarge:
            raise
        except HomeserverRefused:
            return {}
        return {CanonicalId(user): shown for user, shown in joined.items() if not self._world.ids.is_ours(user)}

    def _ignored(self, user: Mxid) -> bool:
        return self._world.is_ignored(user)

    async def _refuse(self, person: Mxid, words: str) -> None:
        try:
            await self._tell(person, words)
        except (HomeserverRefused, GatewayError) as error:
            log.info("refusal.not_told", error=type(error).__name__)
