"""What a room says, as XML (XEP-0045)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.jids import Jid
from adapters.xmpp.rooms.room import Affiliation, Passed, Role, Room, role
from adapters.xmpp.stanzas import Show
from adapters.xmpp.times import stamp
from adapters.xmpp.xml import NOTHING, Xml, leaf, tag

ITSELF: Final = 110
"""Status codes of section 15.6.2: this presence is the recipient's own,"""
CHANGED: Final = 104
"""the settings of the room are others now,"""
CREATED: Final = 201
"""the room is new,"""
BANNED: Final = 301
RENAMED: Final = 303
KICKED: Final = 307
LOST: Final = 333
"""and the client did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An occupant, as others see them."""

    nick: str
    occupant: str
    """Stable for the room and the person (XEP-0421)."""
    affiliation: Affiliation = Affiliation.NONE
    jid: Jid | None = None
    """For those who may know it."""
    show: Show = Show.ONLINE
    status: str = ""


def presence(room: Room, to: Jid, shown: Shown, *codes: int) -> Xml:
    """Somebody is there."""
    item = _item(shown.affiliation, role(shown.affiliation), shown.jid)
    return tag(
        "presence",
        leaf("show", shown.show.value) if shown.show else NOTHING,
        leaf("status", shown.status) if shown.status else NOTHING,
        _user(item, codes),
        _occupant(shown.occupant),
        **_from(room, shown.nick, to),
    )


def absence(
    room: Room, to: Jid, shown: Shown, *codes: int, new_nick: str | None = None, reason: str = "", extra: Xml = NOTHING
) -> Xml:
    """Somebody is gone, or called otherwise from now on (section 7.6)."""
    item = _item(shown.affiliation, Role.NONE, shown.jid, nick=new_nick, reason=reason)
    return tag(
        "presence",
        _user(item, codes, extra),
        _occupant(shown.occupant),
        **_from(room, shown.nick, to),
        type="unavailable",
    )


def message(room: Room, to: Jid, passed: Passed, occupant: str, *, late: bool = False) -> Xml:
    """Something that was said; ``late`` when it was before the recipient came (section 7.2.13)."""
    return tag(
        "message",
        passed.xml,
        tag("stanza-id", xmlns=ns.IDS, by=str(room.jid), id=passed.id),
        _occupant(occupant) if passed.nick else NOTHING,
        tag("delay", xmlns=ns.DELAY, from_=str(room.jid), stamp=stamp(passed.at)) if late else NOTHING,
        **_from(room, passed.nick, to),
        id=passed.own_id,
        type="groupchat",
    )


def signal(room: Room, to: Jid, nick: str, own_id: str, xml: Xml) -> Xml:
    """Something that nobody keeps, such as that somebody types."""
    return tag("message", xml, **_from(room, nick, to), id=own_id or None, type="groupchat")


def subject(room: Room, to: Jid) -> Xml:
    """What the room is about; it is told to everybody who enters, also when it is nothing (section 7.2.15)."""
    known = room.subject
    delay = NOTHING if known is None else tag("delay", xmlns=ns.DELAY, from_=str(room.jid), stamp=stamp(known.at))
    return tag(
        "message",
        leaf("subject", "" if known is None else known.text),
        delay,
        **_from(room, "" if known is None else known.nick, to),
        type="groupchat",
    )


def settings_changed(room: Room, to: Jid) -> Xml:
    """Clients ask anew what the room is (section 10.2.1)."""
    return tag("message", _user(NOTHING, (CHANGED,)), **_from(room, "", to), type="groupchat")


def invitation(room: Room, to: Jid, inviter: Jid, reason: str) -> Xml:
    """From one who is there to one who is not (section 7.8.2), also in the form that older clients know (XEP-0249)."""
    words = leaf("reason", reason) if reason else NOTHING
    return tag(
        "message",
        tag("x", tag("invite", words, from_=str(inviter)), xmlns=ns.MUC_USER),
        tag("x", xmlns=ns.CONFERENCE, jid=str(room.jid), reason=reason or None),
        **_from(room, "", to),
    )


def destroyed(alternative: Jid | None, reason: str) -> Xml:
    """Why everybody is gone (section 10.9)."""
    words = leaf("reason", reason) if reason else NOTHING
    return tag("destroy", words, jid=None if alternative is None else str(alternative))


def listed(people: Iterable[tuple[str, Affiliation]]) -> Xml:
    """People with an affiliation (section 9.5)."""
    return tag("query", *(tag("item", jid=jid, affiliation=each.value) for jid, each in people), xmlns=ns.MUC_ADMIN)


def _from(room: Room, nick: str, to: Jid) -> dict[str, str]:
    return {"from_": str(replace(room.jid, resource=nick)), "to": str(to)}


def _item(affiliation: Affiliation, role: Role, jid: Jid | None, nick: str | None = None, reason: str = "") -> Xml:
    words = leaf("reason", reason) if reason else NOTHING
    known = None if jid is None else str(jid)
    return tag("item", words, affiliation=affiliation.value, role=role.value, jid=known, nick=nick)


def _user(item: Xml, codes: Iterable[int], extra: Xml = NOTHING) -> Xml:
    return tag("x", item, extra, *(tag("status", code=each) for each in codes), xmlns=ns.MUC_USER)


def _occupant(id: str) -> Xml:
    return tag("occupant-id", xmlns=ns.OCCUPANT, id=id)
