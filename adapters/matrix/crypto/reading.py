"""Encrypted events on their way in: opened before anybody looks at them, or their writer is told why that failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from adapters.matrix.bot import DESK_ROOM
from adapters.matrix.content import text_content
from adapters.matrix.crypto.errors import KeyAwaited, KeyMissing, Undecipherable
from adapters.matrix.crypto.keys import Crypto
from adapters.matrix.ids import Mxid, RoomId
from adapters.matrix.inward import SAID
from adapters.matrix.portals import Portal, PortalKind
from adapters.matrix.reading import RoomEvent, text
from adapters.matrix.status import Status
from adapters.matrix.world import World, txn
from gateway.sdk import DeliveryState, NativeId, StatusReport, Value

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 10.0
"""For a key: it comes by another way than the event, and mostly before it."""
COLLECT_SECONDS: Final = 1.0
"""After so long it will not be pushed any more; the homeserver may still have it."""
MAX_AWAITED: Final = 10_000
NO_KEY: Final = (
    "your client did not give its key to this gateway, so it could not be read. Please write it again; if that does "
    "not help, leave this chat and begin a new one."
)
UNVERIFIED: Final = (
    "your client gives keys to verified devices only, and this gateway's is none, so it could not be read. Please "
    "allow unverified devices in this room, or use a room without encryption."
)
BROKEN: Final = "it could not be decrypted. Please write it again."
_WITHHELD: Final = {"m.unverified": UNVERIFIED, "m.blacklisted": UNVERIFIED}


class Reader:
    """Opens events; it knows the rooms by what happens in them."""

    def __init__(
        self, world: World, crypto: Crypto, status: Status, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._world = world
        self._crypto = crypto
        self._status = status
        self._clock = clock
        self._awaited: dict[tuple[RoomId, str], float] = {}
        self._collected: set[tuple[RoomId, str]] = set()

    async def read(self, event: RoomEvent) -> RoomEvent | None:
        """The event in clear, as it is when it was never encrypted; None when nobody can read it, which is told.

        Raises KeyAwaited while the key may still come.
        """
        if event.type == "m.room.member":
            self._crypto.rooms.changed(event.room)
        elif event.type == "m.room.encryption" and event.state_key == "":
            self._crypto.rooms.encrypted(event.room, event.content)
            for user in await self._ours(event.room):
                await self._crypto.prepare(user)
        elif event.type == "m.room.encrypted" and not self._world.is_ignored(event.sender):
            return event if self._world.ids.is_ours(event.sender) else await self._opened(event)
        return event

    async def _opened(self, event: RoomEvent) -> RoomEvent | None:
        users = await self._ours(event.room)
        if not users or event.state_key is not None:
            return None
        session = event.room, text(event.content, "session_id")
        try:
            kind, content = await self._crypto.opened(event, users)
        except KeyMissing:
            withheld = await self._crypto.withheld(event, users)
            waited = self._clock() - self._since(session)
            if not withheld and waited < WAIT_SECONDS:
                if waited >= COLLECT_SECONDS and session not in self._collected:
                    await self._crypto.collect(users)
                    self._collected.add(session)
                raise KeyAwaited from None
            log.info("event.without_key", id=event.id, withheld=withheld)
            await self._tell(event, _WITHHELD.get(withheld, NO_KEY), session[1])
            return None
        except Undecipherable as error:
            log.info("event.undecipherable", id=event.id, detail=error.detail)
            await self._tell(event, BROKEN, event.id)
            return None
        self._forget(session)
        if kind.startswith("m.room.") and kind != "m.room.message":
            # Membership and the like is never encrypted: whoever writes that means no good.
            return None
        return replace(event, type=kind, content=content, redacts=None)

    async def _ours(self, room: RoomId) -> list[Mxid]:
        """Who of us reads in a room: its ghosts, else the bot when it was asked in."""
        portals = await self._world.portals.open_in(room)
        if portals:
            return [self._world.ghosts.known(portal.name).user for portal in portals]
        bot = self._world.ids.bot
        at_desk = await self._world.ctx.values.get(DESK_ROOM, room) is not None
        return [bot] if at_desk or await self._crypto.has_device(bot) else []

    def _since(self, session: tuple[RoomId, str]) -> float:
        """When an event with this key first came in vain; what follows it does not wait again."""
        while len(self._awaited) >= MAX_AWAITED:
            self._forget(next(iter(self._awaited)))
        return self._awaited.setdefault(session, self._clock())

    def _forget(self, session: tuple[RoomId, str]) -> None:
        self._awaited.pop(session, None)
        self._collected.discard(session)

    # --- what is told ---------------------------------------------------------------------------------------------

    async def _tell(self, event: RoomEvent, reason: str, about: str) -> None:
        """Each event is marked as failed; in words the reason is given once for all events without the same key."""
        portals = await self._world.portals.open_in(event.room)
        for portal in portals:
            if portal.kind is PortalKind.GROUP or portal.person == event.sender:
                await self._tell_in(portal, event, reason, about)
        if not portals and await self._world.ctx.values.get(DESK_ROOM, event.room) == event.sender:
            words = text_content(f"I could not read your message: {reason}", kind="m.notice")
            await self._world.bot.send(event.room, "m.room.message", words, txn("unreadable", event.room, about))

    async def _tell_in(self, portal: Portal, event: RoomEvent, reason: str, about: str) -> None:
        said = Value(SAID, f"{portal.key} unreadable {about}", "1")
        if await self._world.ctx.values.get(said.kind, said.key) is None:
            await self._status.failed(portal, await self._world.ghosts.of(portal.name), event.id, reason)
            await self._world.ctx.values.put(said)
            return
        await self._status.report(_failed(portal, event, reason))


def _failed(portal: Portal, event: RoomEvent, reason: str) -> StatusReport:
    """A failure that is marked and not put into words."""
    return StatusReport(
        sender=portal.person,
        recipient=portal.name,
        native_id=NativeId(event.id),
        state=DeliveryState.FAILED,
        reason=reason,
        automatic=True,
    )
