"""The Matrix adapter: what the gateway sees of this package."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import structlog
from pydantic import BaseModel
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from adapters.matrix import endpoint
from adapters.matrix.bot import Bot
from adapters.matrix.client import Homeserver
from adapters.matrix.crypto import PURPOSE as KEYS
from adapters.matrix.crypto import SealingHomeserver, crypto_store, open_crypto, open_reader
from adapters.matrix.crypto.errors import KeyAwaited
from adapters.matrix.crypto.pushed import devices_event
from adapters.matrix.directory import Directory
from adapters.matrix.errors import BadEvent, HomeserverDown, HomeserverRefused
from adapters.matrix.events import Events
from adapters.matrix.faces import Faces
from adapters.matrix.ghosts import Ghosts
from adapters.matrix.ids import Ids
from adapters.matrix.intent import Intent
from adapters.matrix.inward import Inward
from adapters.matrix.links import PURPOSE, LinkedFiles, Links
from adapters.matrix.media import Files
from adapters.matrix.membership import Membership
from adapters.matrix.outward import CAPABILITIES, Outward
from adapters.matrix.portals import Portals
from adapters.matrix.reading import RECEIPTS, parse_json, parse_receipts, parse_room_event
from adapters.matrix.registration import FILE, ID, registration
from adapters.matrix.rooms import Rooms
from adapters.matrix.settings import MatrixSettings
from adapters.matrix.status import Status
from adapters.matrix.transactions import DEVICES, native_events, read_transaction
from adapters.matrix.world import World, per_hour
from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    Capabilities,
    ConfigError,
    Delivery,
    EventOutcome,
    Finding,
    Handled,
    LimitExceeded,
    NativeEvent,
    Network,
    Outcome,
    Parked,
    Rate,
    Retry,
    StatusReport,
    Unavailable,
)

if TYPE_CHECKING:
    from adapters.matrix.crypto.keys import Crypto

log = structlog.get_logger(__name__)

PING_PAUSES: Final = (0.1, 0.3, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds between tries to ping; the last one repeats."""
REACH_SECONDS: Final = 3.0
FAST_PAUSE: Final = 2.0
"""Seconds that a person who writes too fast is made to wait."""
KEY_PAUSE: Final = 0.25
"""Seconds between looks for the key of an encrypted event."""
_TOKEN: Final = re.compile(r"[!-~]{16,}")


class MatrixAdapter:
    """An application service of one homeserver."""

    name: ClassVar[Network] = Network("matrix")
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    Settings: ClassVar[type[BaseModel]] = MatrixSettings

    def __init__(self, settings: MatrixSettings) -> None:
        self._settings = settings
        self._ids = Ids(settings.server_name, settings.bot)
        self._hs_token = ""
        self._homeserver: Homeserver | None = None
        self._world: World | None = None
        self._directory: Directory | None = None
        self._crypto: Crypto | None = None
        self._events: Events
        self._outward: Outward
        self._status: Status
        self._bot: Bot

    @classmethod
    def registration(cls, settings: MatrixSettings, public_url: str) -> str:
        """The registration file; raises ConfigError when a token cannot be read."""
        return registration(
            settings,
            url=settings.url or public_url,
            as_token=_token(settings.as_token_file),
            hs_token=_token(settings.hs_token_file),
        )

    @classmethod
    def registrations(cls, settings: MatrixSettings, public_url: str) -> Mapping[str, str]:
        """See `Registers`: there is one file."""
        return {FILE: cls.registration(settings, public_url)}

    @classmethod
    async def examine(cls, settings: MatrixSettings, public_url: str) -> Sequence[Finding]:
        """What the homeserver says of us; see `Examines`. Raises ConfigError when a token cannot be read."""
        from adapters.matrix.examination.examiner import examine_homeserver

        as_token = await asyncio.to_thread(_token, settings.as_token_file)
        registration = await asyncio.to_thread(cls.registration, settings, public_url)
        return await examine_homeserver(settings, public_url, as_token, registration)

    async def open(self, ctx: AdapterContext) -> None:
        """Read the tokens and join the parts; raises ConfigError. The homeserver need not be there yet."""
        settings = self._settings
        store = crypto_store(settings) if settings.encryption else None
        as_token = await asyncio.to_thread(_token, settings.as_token_file)
        self._hs_token = await asyncio.to_thread(_token, settings.hs_token_file)
        kind = Homeserver if store is None else SealingHomeserver
        homeserver = self._homeserver = kind(settings.homeserver_url, as_token, timeout=settings.request_timeout)
        await homeserver.open()
        if store is not None and isinstance(homeserver, SealingHomeserver):
            self._crypto = await open_crypto(homeserver, self._ids, store, ctx.secret(KEYS))
        world = World(
            settings=settings,
            ctx=ctx,
            ids=self._ids,
            homeserver=homeserver,
            ghosts=Ghosts(self._ids, homeserver, ctx),
            portals=Portals(ctx.values),
            faces=Faces(ctx.values),
            files=Files(settings, Links(ctx.public_url, ctx.secret(PURPOSE))),
            rate=Rate(settings.messages_per_minute),
            chats=per_hour(settings.new_chats_per_hour),
        )
        rooms = Rooms(world)
        self._status = Status(world)
        self._bot = Bot(world, rooms)
        self._outward = Outward(world, rooms, self._bot.tell)
        self._directory = Directory(world)
        opener = None if self._crypto is None else open_reader(world, self._crypto, self._status)
        membership = Membership(world, rooms, self._bot.tell)
        self._events = Events(world, Inward(world, self._status), membership, self._bot, opener)
        self._world = world

    async def run(self) -> None:
        """Ping until the homeserver reaches us, which makes it send at once what it kept; then wait."""
        world = self._opened()
        tries = 0
        while not await self._ping(world):
            await asyncio.sleep(PING_PAUSES[min(tries, len(PING_PAUSES) - 1)])
            tries += 1
        try:
            await world.bot.show("DM3")
        except (HomeserverDown, HomeserverRefused) as error:
            log.info("matrix.bot_not_named", error=type(error).__name__)
        await asyncio.Event().wait()

    async def _ping(self, world: World) -> bool:
        try:
            answer = await world.homeserver.call("POST", f"/_matrix/client/v1/appservice/{ID}/ping", {}, timeout=30)
        except HomeserverRefused as refusal:
            if refusal.errcode == "M_UNRECOGNIZED":
                # Before 1.7 of the specification.
                return True
            log.warning("matrix.ping_failed", errcode=refusal.errcode)
            return False
        except HomeserverDown as error:
            log.info("matrix.ping_failed", detail=error.detail)
            return False
        log.info("matrix.connected", duration_ms=answer.get("duration_ms"))
        return True

    async def reach(self) -> None:
        """See `ReportsReadiness`: the homeserver says which versions it speaks."""
        await self._opened().homeserver.call("GET", "/_matrix/client/versions", timeout=REACH_SECONDS)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Show one message in the recipient's room."""
        self._opened()
        return await self._outward.deliver(delivery)

    async def report(self, status: StatusReport) -> None:
        """Show how far a message came."""
        self._opened()
        await self._status.report(status)

    async def handle(self, event: NativeEvent) -> EventOutcome:
        """One event that the homeserver pushed; what cannot be read is set aside, and its room goes on."""
        self._opened()
        try:
            raw = parse_json(event.payload)
            if event.lane == DEVICES:
                await self._pushed(raw)
            elif isinstance(raw, Mapping) and raw.get("type") == RECEIPTS:
                await self._events.receipts(*parse_receipts(raw))
            else:
                await self._events.handle(parse_room_event(raw))
        except BadEvent as error:
            return Parked(f"an event that cannot be read: {error}")
        except HomeserverDown as error:
            return Retry(error.sentence, error.after)
        except KeyAwaited as error:
            return Retry(error.sentence, KEY_PAUSE)
        except LimitExceeded as error:
            return Retry(error.sentence, FAST_PAUSE)
        except HomeserverRefused as refusal:
            return Parked(f"the homeserver refused a step: {refusal.status} {refusal.errcode}")
        return Handled()

    async def _pushed(self, raw: object) -> None:
        """For devices; of nobody any more when encryption was switched off meanwhile."""
        if self._crypto is not None and isinstance(raw, Mapping):
            await self._crypto.pushed(raw)

    async def exists(self, canonical_id: CanonicalId) -> bool:
        """Whether somebody of the homeserver can be written to."""
        return await self._looked_up().person_exists(canonical_id)

    def routes(self) -> Sequence[BaseRoute]:
        """The old paths of the application service's interface, and the files behind links."""
        return [*endpoint.old_routes(self), LinkedFiles(self._linked, self._settings.max_media_bytes).route()]

    def trees(self) -> Mapping[str, ASGIApp]:
        """The application service's interface."""
        return {endpoint.ROOT: endpoint.tree(self)}

    async def close(self) -> None:
        """Close the connections to the homeserver."""
        self._world = None
        if self._crypto is not None:
            await self._crypto.close()
            self._crypto = None
        if self._homeserver is not None:
            await self._homeserver.close()
            self._homeserver = None

    # --- what the homeserver asks ---------------------------------------------------------------------------------

    def authorised(self, token: str) -> bool:
        """Whether this is the homeserver's token."""
        return bool(self._hs_token) and endpoint.same(token, self._hs_token)

    async def transaction(self, body: bytes) -> None:
        """On disk when this returns."""
        world = self._opened()
        events = native_events(read_transaction(body), self._ids.is_ours)
        if self._crypto is not None and (devices := devices_event(body)) is not None:
            events.insert(0, devices)
        new = await world.ctx.take(events)
        log.debug("transaction.taken", events=len(events), new=new)

    async def user_exists(self, user: str) -> bool:
        """See `Directory`."""
        return await self._looked_up().user_exists(user)

    async def room_exists(self, alias: str) -> bool:
        """Our rooms exist before their aliases are asked for."""
        return False

    async def protocol(self, name: str) -> Mapping[str, Any] | None:
        """See `Directory`."""
        return self._looked_up().protocol(name)

    async def find_users(self, protocol: str, fields: Mapping[str, str]) -> Sequence[Mapping[str, Any]] | None:
        """See `Directory`."""
        return await self._looked_up().find_users(protocol, fields)

    async def users_behind(self, user: str) -> Sequence[Mapping[str, Any]]:
        """See `Directory`."""
        return await self._looked_up().users_behind(user)

    def _opened(self) -> World:
        if self._world is None:
            raise Unavailable("the Matrix adapter is not open")
        return self._world

    def _looked_up(self) -> Directory:
        if self._directory is None:
            raise Unavailable("the Matrix adapter is not open")
        return self._directory

    def _linked(self) -> tuple[Links, Intent, int]:
        world = self._world
        if world is None:
            raise HomeserverDown("the Matrix adapter is not open")
        return world.files.links, world.bot, world.ctx.now_ms()


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not _TOKEN.fullmatch(token):
        raise ConfigError(f"{path}: a token has at least 16 characters of ASCII, without blanks")
    return token
