"""What the parts of the adapter share while it is open."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.xmpp.jids import Ids, Jid
from adapters.xmpp.link import Link
from adapters.xmpp.owed import Owed
from adapters.xmpp.own_ids import OwnIds
from adapters.xmpp.settings import XmppSettings
from gateway.sdk import AdapterContext, EnsName, Portrait, Rate, Unavailable, UnknownName


@dataclass(frozen=True, slots=True)
class World:
    """One component, and our side of it."""

    settings: XmppSettings
    ctx: AdapterContext
    ids: Ids
    link: Link
    rate: Rate
    """Of each kind of stanza, by person."""
    owed: Owed
    own_ids: OwnIds

    async def name_of(self, jid: Jid) -> EnsName:
        """The name that a contact stands for. Raises BadStanza, and UnknownName for a digest that nobody was given."""
        named = self.ids.named_by(jid)
        if isinstance(named, str):
            return named
        target = await self.ctx.alias_target(named.text)
        if target is None:
            raise UnknownName("nobody was given this address")
        return EnsName(target)

    async def contact(self, name: EnsName) -> Jid:
        """The contact of a name; a digest is kept, so that it can be read back."""
        jid, digest = self.ids.ghost(name)
        if digest:
            await self.ctx.put_alias(jid.local, name)
        return jid

    async def portrait(self, name: EnsName) -> Portrait:
        """What a name shows; nothing while that cannot be found out."""
        try:
            return await self.ctx.portrait(name)
        except Unavailable:
            return Portrait()
