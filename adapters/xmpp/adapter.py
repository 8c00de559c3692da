"""The XMPP adapter: what the gateway sees of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final
from xml.etree.ElementTree import Element

import structlog
from cachetools import LRUCache
from pydantic import BaseModel

from adapters.xmpp import render, replies
from adapters.xmpp.answers import Answers
from adapters.xmpp.asking import Asking
from adapters.xmpp.carrying import Carrying
from adapters.xmpp.contacts import Contacts
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.inward import NO_ROOM, Inward, alike
from adapters.xmpp.jids import Ids, Jid, canonical
from adapters.xmpp.link import Link, LinkDown
from adapters.xmpp.outward import CAPABILITIES, Outward
from adapters.xmpp.owed import Owed
from adapters.xmpp.own_ids import OWN_IDS, PURPOSE, OwnIds
from adapters.xmpp.parse import parse
from adapters.xmpp.pump import Pump
from adapters.xmpp.registration import registrations
from adapters.xmpp.render import Said, Way
from adapters.xmpp.rooms.rooms import Rooms
from adapters.xmpp.rosters import Rosters
from adapters.xmpp.settings import XmppSettings
from adapters.xmpp.stanzas import (
    Answer,
    Available,
    Chat,
    Enter,
    Granted,
    PresenceError,
    Probe,
    Request,
    Stanza,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from adapters.xmpp.stanzas import Unavailable as Gone
from adapters.xmpp.unread import Unread
from adapters.xmpp.uploads import Uploads
from adapters.xmpp.world import World
from adapters.xmpp.xml import Xml, name_of
from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    Capabilities,
    ConfigError,
    Delivery,
    DeliveryState,
    Finding,
    GatewayError,
    Network,
    Outcome,
    Rate,
    StatusReport,
    Unavailable,
)

log = structlog.get_logger(__name__)

CLIENTS: Final = 20_000
DRAIN_SECONDS: Final = 5.0
GOODBYE_SECONDS: Final = 1.0
TOO_MANY: Final = BadStanza(
    Condition.RESOURCE_CONSTRAINT, "Too many of your messages wait; please send it again later."
)
OWN_FAULT: Final = BadStanza(Condition.INTERNAL_SERVER_ERROR, "The gateway met an error of its own.")


class XmppAdapter:
    """A component of one server: each ENS name is a contact under its domain."""

    name: ClassVar[Network] = Network("xmpp")
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    Settings: ClassVar[type[BaseModel]] = XmppSettings

    def __init__(self, settings: XmppSettings) -> None:
        self._settings = settings
        self._ids = Ids(settings.component)
        self._world: World | None = None
        self._held = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: LRUCache[tuple[str, str], Jid] = LRUCache(CLIENTS)
        """By which client a message was sent, by person and id."""
        self._link: Link
        self._pump: Pump
        self._owed: Owed
        self._asking: Asking
        self._inward: Inward
        self._outward: Outward
        self._answers: Answers
        self._rooms: Rooms
        self._rosters: Rosters
        self._contacts: Contacts

    @classmethod
    def registrations(cls, settings: XmppSettings, public_url: str) -> Mapping[str, str]:
        """The lines for the server's configuration; raises ConfigError when the secret cannot be read."""
        return registrations(settings, _secret(settings.secret_file))

    @classmethod
    async def examine(cls, settings: XmppSettings, public_url: str) -> Sequence[Finding]:
        """The server, the component's domain and its limits; see `Examines`. Raises ConfigError for the secret."""
        from adapters.xmpp.examination.examiner import examine_server

        return await examine_server(settings, public_url, await asyncio.to_thread(_secret, settings.secret_file))

    async def open(self, ctx: AdapterContext) -> None:
        """Read the secret and join the parts; raises ConfigError. The connection is made by `run`."""
        settings = self._settings
        secret = await asyncio.to_thread(_secret, settings.secret_file)
        self._link = Link(
            domain=settings.component,
            secret=secret,
            host=settings.host,
            port=settings.port,
            take=self._take,
            up=self._came_up,
        )
        self._pump = Pump(self._handle, self._link.pause, lambda element: self._refuse(element, TOO_MANY))
        self._owed = Owed(self._link, ctx)
        own_ids = OwnIds(ctx.secret(PURPOSE))
        world = World(settings, ctx, self._ids, self._link, Rate(settings.messages_per_minute), self._owed, own_ids)
        self._asking = Asking(self._link, self._ids)
        uploads = Uploads(self._asking, Jid("", settings.served[0]))
        unread = Unread(ctx.values)
        carrying = Carrying(uploads, settings.embed_bytes)
        self._inward = Inward(world, carrying, unread)
        self._rooms = Rooms(world, carrying)
        self._rosters = Rosters(self._asking)
        self._contacts = Contacts(world, self._rosters)
        self._outward = Outward(world, uploads, self._rooms, self._contacts, unread)
        self._answers = Answers(world, uploads, self._rooms, self._contacts)
        self._world = world

    async def reach(self) -> None:
        """See `ReportsReadiness`: the stream is up, or it is another node's to have it."""
        if self._held and not self._link.connected:
            raise LinkDown("the server does not answer")

    @property
    def elsewhere(self) -> bool:
        """True while another node has the connection, or nobody: then what is to be delivered waits untouched."""
        return not self._held or not self._link.connected

    @property
    def connected(self) -> bool:
        """True while the server is there."""
        return self._world is not None and self._link.connected

    async def run(self) -> None:
        """Keep the connection, on one node of all."""
        await self._opened().ctx.hold(f"component {self._settings.component}", self._linked)

    async def _linked(self) -> None:
        self._held = True
        self._rooms.forget()
        running = asyncio.create_task(self._link.run())
        try:
            await asyncio.wait({running})
            running.result()
        finally:
            await self._leave()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._held = False

    async def _leave(self) -> None:
        """Say goodbye, and answer everything that came before the server knew."""
        for task in self._tasks:
            task.cancel()
        if self._link.connected:
            await self._contacts.goodbye(GOODBYE_SECONDS)
        await self._link.close()
        await self._pump.drain(DRAIN_SECONDS)
        try:
            await self._owed.save()
        except Unavailable as error:
            log.warning("owed.lost", detail=error.detail)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send one message; it is delivered when the server has read it."""
        self._opened()
        return await self._outward.deliver(delivery)

    async def report(self, status: StatusReport) -> None:
        """Opened messages are marked as displayed, failed ones come back as errors; other news have no form."""
        world = self._opened()
        if status.native_id.partition(" ")[2]:
            return
        if self._ids.is_room(room := Jid.parse(status.sender)):
            if status.state is DeliveryState.OPENED:
                await self._rooms.opened(room, status.native_id)
            elif status.state is DeliveryState.FAILED and not status.automatic:
                await self._rooms.failed(room, status.native_id, status.reason)
            return
        person, contact = Jid.parse(status.sender), await world.contact(status.recipient)
        if status.state is DeliveryState.OPENED:
            way = Way(contact, person, f"{OWN_IDS}seen-{status.native_id}"[:200])
            await self._link.deliver(render.displayed(way, status.native_id))
        elif status.state is DeliveryState.FAILED and not status.automatic:
            await self._link.deliver(self._failed(status, contact, person))

    def _failed(self, status: StatusReport, contact: Jid, person: Jid) -> Xml:
        """The message comes back to the client that sent it; servers drop errors that are for no client."""
        client = self._clients.get((status.sender, status.native_id))
        if client is not None:
            fault = BadStanza(Condition.RECIPIENT_UNAVAILABLE, status.reason)
            return replies.bounced(contact, client, status.native_id, fault)
        words = f"Your message did not reach {status.recipient}: {status.reason}"
        way = Way(contact, person, f"{OWN_IDS}failed-{status.native_id}"[:200])
        return render.chat(Said(way=way, text=words, wants_receipt=False, markable=False))

    async def exists(self, canonical_id: CanonicalId) -> bool:
        """True for everybody of the server, because it tells nobody whom it knows, and bounces; and for rooms."""
        self._opened()
        try:
            jid = Jid.parse(canonical_id)
        except BadStanza:
            return False
        if self._ids.is_room(jid):
            return await self._rooms.exists(jid)
        return bool(jid.local) and jid.domain in self._settings.served

    async def close(self) -> None:
        """End what `run` left open; it has said goodbye and disconnected when it was cancelled."""
        world, self._world = self._world, None
        if world is not None:
            await self._leave()

    # --- what arrives ---------------------------------------------------------------------------------------------

    def _take(self, element: Element) -> None:
        """Answers at once, because who waits for them may have a place in the pump; everything else in turn."""
        if name_of(element)[1] == "iq" and element.get("type") in ("result", "error"):
            with suppress(BadStanza):
                answer = parse(element)
                if isinstance(answer, Answer):
                    self._asking.answered(answer)
            return
        self._pump.take(element)

    async def _handle(self, elements: list[Element]) -> None:
        """What waits of one pair of addresses, in order; words that follow each other are taken together."""
        run: list[tuple[Element, Chat]] = []
        for element in elements:
            stanza = self._read(element)
            if isinstance(stanza, Chat) and self._ids.is_contact(stanza.head.to) and alike(stanza):
                run.append((element, stanza))
                continue
            await self._together(run)
            run.clear()
            if stanza is not None:
                await self._one(element, stanza)
        await self._together(run)

    def _read(self, element: Element) -> Stanza | None:
        """None when it was refused."""
        try:
            stanza = parse(element)
            if stanza.head.sender.domain not in self._settings.served:
                raise BadStanza(Condition.FORBIDDEN, "People of your server may not use this gateway.")
        except BadStanza as fault:
            self._refuse(element, fault)
        except Exception:
            log.exception("stanza.failed")
            self._refuse(element, OWN_FAULT)
        else:
            return stanza
        return None

    async def _together(self, run: list[tuple[Element, Chat]]) -> None:
        if len(run) == 1:
            await self._one(*run[0])
        elif run:
            try:
                faults = await self._inward.several([chat for _, chat in run])
            except Exception:
                # One of them is at fault; what was taken is not taken twice.
                log.exception("stanzas.failed")
                for element, chat in run:
                    await self._one(element, chat)
                return
            for (element, chat), fault in zip(run, faults, strict=True):
                if fault is None:
                    self._remember(chat)
                else:
                    self._refuse(element, fault)

    async def _one(self, element: Element, stanza: Stanza) -> None:
        """What is wrong with it is told to its sender, and to nobody else."""
        try:
            await self._handled(stanza)
        except BadStanza as fault:
            self._refuse(element, fault)
        except LinkDown:
            log.info("stanza.unanswered")
        except GatewayError as error:
            log.warning("stanza.failed", error=type(error).__name__, detail=error.detail)
            self._refuse(element, BadStanza(Condition.REMOTE_SERVER_TIMEOUT, error.sentence))
        except Exception:
            # Those that wait behind it must not fall with it, and its sender must be told.
            log.exception("stanza.failed")
            self._refuse(element, OWN_FAULT)

    async def _handled(self, stanza: Stanza) -> None:
        match stanza:
            case Request():
                self._link.send(await self._answers.request(stanza))
            case Granted():
                self._rosters.granted(stanza)
            case _ if self._ids.is_room(stanza.head.to):
                await self._rooms.stanza(stanza)
            case Chat() if not stanza.head.to.local:
                await self._answers.command(stanza)
            case (
                Subscribe()
                | Subscribed()
                | Unsubscribe()
                | Unsubscribed()
                | Probe()
                | Available()
                | Gone()
                | PresenceError()
            ):
                await self._contacts.presence(stanza)
            case Enter():
                raise BadStanza(Condition.SERVICE_UNAVAILABLE, NO_ROOM)
            case Answer():
                # Never here: see `_take`.
                pass
            case _:
                if isinstance(stanza, Chat):
                    self._remember(stanza)
                await self._inward.message(stanza)

    def _remember(self, chat: Chat) -> None:
        if chat.head.id:
            self._clients[canonical(chat.head.sender), chat.head.id] = chat.head.sender

    def _refuse(self, element: Element, fault: BadStanza) -> None:
        log.info("stanza.refused", condition=fault.condition.value, text=fault.text)
        answer = replies.refusal(element, fault, self._ids)
        if answer is None:
            return
        if element.tag.endswith("}message"):
            self._owed.send(answer)
        elif self._link.connected:
            self._link.send(answer)

    def _came_up(self) -> None:
        task = asyncio.create_task(self._greet())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _greet(self) -> None:
        try:
            await self._owed.again()
        except Unavailable as error:
            log.info("owed.interrupted", error=type(error).__name__)
        await self._contacts.everybody()

    def _opened(self) -> World:
        if self._world is None:
            raise Unavailable("the XMPP adapter is not open")
        return self._world


def _secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not secret:
        raise ConfigError(f"{path}: holds no secret")
    return secret
