"""Stanzas of strangers: as text, and as trees that are put together from names that the protocols know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from adapters.xmpp import namespaces as ns
from adapters.xmpp import parse as stanzas
from adapters.xmpp.elements import StreamParser
from adapters.xmpp.errors import BadStanza
from adapters.xmpp.escaping import escaped, unescaped
from adapters.xmpp.jids import Ids, Jid, canonical
from adapters.xmpp.replies import refusal
from adapters.xmpp.services import adhoc, disco, forms, requests, vcard
from adapters.xmpp.services.upload import read_limit, read_slot
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.times import read_stamp
from adapters.xmpp.xml import copied, well_formed
from tests.fuzz.target import Target, each, text_of

IDS = Ids("dm3.example")
NAMESPACES = (
    *(
        ns.CLIENT,
        ns.ROSTER,
        ns.DATA_FORM,
        ns.DISCO_INFO,
        ns.DISCO_ITEMS,
        ns.MUC,
        ns.MUC_USER,
        ns.MUC_ADMIN,
        ns.MUC_OWNER,
    ),
    *(
        ns.CONFERENCE,
        ns.COMMANDS,
        ns.VCARD_TEMP,
        ns.VCARD_UPDATE,
        ns.VCARD4,
        ns.SEARCH,
        ns.PUBSUB,
        ns.PUBSUB_EVENT,
        ns.OOB,
    ),
    *(
        ns.REGISTER,
        ns.AVATAR_METADATA,
        ns.CHAT_STATES,
        ns.VERSION,
        ns.GATEWAY,
        ns.CAPS,
        ns.NICK,
        ns.RECEIPTS,
        ns.BLOCKING,
    ),
    *(ns.PING, ns.TIME, ns.DELAY, ns.CORRECTION, ns.MARKERS, ns.HINTS, ns.IDS, ns.UPLOAD, ns.ENCRYPTION, ns.FASTEN),
    *(
        ns.RETRACTION_0,
        ns.RETRACTION,
        ns.FALLBACK,
        ns.REACTIONS,
        ns.FILE_METADATA,
        ns.FILE_SHARING,
        ns.URL_DATA,
        ns.REPLY,
    ),
    *(*ns.PRIVILEGES, ns.ERRORS, "urn:a}b", ""),
)
NAMES = (
    *(
        "body",
        "subject",
        "thread",
        "x",
        "query",
        "item",
        "field",
        "value",
        "error",
        "text",
        "show",
        "status",
        "priority",
    ),
    *(
        "delay",
        "received",
        "displayed",
        "active",
        "composing",
        "replace",
        "reactions",
        "reaction",
        "retract",
        "apply-to",
    ),
    *(
        "reply",
        "fallback",
        "file-sharing",
        "file",
        "name",
        "size",
        "media-type",
        "sources",
        "url-data",
        "url",
        "encryption",
    ),
    *("command", "invite", "reason", "destroy", "history", "password", "privilege", "perm", "vCard", "pubsub", "items"),
    *(
        "slot",
        "put",
        "get",
        "header",
        "remove",
        "block",
        "unblock",
        "ping",
        "time",
        "prompt",
        "first",
        "c",
        "nick",
        "photo",
    ),
)
ATTRIBUTES = (
    "type",
    "id",
    "from",
    "to",
    "var",
    "for",
    "node",
    "action",
    "sessionid",
    "target",
    "url",
    "start",
    "end",
    "jid",
    "code",
    "stamp",
    "affiliation",
    "role",
    "maxchars",
    "name",
    "ver",
    "hash",
    "access",
)
VALUES = (
    *(
        "",
        "get",
        "set",
        "result",
        "error",
        "chat",
        "groupchat",
        "headline",
        "normal",
        "subscribe",
        "unavailable",
        "probe",
    ),
    *(
        "submit",
        "cancel",
        "form",
        "execute",
        "1",
        "-1",
        "99999999999",
        "true",
        "bob@example.org/r",
        "alice.eth@dm3.example",
    ),
    *(
        "dm3.example",
        "team+alice.eth@dm3.example",
        "@",
        "a" * 1100,
        "\U0001f44d",
        "https://a.example/f?x=1",
        "2026-01-31T12:00:00Z",
    ),
    *(ns.DATA_FORM, ns.REPLY, ns.DISCO_INFO, "owner", "outgoing"),
)


class _Tree:
    """Elements by bytes: each byte picks what comes next."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self._left = 60

    def next(self, bound: int) -> int:
        return next(self._data, 0) % bound

    def element(self, name: str, namespace: str, depth: int = 6) -> Element:
        found = Element(f"{{{namespace}}}{name}")
        for _ in range(self.next(5)):
            found.set(ATTRIBUTES[self.next(len(ATTRIBUTES))], VALUES[self.next(len(VALUES))])
        if self.next(3):
            found.text = VALUES[self.next(len(VALUES))]
        for _ in range(self.next(5) if depth else 0):
            self._left -= 1
            if self._left < 0:
                break
            inner = NAMESPACES[self.next(len(NAMESPACES))] if self.next(4) else namespace
            found.append(self.element(NAMES[self.next(len(NAMES))], inner, depth - 1))
        return found


def tree(data: bytes) -> None:
    """A stanza that is put together; always with people at both ends, so that what is inside is read."""
    made = _Tree(data)
    element = made.element(("message", "presence", "iq")[made.next(3)], ns.COMPONENT)
    element.set("from", "bob@example.org/r" if made.next(8) else VALUES[made.next(len(VALUES))])
    element.set("to", "alice.eth@dm3.example" if made.next(8) else VALUES[made.next(len(VALUES))])
    read(element)


def text(data: bytes) -> None:
    """A stanza as it stands on the wire."""
    found = text_of(data)
    if not well_formed(found):
        return
    parser = StreamParser()
    parser.feed(found.encode())
    read([element for _, element in parser.read_events()][-1])


def stream(data: bytes) -> None:
    """The same elements in any pieces, and those of the standard library where that one reads on."""
    cut = data[0] % 40 + 1 if data else 1
    pieces = [data[begin : begin + cut] for begin in range(1, len(data), cut)]
    found = _read_stream(StreamParser(), pieces)
    assert found == _read_stream(StreamParser(), [data[1:]])
    if not any("}" in name.rpartition("}")[0] for name in found):
        other = _read_stream(XMLPullParser(("start", "end")), [data[1:]])
        assert found[: len(other)] == other


def _read_stream(parser: StreamParser | XMLPullParser[Element], pieces: list[bytes]) -> list[str]:
    found: list[str] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            events: Iterator[Any] = parser.read_events()
            for kind, element in events:
                found.append(f"{kind} {element.tag} {sorted(element.attrib)}")
    except ParseError:
        pass
    return found


def read(element: Element) -> None:
    """Read it by the doors that a stanza goes through; whatever refuses it, its sender can be told."""
    assert well_formed(_copy(element))
    try:
        stanza = stanzas.parse(element)
    except BadStanza as fault:
        answer = refusal(element, fault, IDS)
        assert answer is None or well_formed(answer)
        return
    if isinstance(stanza, Request):
        readers = (requests.read, adhoc.read, disco.read, vcard.read, vcard.read_items)
        for reader in readers if stanza.kind in Kind else ():
            try:
                reader(stanza)
            except BadStanza as fault:
                assert (answer := refusal(element, fault, IDS)) is None or well_formed(answer)
    for reader_of in (read_slot, read_limit, forms.read_form):
        try:
            reader_of(element)
        except BadStanza:
            continue


def _copy(element: Element) -> str:
    try:
        return copied(element, "")
    except BadStanza:
        return "<too-deep/>"


def address(data: bytes) -> None:
    """An address is written as it was read, and stands for one person, or one name, at most."""
    jid = Jid.parse(text_of(data))
    assert Jid.parse(str(jid)) == jid
    for reads in (canonical, IDS.named_by, IDS.room):
        try:
            reads(jid)
        except BadStanza:
            continue


def escape(data: bytes) -> None:
    """Both ways (XEP-0106)."""
    found = text_of(data)
    assert unescaped(escaped(found)) == found
    read_stamp(found)


_OPEN = b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"
_STANZAS = (
    (
        f"<message xmlns='{ns.COMPONENT}' type='chat' id='1' from='bob@example.org/r' "
        f"to='alice.eth@dm3.example'><body>Hi</body>"
        f"<reply xmlns='{ns.REPLY}' id='2' to='a@b'/><fallback xmlns='{ns.FALLBACK}' for='{ns.REPLY}'><body "
        f"start='0' end='1'/>"
        f"</fallback><x xmlns='{ns.OOB}'><url>https://a.example/f</url></x></message>"
    ),
    (
        f"<presence xmlns='{ns.COMPONENT}' from='bob@example.org/r' to='team+a.eth@dm3.example/n'><x xmlns='{ns.MUC}'/>"
        "<show>away</show><priority>1</priority></presence>"
    ),
    (
        f"<iq xmlns='{ns.COMPONENT}' type='set' id='1' from='bob@example.org/r' to='dm3.example'><command "
        f"xmlns='{ns.COMMANDS}'"
        f" node='help'><x xmlns='{ns.DATA_FORM}' type='submit'><field var='a'><value/></field></x></command></iq>"
    ),
)
_WORDS = (
    *(f"xmlns='{name}'" for name in NAMESPACES),
    *(f"<{name}" for name in NAMES),
    "/>",
    "='",
    "&#1;",
    "&amp;",
    "<![CDATA[",
)

TARGETS = (
    Target("stanza-tree", tree, (bytes(range(200)), bytes(range(255, 40, -1)), b"\0\1\2" * 40), max_bytes=600),
    Target("xmpp-stream", stream, tuple(b"\7" + _OPEN + one.encode() for one in _STANZAS), _WORDS),
    Target("stanza-text", text, each(*_STANZAS), _WORDS),
    Target(
        "jid",
        address,
        each("bob@Example.org/r", "team+alice.eth@dm3.example", "xn--ls8h.eth@dm3.example"),
        ("@", "/", "+", "."),
        (BadStanza,),
        3200,
    ),
    Target("jid-escape", escape, each("a\\20b\\5c40", "2026-01-31T12:00:00.123+01:00"), ("\\20", "\\5c", " ", "\\")),
)
