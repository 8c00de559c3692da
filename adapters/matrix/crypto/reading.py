"""Encrypted events on their way in: opened before anybody looks at them, or their writer is told why that failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from cachetools import TTLCache

from adapters.matrix.bot import DESK_ROOM
from adapters.matrix.content import text_content
from adapters.matrix.crypto.errors import KeyAwaited, KeyMissing, Undecipherable
from adapters.matrix.crypto.keys import Crypto
from adapters.matrix.ids import Mxid, RoomId
from adapters.matrix.inward import SAID
from adapters.matrix.portals import Portal, PortalKind
from adapters.matrix.reading import RoomEvent, text
from adapters.matrix.settings import Permission
from adapters.matrix.status import Status
from adapters.matrix.world import World, txn
from gateway.sdk import DeliveryState, NativeId, StatusReport, Value

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 10.0
"""For a key: it comes by another way than the event, and mostly before it."""
COLLECT_SECONDS: Final = 1.0
"""After so long it will not be pushed any more; the homeserver may still have it."""
AGAIN_SECONDS: Final = 1.0
"""For another key of whom one was waited for in vain: one that is given now is but overtaken by its event."""
IN_VAIN: Final = 2
"""Keys of somebody that were waited for in vain; after so many nothing holds up their room."""
IN_VAIN_SECONDS: Final = 300.0
"""After the last of them all is forgotten."""
MAX_AWAITED: Final = 10_000
MAX_SESSION_ID: Final = 100
"""Characters that are looked at; there are 43 in one that is no invention."""
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


Session = tuple[RoomId, Mxid, str]


@dataclass(slots=True)
class _Wait:
    """For a key; what follows with the same one does not wait again."""

    since: float
    seconds: float
    first: bool
    """Of this sender: the homeserver is asked for what it kept, and the end is told in words."""
    collected: bool = False
    over: bool = False


class Reader:
    """Opens events; it knows the rooms by what happens in them."""

    def __init__(
        self, world: World, crypto: Crypto, status: Status, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._world = world
        self._crypto = crypto
        self._status = status
        self._clock = clock
        self._waits: dict[Session, _Wait] = {}
        self._in_vain: TTLCache[tuple[RoomId, Mxid], int] = TTLCache(MAX_AWAITED, IN_VAIN_SECONDS, clock)

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
        session = event.room, event.sender, text(event.content, "session_id")[:MAX_SESSION_ID]
        try:
            kind, content = await self._crypto.opened(event, users)
        except KeyMissing:
            if not await self._is_heard(event):
                return None
            withheld = await self._crypto.withheld(event, users)
            wait = self._wait(session)
            if not withheld and wait is not None and (waited := self._clock() - wait.since) < wait.seconds:
                if wait.first and waited >= COLLECT_SECONDS and not wait.collected:
                    await self._crypto.collect(users)
                    wait.collected = True
                raise KeyAwaited from None
            log.info("event.without_key", id=event.id, withheld=withheld)
            if wait is not None and not wait.over:
                wait.over = True
                self._in_vain[session[:2]] = self._in_vain.get(session[:2], 0) + 1
            in_words = wait is not None and wait.first
            await self._tell(event, _WITHHELD.get(withheld, NO_KEY), session[2], in_words=in_words)
            return None
        except Undecipherable as error:
            log.info("event.undecipherable", id=event.id, detail=error.detail)
            await self._tell(event, BROKEN, event.id)
            return None
        self._waits.pop(session, None)
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

    async def _is_heard(self, event: RoomEvent) -> bool:
        """Whether anything that the sender writes there goes anywhere; for nobody else a room is held up."""
        if self._world.settings.permission_of(event.sender) < Permission.USER:
            return False
        portals = await self._world.portals.open_in(event.room)
        return not portals or any(_hears(portal, event.sender) for portal in portals)

    def _wait(self, session: Session) -> _Wait | None:
        """The wait for a key; None when none of its sender came of late: anybody can invent what no key belongs to."""
        wait = self._waits.get(session)
        if wait is None:
            in_vain = self._in_vain.get(session[:2], 0)
            if in_vain >= IN_VAIN:
                return None
            while len(self._waits) >= MAX_AWAITED:
                self._waits.pop(next(iter(self._waits)))
            seconds = AGAIN_SECONDS if in_vain else WAIT_SECONDS
            wait = self._waits[session] = _Wait(self._clock(), seconds, first=not in_vain)
        return wait

    # --- what is told ---------------------------------------------------------------------------------------------

    async def _tell(self, event: RoomEvent, reason: str, about: str, *, in_words: bool = True) -> None:
        """Each event is marked as failed; in words the reason is given once for all events without the same key."""
        portals = await self._world.portals.open_in(event.room)
        for portal in portals:
            if _hears(portal, event.sender):
                await self._tell_in(portal, event, reason, about if in_words else None)
        if in_words and not portals and await self._world.ctx.values.get(DESK_ROOM, event.room) == event.sender:
            words = text_content(f"I could not read your message: {reason}", kind="m.notice")
            await self._world.bot.send(event.room, "m.room.message", words, txn("unreadable", event.room, about))

    async def _tell_in(self, portal: Portal, event: RoomEvent, reason: str, about: str | None) -> None:
        said = Value(SAID, f"{portal.key} unreadable {about}", "1")
        if about is not None and await self._world.ctx.values.get(said.kind, said.key) is None:
            await self._status.failed(portal, await self._world.ghosts.of(portal.name), event.id, reason)
            await self._world.ctx.values.put(said)
            return
        await self._status.report(_failed(portal, event, reason))


def _hears(portal: Portal, sender: Mxid) -> bool:
    return portal.kind is PortalKind.GROUP or portal.person == sender


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
