"""Rooms that ghosts make, and what is said about a conversation in its room."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import structlog

from adapters.matrix.errors import HomeserverRefused
from adapters.matrix.ids import Mxid, RoomId
from adapters.matrix.intent import Intent
from adapters.matrix.portals import Portal
from adapters.matrix.world import World
from gateway.sdk import CanonicalId, EnsName

log = structlog.get_logger(__name__)

BRIDGE: Final = ("m.bridge", "uk.half-shot.bridge")
"""State events that say what a room is bridged to (MSC2346)."""
DIRECT_CHATS: Final = "m.direct"


class Rooms:
    """Makes portals of our own."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def open(self, person: CanonicalId, name: EnsName) -> Portal:
        """A room in which a ghost waits for a person; the same room again when this was broken off on the way.

        The room's alias is what makes it so: it is taken in the same step that makes the room.
        """
        ghost = await self._world.ghosts.of(name)
        room = await self._made(person, name, ghost)
        portal = Portal(room, person, name, accepted=False)
        await self._world.portals.put(portal)
        await self._mark_direct(ghost, Mxid(person), room)
        return portal

    async def _made(self, person: CanonicalId, name: EnsName, ghost: Intent) -> RoomId:
        earlier = await self._world.portals.last_room(person, name)
        while True:
            local = _alias(person, name, earlier)
            alias = f"#{local}:{self._world.ids.server_name}"
            room = await ghost.room_at(alias)
            if room is None:
                try:
                    return await ghost.create_room(self._body(person, name, local))
                except HomeserverRefused as refusal:
                    if refusal.errcode != "M_ROOM_IN_USE" or (room := await ghost.room_at(alias)) is None:
                        raise
            if await self._waits(room, person, name, ghost):
                return room
            earlier = room

    async def _waits(self, room: RoomId, person: CanonicalId, name: EnsName, ghost: Intent) -> bool:
        """Whether a room was made for a person and is theirs still: others may have it, when it was forgotten here."""
        for portal in await self._world.portals.in_room(room):
            if portal.name == name and (portal.person != person or portal.closed):
                return False
        return await ghost.membership(room, Mxid(person)) in ("join", "invite")

    async def describe(self, portal: Portal, ghost: Intent) -> None:
        """Say in the room what it is bridged to, where the room lets us."""
        for kind in BRIDGE:
            if not await ghost.set_state(portal.room, kind, self._bridge(portal.name), _state_key(portal.name)):
                return

    def _body(self, person: CanonicalId, name: EnsName, alias: str) -> dict[str, Any]:
        return {
            # The person may do everything here, in every room version; since 12 as a creator beside the ghost.
            "preset": "trusted_private_chat",
            "invite": [person],
            "is_direct": True,
            "room_alias_name": alias,
            "initial_state": [
                {"type": kind, "state_key": _state_key(name), "content": self._bridge(name)} for kind in BRIDGE
            ],
        }

    def _bridge(self, name: EnsName) -> dict[str, Any]:
        ctx = self._world.ctx
        return {
            "bridgebot": self._world.ids.bot,
            "protocol": {"id": "dm3", "displayname": "DM3", "external_url": ctx.public_url},
            "channel": {"id": name, "displayname": name, "external_url": f"{ctx.public_url}/names/{name}"},
        }

    async def _mark_direct(self, ghost: Intent, person: Mxid, room: RoomId) -> None:
        """On the ghost's side; what a person's client calls a direct chat is theirs."""
        chats = dict(await ghost.account_data(DIRECT_CHATS))
        known = chats.get(person)
        rooms = [each for each in known if isinstance(each, str)] if isinstance(known, list) else []
        if room not in rooms:
            await ghost.set_account_data(DIRECT_CHATS, {**chats, person: [*rooms, room]})


def _state_key(name: EnsName) -> str:
    return f"dm3/{name}"


def _alias(person: CanonicalId, name: EnsName, earlier: RoomId | None) -> str:
    """Different for each room that follows another one."""
    text = "\n".join((person, name, earlier or ""))
    return f"dm3_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
