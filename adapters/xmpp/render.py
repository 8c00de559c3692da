"""Messages as XML. Every function gives one whole stanza for the component's stream, without a namespace of its own.

Texts may hold anything: what XML has no form for is taken out before offsets are counted. Nothing is cut that a person
wrote: whether a stanza is small enough, `xml.well_formed` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.fallback import indication
from adapters.xmpp.files import out_of_band, sharing
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import ChatState, RemoteFile
from adapters.xmpp.times import stamp
from adapters.xmpp.xml import NOTHING, Xml, clean, join, leaf, tag

QUOTED_LINES: Final = 5
QUOTED_CHARACTERS: Final = 300
"""Of the message that a reply is about; clients that know replies show all of it themselves."""
_STORE: Final = tag("store", xmlns=ns.HINTS)


@dataclass(frozen=True, slots=True)
class Way:
    """From whom to whom, under which id: the same id over every attempt, so that a repeat is known as one."""

    sender: Jid
    to: Jid
    id: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a message, whoever it goes to, and the id under which it goes."""

    id: str
    xml: Xml = field(repr=False)


@dataclass(frozen=True, slots=True)
class Quote:
    """The message that is answered (XEP-0461)."""

    id: str
    author: Jid | None = None
    text: str = field(default="", repr=False)
    """What it said, for clients that do not know replies; empty for no fallback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What somebody says to a person of this network."""

    way: Way
    text: str = field(default="", repr=False)
    files: tuple[RemoteFile, ...] = ()
    """Clients show a file in its place only where it is alone and there is no text."""
    reply: Quote | None = None
    replaces: str = ""
    """Id of the message that this one corrects (XEP-0308): the first one, also for a second correction."""
    sent_at: int | None = None
    """Milliseconds since the epoch, for what was held up (XEP-0203)."""
    nick: str = ""
    """Name of the sender for people (XEP-0172); for the first message to somebody who may not know them."""
    wants_receipt: bool = True
    markable: bool = True


def chat(said: Said) -> Xml:
    """A message with everything that belongs to it."""
    return message(said.way, chat_content(said))


def chat_content(said: Said) -> Xml:
    """What is in such a message."""
    quote = _quote(said.reply)
    text = clean(said.text)
    urls = "\n".join(clean(each.url) for each in said.files)
    before = quote + text + ("\n" if text and urls else "")
    parts = [leaf("body", before + urls)]
    if said.reply is not None:
        parts.append(tag("reply", xmlns=ns.REPLY, to=_text(said.reply.author), id=said.reply.id))
        if quote:
            parts.append(indication(ns.REPLY, 0, len(quote)))
    if urls:
        parts += [out_of_band(each) for each in said.files]
        parts += [sharing(each) for each in said.files]
        begin = len(quote + text)
        parts.append(indication(ns.FILE_SHARING, begin, len(before + urls)))
    if said.replaces:
        parts.append(tag("replace", xmlns=ns.CORRECTION, id=said.replaces))
    if said.nick:
        parts.append(leaf("nick", said.nick, xmlns=ns.NICK))
    if said.sent_at is not None:
        parts.append(tag("delay", xmlns=ns.DELAY, from_=said.way.sender.domain, stamp=stamp(said.sent_at)))
    if said.wants_receipt:
        parts.append(tag("request", xmlns=ns.RECEIPTS))
    if said.markable:
        parts.append(tag("markable", xmlns=ns.MARKERS))
    # A message ends the typing before it, for clients that show a state until the next one (XEP-0085, section 5.2).
    parts.append(tag("active", xmlns=ns.CHAT_STATES))
    return join(*parts)


def retraction(way: Way, about: str, *, text: str) -> Xml:
    """Take a message back (XEP-0424); ``text`` is read in clients that do not know how."""
    return message(way, retraction_content(about, text=text))


def retraction_content(about: str, *, text: str) -> Xml:
    """What is in such a message."""
    return join(
        tag("retract", xmlns=ns.RETRACTION, id=about),
        indication(ns.RETRACTION),
        leaf("body", text),
        _STORE,
    )


def reactions(way: Way, about: str, emojis: Sequence[str], *, text: str = "") -> Xml:
    """All reactions of the sender to a message (XEP-0444); ``text`` is read in clients that do not know them."""
    return message(way, reactions_content(about, emojis, text=text))


def reactions_content(about: str, emojis: Sequence[str], *, text: str = "") -> Xml:
    """What is in such a message."""
    given = (leaf("reaction", each) for each in emojis)
    fallback = join(leaf("body", text), indication(ns.REACTIONS)) if text else NOTHING
    return join(tag("reactions", *given, xmlns=ns.REACTIONS, id=about), fallback, _STORE)


def receipt(way: Way, about: str) -> Xml:
    """The message has arrived (XEP-0184); stored for a client that is away, because no other comes."""
    return message(way, join(tag("received", xmlns=ns.RECEIPTS, id=about), _STORE), origin=False)


def displayed(way: Way, about: str) -> Xml:
    """The message was seen (XEP-0333)."""
    return message(way, displayed_content(about), origin=False)


def displayed_content(about: str) -> Xml:
    """What is in such a message."""
    return join(tag("displayed", xmlns=ns.MARKERS, id=about), _STORE)


def typing(way: Way, state: ChatState) -> Xml:
    """A chat state alone (XEP-0085), which nobody stores."""
    return message(way, join(tag(state.value, xmlns=ns.CHAT_STATES), tag("no-store", xmlns=ns.HINTS)), origin=False)


def event(way: Way, node: str, item: Xml) -> Xml:
    """Tell about a new item of a node of the sender's (XEP-0163, section 4.3)."""
    return tag(
        "message",
        tag("event", tag("items", item, node=node), xmlns=ns.PUBSUB_EVENT),
        **_address(way),
        type="headline",
    )


def message(way: Way, content: Xml, *, origin: bool = True, kind: str = "chat") -> Xml:
    """A message of type ``kind``; with an id of its sender's own (XEP-0359), unless it is only a signal."""
    own = tag("origin-id", xmlns=ns.IDS, id=way.id) if origin else NOTHING
    return tag("message", content, own, **_address(way), type=kind)


def _address(way: Way) -> dict[str, str]:
    return {"from_": str(way.sender), "to": str(way.to), "id": way.id}


def _text(jid: Jid | None) -> str | None:
    return None if jid is None else str(jid)


def _quote(reply: Quote | None) -> str:
    """The lines before a reply that quote what it is about, with the line end behind them."""
    if reply is None or not reply.text.strip():
        return ""
    whole = clean(reply.text).strip()
    lines = whole[:QUOTED_CHARACTERS].split("\n")
    kept = lines[:QUOTED_LINES]
    if len(lines) > QUOTED_LINES or len(whole) > QUOTED_CHARACTERS:
        kept[-1] += "…"
    return "".join(f"> {line}\n" for line in kept)
