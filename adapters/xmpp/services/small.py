"""Small requests: version, time, ping (XEP-0092, XEP-0202, XEP-0199), and the list of who is blocked (XEP-0191)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.times import stamp
from adapters.xmpp.xml import Xml, attribute, children, leaf, name_of, tag

MAX_BLOCKED: Final = 200
"""Addresses of one request."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? The answer is an empty result."""


@dataclass(frozen=True, slots=True)
class VersionAsked:
    """Which software are you?"""


@dataclass(frozen=True, slots=True)
class TimeAsked:
    """What time is it for you?"""


@dataclass(frozen=True, slots=True)
class BlocklistAsked:
    """Whom do I block?"""


@dataclass(frozen=True, slots=True)
class Block:
    """Block these."""

    jids: tuple[Jid, ...]


@dataclass(frozen=True, slots=True)
class Unblock:
    """Block these no more; all, when none is named (section 3.5)."""

    jids: tuple[Jid, ...]


def read_ping(request: Request) -> Ping:
    """Raises BadStanza for a set."""
    _only_get(request)
    return Ping()


def read_version(request: Request) -> VersionAsked:
    """Raises BadStanza for a set."""
    _only_get(request)
    return VersionAsked()


def read_time(request: Request) -> TimeAsked:
    """Raises BadStanza for a set."""
    _only_get(request)
    return TimeAsked()


def read_blocking(request: Request) -> BlocklistAsked | Block | Unblock:
    """Raises BadStanza for the wrong kind, an address that is none, and a request to block nobody (section 3.4)."""
    name = name_of(request.payload)[1]
    if (request.kind is Kind.GET) != (name == "blocklist"):
        raise BadStanza(Condition.BAD_REQUEST, "The list is read by get, and changed by set.")
    if name == "blocklist":
        return BlocklistAsked()
    jids = _jids(request.payload)
    if name == "unblock":
        return Unblock(jids)
    if not jids:
        raise BadStanza(Condition.BAD_REQUEST, "There is nobody to block in this request.")
    return Block(jids)


def version(name: str, number: str) -> Xml:
    """The answer to `VersionAsked`; the operating system is nobody's business (XEP-0092, section 4)."""
    return tag("query", leaf("name", name), leaf("version", number), xmlns=ns.VERSION)


def time(now_ms: int) -> Xml:
    """The answer to `TimeAsked`: milliseconds since the epoch, as UTC."""
    return tag("time", leaf("tzo", "+00:00"), leaf("utc", stamp(now_ms)), xmlns=ns.TIME)


def blocklist(jids: Iterable[Jid]) -> Xml:
    """The answer to `BlocklistAsked`."""
    return tag("blocklist", *(tag("item", jid=str(each)) for each in jids), xmlns=ns.BLOCKING)


def _only_get(request: Request) -> None:
    if request.kind is not Kind.GET:
        raise BadStanza(Condition.BAD_REQUEST, "This is asked by get.")


def _jids(element: Element) -> tuple[Jid, ...]:
    found = children(element, ns.BLOCKING, "item")
    if len(found) > MAX_BLOCKED:
        raise BadStanza(Condition.NOT_ACCEPTABLE, f"At most {MAX_BLOCKED} addresses are taken at once.")
    return tuple(dict.fromkeys(Jid.parse(attribute(each, "jid")) for each in found))
