"""Presence as XML (RFC 6121, sections 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from adapters.xmpp import namespaces as ns
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import Show
from adapters.xmpp.xml import NOTHING, Xml, leaf, tag


class Step(StrEnum):
    """Steps of contact requests, and questions for presence; they are between bare JIDs."""

    SUBSCRIBE = "subscribe"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBE = "unsubscribe"
    UNSUBSCRIBED = "unsubscribed"
    PROBE = "probe"


def step(sender: Jid, to: Jid, kind: Step, *, status: str = "", nick: str = "") -> Xml:
    """A step; a request may say something and introduce its sender (XEP-0172, section 4.1)."""
    return tag("presence", _status(status), _nick(nick), **_address(sender, to), type=kind.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """How a contact, or the component, is shown."""

    show: Show = Show.ONLINE
    status: str = ""
    nick: str = ""
    photo: str | None = None
    """SHA-1 of the picture in hex (XEP-0153, section 4.2): empty for none, None while it is not known."""
    caps: Xml = NOTHING
    """What can be asked of it (`services.disco.caps`)."""


def available(sender: Jid, to: Jid, here: Here) -> Xml:
    """Somebody is there."""
    show = leaf("show", here.show.value) if here.show else NOTHING
    update = NOTHING
    if here.photo is not None:
        update = tag("x", leaf("photo", here.photo), xmlns=ns.VCARD_UPDATE)
    return tag("presence", show, _status(here.status), _nick(here.nick), update, here.caps, **_address(sender, to))


def unavailable(sender: Jid, to: Jid, *, status: str = "") -> Xml:
    """Somebody is gone."""
    return tag("presence", _status(status), **_address(sender, to), type="unavailable")


def _address(sender: Jid, to: Jid) -> dict[str, str]:
    return {"from_": str(sender), "to": str(to)}


def _status(status: str) -> Xml:
    return leaf("status", status) if status else NOTHING


def _nick(nick: str) -> Xml:
    return leaf("nick", nick, xmlns=ns.NICK) if nick else NOTHING
