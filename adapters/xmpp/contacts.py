"""Contacts: who has which ENS name in their list, and what they see of it (RFC 6121, XEP-0100).

A contact is there whenever the gateway is: DM3 knows no presence, and a message can always be left.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from adapters.xmpp import presences
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid, canonical
from adapters.xmpp.link import LinkDown
from adapters.xmpp.presences import Here, Step
from adapters.xmpp.rosters import Rosters
from adapters.xmpp.services import disco, vcard
from adapters.xmpp.services.disco import Face
from adapters.xmpp.stanzas import Available, Presence, Probe, Subscribe, Unsubscribe, Unsubscribed
from adapters.xmpp.world import World
from gateway.sdk import EnsName, LimitExceeded, NotFound, Unavailable, Value

log = structlog.get_logger(__name__)

CONTACT: Final = "contact"
"""Values: who sees a contact's presence, by person and name; the component itself has no name."""
AT_ONCE: Final = 100
"""Presences between two looks at whether the server keeps up."""
SOFTWARE: Final = "https://dm3.network/gateway"
GATEWAY: Final = disco.component_face("DM3 gateway", "dm3-gateway", "0")
CONTACT_FACE: Final = disco.contact_face()


class Contacts:
    """Answers presence, and tells everybody when the gateway comes and goes."""

    def __init__(self, world: World, rosters: Rosters) -> None:
        self._world = world
        self._rosters = rosters

    async def presence(self, presence: Presence) -> None:
        """One presence of somebody. Raises BadStanza for what its sender has to be told."""
        head = presence.head
        try:
            self._world.rate.take(f"presence {head.sender.bare}")
        except LimitExceeded as error:
            raise BadStanza(Condition.RESOURCE_CONSTRAINT, error.sentence) from None
        match presence:
            case Subscribe():
                await self._subscribed(head.sender.bare, head.to.bare)
            case Unsubscribe():
                await self._forget(head.sender.bare, head.to.bare)
                self._world.link.send(presences.step(head.to.bare, head.sender.bare, Step.UNSUBSCRIBED))
                self._world.link.send(presences.unavailable(head.to.bare, head.sender.bare))
            case Unsubscribed():
                await self._forget(head.sender.bare, head.to.bare)
            case Probe():
                await self._probed(head.sender, head.to.bare)
            case Available() if head.to.resource == "":
                # Somebody came online and told us so: their server may not have asked.
                await self._probed(head.sender, head.to.bare)
            case _:
                pass

    async def everybody(self) -> None:
        """Tell all who may see it that their contacts are there; while the server keeps up."""
        after, sent = "", 0
        try:
            while page := await self._world.ctx.values.find(CONTACT, after=after, limit=500):
                for value in page:
                    person, _, name = value.key.partition(" ")
                    await self._show(Jid.parse(person), EnsName(name) if name else None)
                    sent += 1
                    if sent % AT_ONCE == 0:
                        await self._world.link.barrier()
                after = page[-1].key
        except (LinkDown, Unavailable) as error:
            log.info("presence.interrupted", sent=sent, error=type(error).__name__)

    async def goodbye(self, seconds: float) -> None:
        """Tell that they are gone, for at most some seconds."""
        try:
            async with asyncio.timeout(seconds):
                for value in await self._world.ctx.values.find(CONTACT, limit=1000):
                    person, _, name = value.key.partition(" ")
                    contact = self._world.ids.ghost(EnsName(name))[0] if name else self._world.ids.gateway
                    self._world.link.send(presences.unavailable(contact, Jid.parse(person)))
                await self._world.link.barrier()
        except (LinkDown, Unavailable, TimeoutError, BadStanza) as error:
            log.info("presence.no_goodbye", error=type(error).__name__)

    async def _subscribed(self, person: Jid, to: Jid) -> None:
        """Everybody may see every contact; the request is answered by one of our own, for messages both ways."""
        name = await self._name(to)
        if name is not None:
            try:
                await self._world.ctx.check_recipient(name)
            except NotFound as error:
                raise BadStanza(Condition.ITEM_NOT_FOUND, error.sentence) from None
            except Unavailable as error:
                raise BadStanza(Condition.REMOTE_SERVER_TIMEOUT, error.sentence) from None
        await self._world.ctx.values.put(Value(CONTACT, f"{canonical(person)} {name or ''}", "1"))
        link = self._world.link
        link.send(presences.step(to, person, Step.SUBSCRIBED))
        portrait = None if name is None else await self._world.portrait(name)
        nick = "" if name is None or portrait is None else vcard.called(name, portrait)
        if name is None or not await self._rosters.befriend(person, to, nick):
            link.send(presences.step(to, person, Step.SUBSCRIBE, nick=nick))
        await self._show(person, name)

    async def befriend(self, person: Jid, name: EnsName, contact: Jid, nick: str) -> bool:
        """Put a contact on somebody's list without asking them; False where the server does not let us."""
        if not await self._rosters.befriend(person, contact, nick):
            return False
        await self._world.ctx.values.put(Value(CONTACT, f"{canonical(person)} {name}", "1"))
        await self._show(person, name)
        return True

    async def _forget(self, person: Jid, to: Jid) -> None:
        name = await self._name(to)
        await self._world.ctx.values.put(Value(CONTACT, f"{canonical(person)} {name or ''}", None))

    async def _probed(self, person: Jid, to: Jid) -> None:
        """Only who was let in is told; and everybody was who asked."""
        name = await self._name(to)
        known = await self._world.ctx.values.get(CONTACT, f"{canonical(person)} {name or ''}")
        if known is None:
            return
        await self._show(person, name)

    async def _show(self, person: Jid, name: EnsName | None) -> None:
        if name is None:
            here = Here(nick="DM3 gateway", caps=disco.caps(GATEWAY, SOFTWARE))
            self._world.link.send(presences.available(self._world.ids.gateway, person, here))
            return
        portrait = await self._world.portrait(name)
        here = Here(
            nick=vcard.called(name, portrait),
            photo=vcard.photo_hash(portrait),
            caps=disco.caps(CONTACT_FACE, SOFTWARE),
        )
        self._world.link.send(presences.available(self._world.ids.ghost(name)[0], person, here))

    async def _name(self, to: Jid) -> EnsName | None:
        """The name behind an address, None for the component itself."""
        return None if to == self._world.ids.gateway else await self._world.name_of(to)


def face_of(to: Jid) -> Face:
    """What an address of ours can do."""
    return CONTACT_FACE if to.local else GATEWAY
