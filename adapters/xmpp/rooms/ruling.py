"""What owners and moderators decide in a room (XEP-0045, sections 8 to 10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid, canonical
from adapters.xmpp.rooms import markup
from adapters.xmpp.rooms.entering import Entering
from adapters.xmpp.rooms.markup import BANNED, KICKED
from adapters.xmpp.rooms.room import RULING, Affiliation, Role, Room
from adapters.xmpp.rooms.shelf import Shelf
from adapters.xmpp.rooms.table import Table
from adapters.xmpp.services import forms
from adapters.xmpp.services.forms import Field, Form
from adapters.xmpp.stanzas import Invite, Kind, Request
from adapters.xmpp.world import World
from adapters.xmpp.xml import NOTHING, Xml, attribute, child, children, cut_text_of, tag
from gateway.sdk import EnsName

MAX_ITEMS: Final = 50
MAX_TITLE: Final = 100
MAX_REASON: Final = 500
TITLE: Final = "muc#roomconfig_roomname"
MEMBERS_ONLY: Final = "muc#roomconfig_membersonly"
NOT_YOURS: Final = "Only the room's owners and admins may do this."


@dataclass(frozen=True, slots=True)
class Decision:
    """One change that a moderator wants."""

    nick: str
    jid: Jid | None
    role: str
    affiliation: str
    reason: str


class Ruling:
    """Handles requests about rooms. The table's lock is held by the caller."""

    def __init__(self, world: World, shelf: Shelf, entering: Entering) -> None:
        self._world = world
        self._shelf = shelf
        self._entering = entering

    async def admin(self, table: Table, request: Request) -> Xml:
        """``muc#admin``: who is what, and changes of that. Raises BadStanza."""
        person = canonical(request.head.sender)
        if not table.room.rules(person):
            raise BadStanza(Condition.FORBIDDEN, NOT_YOURS)
        items = children(request.payload, ns.MUC_ADMIN, "item")
        if not 0 < len(items) <= MAX_ITEMS:
            raise BadStanza(Condition.BAD_REQUEST, f"A request names 1 to {MAX_ITEMS} people.")
        decisions = [_decision(each) for each in items]
        if request.kind is Kind.GET:
            return self._listed(table, decisions[0])
        for each in decisions:
            await self._decide(table, person, each)
        return NOTHING

    async def owner(self, table: Table, request: Request) -> Xml | None:
        """``muc#owner``: the settings, and the end of a room: then None. Raises BadStanza."""
        if table.room.affiliation(canonical(request.head.sender)) is not Affiliation.OWNER:
            raise BadStanza(Condition.FORBIDDEN, "Only the room's owners may do this.")
        if request.kind is Kind.GET:
            return tag("query", forms.form(_settings(table.room)), xmlns=ns.MUC_OWNER)
        end = child(request.payload, ns.MUC_OWNER, "destroy")
        if end is not None:
            reason = cut_text_of(child(end, ns.MUC_OWNER, "reason"), MAX_REASON)
            self._entering.destroy(table, markup.destroyed(None, reason))
            await self._shelf.drop(table.room)
            table.clear()
            return None
        filled = forms.read_form(request.payload)
        if filled is not None and not filled.cancelled:
            title = filled.first(TITLE)[:MAX_TITLE] if filled.values(TITLE) else table.room.title
            closed = filled.is_on(MEMBERS_ONLY) if filled.values(MEMBERS_ONLY) else table.room.members_only
            changed = replace(table.room, title=title, members_only=closed)
            if changed != table.room:
                await table.put(changed)
                table.all(markup.settings_changed)
        return NOTHING

    async def invite(self, table: Table, invite: Invite) -> None:
        """Somebody who is there invites others; into a room of members only moderators do. Raises BadStanza."""
        inviter = invite.head.sender
        if table.seat(inviter) is None:
            raise BadStanza(Condition.NOT_ACCEPTABLE, "Only who is in the room invites others.")
        if not invite.guests:
            raise BadStanza(Condition.BAD_REQUEST, "The invitation is to nobody.")
        closed = table.room.members_only
        if closed and not table.room.rules(canonical(inviter)):
            raise BadStanza(Condition.FORBIDDEN, NOT_YOURS)
        for guest in invite.guests:
            if guest.domain not in self._world.settings.served:
                raise BadStanza(Condition.NOT_ACCEPTABLE, f"{guest} may not use this gateway.")
            person = canonical(guest)
            if closed and table.room.affiliation(person) is Affiliation.NONE:
                await table.put(table.room.with_affiliation(person, Affiliation.MEMBER))
            self._world.link.send(markup.invitation(table.room, guest, inviter.bare, invite.reason))

    def _listed(self, table: Table, wanted: Decision) -> Xml:
        try:
            affiliation = Affiliation(wanted.affiliation)
        except ValueError:
            raise BadStanza(Condition.FEATURE_NOT_IMPLEMENTED, "People are listed by their affiliation.") from None
        people = [(jid, each) for jid, each in table.room.affiliations.items() if each is affiliation]
        return markup.listed(people)

    async def _decide(self, table: Table, person: str, decision: Decision) -> None:
        if decision.role:
            await self._kick(table, decision)
            return
        if decision.jid is None:
            raise BadStanza(Condition.BAD_REQUEST, "Whose affiliation?")
        try:
            affiliation = Affiliation(decision.affiliation)
        except ValueError:
            raise BadStanza(Condition.BAD_REQUEST, "There is no such affiliation.") from None
        whom = canonical(decision.jid)
        # Admins decide about those who are less than they are (section 9.7).
        high = affiliation in RULING or table.room.rules(whom)
        if high and table.room.affiliation(person) is not Affiliation.OWNER:
            raise BadStanza(Condition.NOT_ALLOWED, "Only the room's owners decide about owners and admins.")
        changed = table.room.with_affiliation(whom, affiliation)
        seats = table.of_person(decision.jid)
        out = affiliation is Affiliation.OUTCAST or (changed.members_only and affiliation is Affiliation.NONE)
        await table.put(changed)
        if out:
            await self._entering.expel(table, seats, BANNED, decision.reason)
            await self._shelf.expel(table.room.jid, whom)
        else:
            self._entering.show(table, seats)

    async def _kick(self, table: Table, decision: Decision) -> None:
        if decision.role != Role.NONE:
            raise BadStanza(Condition.FEATURE_NOT_IMPLEMENTED, "Roles follow from affiliations here.")
        if table.is_names(decision.nick):
            raise BadStanza(Condition.NOT_ALLOWED, "The room is there to talk with this name.")
        seats = table.called(decision.nick)
        if not seats:
            raise BadStanza(Condition.ITEM_NOT_FOUND, "Nobody here has this nick.")
        if table.room.rules(canonical(seats[0].client)):
            raise BadStanza(Condition.NOT_ALLOWED, "Owners and admins cannot be sent out.")
        await self._entering.expel(table, seats, KICKED, decision.reason)


def _decision(item: Element) -> Decision:
    jid = attribute(item, "jid")
    return Decision(
        attribute(item, "nick"),
        Jid.parse(jid).bare if jid else None,
        attribute(item, "role", 50),
        attribute(item, "affiliation", 50),
        cut_text_of(child(item, ns.MUC_ADMIN, "reason"), MAX_REASON),
    )


def _settings(room: Room) -> Form:
    return Form(
        (
            forms.hidden_type(ns.MUC_CONFIG),
            Field(TITLE, (room.title,), "text-single", "Name of the room"),
            Field(MEMBERS_ONLY, ("1" if room.members_only else "0",), "boolean", "Only members may enter"),
        ),
        title=f"Room {room.jid}",
    )


def founded(jid: Jid, name: EnsName, contact: Jid, founder: str) -> Room:
    """A new room."""
    return Room(jid, name, contact, affiliations={founder: Affiliation.OWNER})
