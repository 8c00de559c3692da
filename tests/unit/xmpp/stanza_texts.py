"""Stanzas written as XML and read as the stream would hand them over, and random ones for properties."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hypothesis import strategies as st

from adapters.xmpp import namespaces as ns
from adapters.xmpp.jids import Ids, Jid
from adapters.xmpp.parse import parse_iq
from adapters.xmpp.stanzas import Request
from adapters.xmpp.xml import LANG, Xml

IDS = Ids("dm3.example")
BOB = Jid("bob", "example.org", "phone")
ALICE = Jid("alice.eth", "dm3.example")
ADDRESSES = 'from="bob@example.org/phone" to="alice.eth@dm3.example" id="m1"'


def element(text: str) -> Element:
    """One stanza within a component's stream."""
    return ElementTree.fromstring(f'<stream xmlns="{ns.COMPONENT}">{text}</stream>')[0]


def message(inside: str, kind: str = "chat") -> Element:
    """A message of Bob's to Alice."""
    return element(f'<message {ADDRESSES} type="{kind}">{inside}</message>')


def request(payload: str, kind: str = "get", to: str = "dm3.example") -> Request:
    """A request of Bob's."""
    read = parse_iq(element(f'<iq from="bob@example.org/phone" to="{to}" id="q1" type="{kind}">{payload}</iq>'))
    assert isinstance(read, Request)
    return read


def made(xml: Xml | None) -> Element:
    """What we wrote, read again."""
    assert xml is not None
    return element(xml)


_NAMES = {
    ns.COMPONENT: "message presence iq body subject error text status show thread",
    ns.ERRORS: "bad-request text gone made-up",
    ns.DATA_FORM: "x field value reported item",
    ns.REPLY: "reply",
    ns.FALLBACK: "fallback body subject",
    ns.CORRECTION: "replace",
    ns.RETRACTION: "retract",
    ns.RETRACTION_0: "retract",
    ns.FASTEN: "apply-to",
    ns.REACTIONS: "reactions reaction",
    ns.MARKERS: "markable displayed received",
    ns.RECEIPTS: "request received",
    ns.CHAT_STATES: "active composing",
    ns.HINTS: "no-store store",
    ns.IDS: "origin-id stanza-id",
    ns.DELAY: "delay",
    ns.NICK: "nick",
    ns.OOB: "x url desc",
    ns.FILE_SHARING: "file-sharing sources",
    ns.FILE_METADATA: "file name size media-type desc",
    ns.URL_DATA: "url-data",
    ns.ENCRYPTION: "encryption",
    "eu.siacs.conversations.axolotl": "encrypted payload header",
    "jabber:x:encrypted": "x",
    ns.MUC: "x",
    ns.MUC_USER: "x",
    ns.VCARD_UPDATE: "x photo",
    ns.VCARD_TEMP: "vCard",
    ns.VCARD4: "vcard",
    ns.DISCO_INFO: "query feature",
    ns.DISCO_ITEMS: "query",
    ns.COMMANDS: "command",
    ns.SEARCH: "query nick first",
    ns.REGISTER: "query nick remove",
    ns.GATEWAY: "query prompt",
    ns.PUBSUB: "pubsub items item",
    ns.BLOCKING: "blocklist block unblock item",
    ns.PING: "ping",
    ns.TIME: "time",
    ns.VERSION: "query",
    ns.UPLOAD: "slot put get header",
}
"""What there is in each namespace, so that random elements mean something often enough."""
_TAGS = st.sampled_from(
    [f"{{{namespace}}}{name}" for namespace, names in _NAMES.items() for name in names.split()]
) | st.text(max_size=6)
_WORDS = (
    "chat error groupchat headline get set result submit cancel subscribe execute complete 0 3 99 -1 m0 reply "
    "bob@example.org alice.eth@dm3.example/x https://a.example/f.png ?OTR: status urn:xmpp:avatar:data "
    f"2026-11-28T14:05:00Z 9999-99-99T99:99:99Z {ns.REPLY} {ns.FILE_SHARING} {ns.OOB}"
)
_VALUES = st.one_of(
    st.sampled_from([*_WORDS.split(), "", "x" * 4_200]),
    st.text(max_size=12),
    st.text(st.characters(categories=["Cs", "Cc", "Co"]), max_size=3),
)
_ATTRIBUTES = "from to id type by for start end stamp var node jid url target namespace action sessionid name"
_KEYS = st.sampled_from([*_ATTRIBUTES.split(), LANG])


def _build(tag: str, attributes: dict[str, str], text: str | None, inside: list[Element]) -> Element:
    built = Element(tag, attributes)
    built.text = text
    built.extend(inside)
    return built


elements = st.recursive(
    st.builds(_build, _TAGS, st.dictionaries(_KEYS, _VALUES, max_size=3), st.none() | _VALUES, st.just([])),
    lambda inner: st.builds(
        _build, _TAGS, st.dictionaries(_KEYS, _VALUES, max_size=4), st.none() | _VALUES, st.lists(inner, max_size=4)
    ),
    max_leaves=10,
)
stanzas = st.builds(
    lambda name, kind, inside: _build(
        f"{{{ns.COMPONENT}}}{name}",
        {"from": "bob@example.org/phone", "to": "alice.eth@dm3.example", "id": "m1"} | ({"type": kind} if kind else {}),
        None,
        inside,
    ),
    st.sampled_from(["message", "presence", "iq"]),
    st.sampled_from(["", "chat", "error", "headline", "get", "set", "result", "subscribe", "unavailable", "probe"]),
    st.lists(elements, max_size=4),
)
wild_text = st.text(st.characters(), max_size=60) | st.text(
    st.sampled_from("a>&<\"'\n\r\t\0\x0b\ud800\udfff\ufffe\uffff\U0001f600]é "), max_size=40
)
