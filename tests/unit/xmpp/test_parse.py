"""Stanzas of strangers: each kind from its XML, each fault named, and never another exception."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.xmpp.errors import BadStanza, Condition, ErrorType
from adapters.xmpp.jids import Jid
from adapters.xmpp.parse import parse
from adapters.xmpp.stanzas import (
    Answer,
    Available,
    Bounce,
    Chat,
    ChatState,
    Displayed,
    Encrypted,
    Enter,
    Groupchat,
    Head,
    Invite,
    Kind,
    Nothing,
    PresenceError,
    Probe,
    Reactions,
    Received,
    RemoteFile,
    Request,
    Retraction,
    Show,
    StanzaError,
    Subscribe,
    Subscribed,
    Typing,
    Unavailable,
    Unsubscribe,
    Unsubscribed,
)
from adapters.xmpp.xml import well_formed
from tests.unit.xmpp.stanza_texts import ADDRESSES, ALICE, BOB, element, elements, message, stanzas

HEAD = Head(BOB, ALICE, "m1")
AXOLOTL = "eu.siacs.conversations.axolotl"
URL = "https://up.example/a/cat.png"


def chat(inside: str, kind: str = "chat") -> Chat:
    read = parse(message(inside, kind))
    assert isinstance(read, Chat)
    return read


@pytest.mark.parametrize(
    ("inside", "fields"),
    [
        ("<body>hello</body>", {}),
        ("<body xml:lang='de'>hallo</body><body>hello</body>", {}),
        ("<body xml:lang='en'>hello</body><body xml:lang='de'>hallo</body>", {}),
        ("<body>hello</body><subject>About it</subject>", {"subject": "About it"}),
        ("<body>hello</body><request xmlns='urn:xmpp:receipts'/>", {"wants_receipt": True}),
        ("<body>hello</body><markable xmlns='urn:xmpp:chat-markers:0'/>", {"markable": True}),
        ("<body>hello</body><no-store xmlns='urn:xmpp:hints'/>", {"no_store": True}),
        ("<body>hello</body><store xmlns='urn:xmpp:hints'/>", {}),
        ("<body>hello</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>", {"origin_id": "o1"}),
        ("<body>hello</body><stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='bob@example.org'/>", {"stanza_id": "s1"}),
        ("<body>hello</body><stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='eve@example.org'/>", {}),
        ("<body>hello</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>", {"replaces": "m0"}),
        ("<body>hello</body><nick xmlns='http://jabber.org/protocol/nick'> Bob </nick>", {"nick": "Bob"}),
        ("<body>hello</body><delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:01Z'/>", {"sent_at": 1000}),
        ("<body>hello</body><delay xmlns='urn:xmpp:delay' stamp='yesterday'/>", {}),
        ("<body>hello</body><composing xmlns='http://jabber.org/protocol/chatstates'/>", {}),
        (
            "<body>hello</body><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></received>",
            {},
        ),
        ("<body>hello</body><reply xmlns='urn:xmpp:reply:0' id='m0' to='alice.eth@dm3.example'/>", {"reply_to": "m0"}),
        ("<body>hello</body><reply xmlns='urn:xmpp:reply:0'/>", {}),
        ("<body>hello</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body>no</body></html>", {}),
    ],
)
def test_what_somebody_wrote(inside: str, fields: dict[str, Any]) -> None:
    assert chat(inside) == Chat(head=HEAD, **({"text": "hello"} | fields))


def test_a_subject_alone_says_something() -> None:
    assert chat("<subject>Lunch?</subject>").subject == "Lunch?"


def test_programs_that_write_to_many_are_told_apart() -> None:
    assert chat("<body>hello</body>", "headline").headline
    assert not chat("<body>hello</body>", "normal").headline
    assert not chat("<body>hello</body>", "unheard-of").headline


REPLY = "<reply xmlns='urn:xmpp:reply:0' id='m0'/>"


def marked(about: str, part: str) -> str:
    return f"<fallback xmlns='urn:xmpp:fallback:0' for='{about}'>{part}</fallback>"


@pytest.mark.parametrize(
    ("body", "part", "text", "quoted"),
    [
        ("> hi\nyes", "<body start='0' end='5'/>", "yes", "> hi\n"),
        ("> hi\nyes", "<body start='0' end='4'/>", "yes", "> hi"),
        ("> 🦊🦊\nyes 🦊", "<body start='0' end='5'/>", "yes 🦊", "> 🦊🦊\n"),
        ("> e\u0301\nyes", "<body start='0' end='5'/>", "yes", "> e\u0301\n"),
        ("> hi&#13;\nyes", "<body start='0' end='6'/>", "yes", "> hi\n"),
        ("> hi\nyes", "<body end='5'/>", "yes", "> hi\n"),
        ("yes\n> hi", "<body start='3'/>", "yes", "\n> hi"),
        ("> hi\nyes", "<body start='0' end='50'/>", "> hi\nyes", ""),
        ("> hi\nyes", "<body start='5' end='0'/>", "> hi\nyes", ""),
        ("> hi\nyes", "<body start='-3' end='5'/>", "> hi\nyes", ""),
        ("> hi\nyes", "<body start='zero' end='5'/>", "> hi\nyes", ""),
        ("> hi\nyes", "<subject/>", "> hi\nyes", ""),
        ("> hi\nyes", "", "> hi\nyes", ""),
        ("> hi\nyes", "<body start='0' end='3'/><body start='2' end='5'/>", "yes", "> hi\n"),
    ],
)
def test_the_fallback_of_a_reply_is_taken_out_by_code_points(body: str, part: str, text: str, quoted: str) -> None:
    read = chat(f"<body>{body}</body>{REPLY}{marked('urn:xmpp:reply:0', part)}")
    assert (read.text, read.reply_to) == (text, "m0")
    if "start='2'" not in part:
        assert read.quoted == quoted


def test_a_fallback_for_something_else_stays() -> None:
    part = "<body start='0' end='5'/>"
    assert chat(f"<body>> hi\nyes</body>{REPLY}{marked('urn:x', part)}").text == "> hi\nyes"
    assert chat(f"<body>> hi\nyes</body>{marked('urn:xmpp:reply:0', part)}").text == "> hi\nyes"


def test_files_are_found_once_and_their_address_is_no_text() -> None:
    oob = f"<x xmlns='jabber:x:oob'><url>{URL}</url><desc>A cat</desc></x>"
    told = (
        "<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><media-type>image/png</media-type>"
        "<name>cat.png</name><size>7</size><desc>Tom</desc></file><sources>"
        f"<url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></file-sharing>"
    )
    described = RemoteFile(URL, "cat.png", "image/png", 7, "Tom")
    assert chat(f"<body>{URL}</body>{oob}") == Chat(head=HEAD, files=(RemoteFile(URL, description="A cat"),))
    assert chat(f"<body>{URL}</body>{oob}{told}") == Chat(head=HEAD, files=(described,))
    assert chat(told).files == (described,)
    assert chat(f"<body>look</body>{oob}").text == "look"
    rest = marked("urn:xmpp:sfs:0", "<body start='4'/>")
    captioned = f"<body>look\n{URL}</body>{told}{rest}"
    assert (chat(captioned).text, chat(captioned).files) == ("look", (described,))


@pytest.mark.parametrize(
    "url", ["aesgcm://up.example/a#b", "file:///etc/passwd", "javascript:1", "https://", "http://a b"]
)
def test_what_is_no_address_on_the_web_stays_text(url: str) -> None:
    read = chat(f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>")
    assert (read.text, read.files) == (url, ())


@pytest.mark.parametrize(
    ("inside", "value"),
    [
        ("<received xmlns='urn:xmpp:receipts' id='m0'/>", Received(HEAD, "m0")),
        ("<received xmlns='urn:xmpp:chat-markers:0' id='m0'/>", Received(HEAD, "m0")),
        ("<displayed xmlns='urn:xmpp:chat-markers:0' id='m0'/>", Displayed(HEAD, "m0")),
        ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", Typing(HEAD, ChatState.COMPOSING)),
        ("<body/><gone xmlns='http://jabber.org/protocol/chatstates'/>", Typing(HEAD, ChatState.GONE)),
        ("<retract xmlns='urn:xmpp:message-retract:1' id='m0'/><body>gone</body>", Retraction(HEAD, "m0")),
        (
            "<apply-to xmlns='urn:xmpp:fasten:0' id='m0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
            Retraction(HEAD, "m0"),
        ),
        (
            (
                "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>👍</reaction><reaction>🦊</reaction>"
                "<reaction>👍</reaction><reaction/></reactions><body>+1</body>"
            ),
            Reactions(HEAD, "m0", ("👍", "🦊")),
        ),
        ("<reactions xmlns='urn:xmpp:reactions:0' id='m0'/>", Reactions(HEAD, "m0", ())),
        (f"<encrypted xmlns='{AXOLOTL}'><header/><payload>x</payload></encrypted>", Encrypted(HEAD, "OMEMO")),
        (
            (
                f"<encrypted xmlns='{AXOLOTL}'><payload>x</payload></encrypted><body>I sent you a message</body>"
                f"<encryption xmlns='urn:xmpp:eme:0' namespace='{AXOLOTL}' name='OMEMO'/>"
            ),
            Encrypted(HEAD, "OMEMO"),
        ),
        ("<encrypted xmlns='urn:xmpp:omemo:2'><payload>x</payload></encrypted>", Encrypted(HEAD, "OMEMO")),
        ("<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp><body>filler</body>", Encrypted(HEAD, "OpenPGP")),
        ("<encryption xmlns='urn:xmpp:eme:0' namespace='urn:new' name='New'/><body>no</body>", Encrypted(HEAD, "New")),
        ("<body>?OTR:AAMC</body>", Encrypted(HEAD, "OTR")),
        ("", Nothing(HEAD)),
        ("<body> </body>", Nothing(HEAD)),
        ("<event xmlns='http://jabber.org/protocol/pubsub#event'/>", Nothing(HEAD)),
        ("<sent xmlns='urn:xmpp:carbons:2'><forwarded/></sent>", Nothing(HEAD)),
    ],
)
def test_messages_without_words_for_people(inside: str, value: object) -> None:
    read = parse(message(inside))
    assert read == value


def test_an_exchange_of_keys_needs_no_answer() -> None:
    assert parse(message(f"<encrypted xmlns='{AXOLOTL}'><header/></encrypted>")) == Nothing(HEAD)


@pytest.mark.parametrize(
    ("inside", "condition"),
    [
        ("<received xmlns='urn:xmpp:receipts'/>", Condition.BAD_REQUEST),
        ("<displayed xmlns='urn:xmpp:chat-markers:0'/>", Condition.BAD_REQUEST),
        ("<retract xmlns='urn:xmpp:message-retract:1'/>", Condition.BAD_REQUEST),
        ("<reactions xmlns='urn:xmpp:reactions:0'/>", Condition.BAD_REQUEST),
        ("<body>a</body><replace xmlns='urn:xmpp:message-correct:0'/>", Condition.BAD_REQUEST),
        (f"<body>{'x' * 100_001}</body>", Condition.NOT_ACCEPTABLE),
        (f"<body>a</body><origin-id xmlns='urn:xmpp:sid:0' id='{'x' * 1024}'/>", Condition.BAD_REQUEST),
        (
            f"<reactions xmlns='urn:xmpp:reactions:0' id='a'>{'<reaction>a</reaction>' * 51}</reactions>",
            Condition.NOT_ACCEPTABLE,
        ),
        ("".join(f"<x xmlns='jabber:x:oob'><url>{URL}{n}</url></x>" for n in range(21)), Condition.NOT_ACCEPTABLE),
    ],
)
def test_messages_that_are_not_taken(inside: str, condition: Condition) -> None:
    with pytest.raises(BadStanza) as caught:
        parse(message(inside))
    assert caught.value.condition is condition


def test_what_is_said_in_a_room_is_passed_on_without_what_only_the_room_says() -> None:
    inside = (
        "<body>hello &amp; good bye</body><reply xmlns='urn:xmpp:reply:0' id='one'/>"
        "<thing xmlns='urn:example:thing' xml:lang='de' a='1'>x<inner xmlns='urn:example:other'/>y</thing>"
        "<stanza-id xmlns='urn:xmpp:sid:0' by='somebody' id='forged'/><delay xmlns='urn:xmpp:delay' stamp='x'/>"
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/><nick xmlns='http://jabber.org/protocol/nick'>n</nick>"
    )
    said = parse(message(inside, "groupchat"))
    assert isinstance(said, Groupchat)
    assert isinstance(said.said, Chat)
    assert (said.said.text, said.said.reply_to, said.subject) == ("hello & good bye", "one", None)
    assert said.payload == (
        '<body>hello &amp; good bye</body><reply xmlns="urn:xmpp:reply:0" id="one"></reply>'
        '<thing xmlns="urn:example:thing" xml:lang="de" a="1">x<inner xmlns="urn:example:other"></inner>y</thing>'
    )
    assert well_formed(f"<message>{said.payload}</message>")


def test_a_subject_alone_changes_what_a_room_is_about() -> None:
    changed = parse(message("<subject> About </subject>", "groupchat"))
    assert isinstance(changed, Groupchat)
    assert (changed.subject, type(changed.said)) == ("About", Nothing)
    cleared = parse(message("<subject/>", "groupchat"))
    assert isinstance(cleared, Groupchat)
    assert cleared.subject == ""
    for text in ("<subject>About</subject><body>words</body>", "<body>words</body>"):
        said = parse(message(text, "groupchat"))
        assert isinstance(said, Groupchat)
        assert said.subject is None


def test_what_is_nested_too_deep_is_not_passed_on() -> None:
    with pytest.raises(BadStanza, match="nested"):
        parse(message("<body>a</body>" + "<a>" * 30 + "</a>" * 30, "groupchat"))


@pytest.mark.parametrize(
    ("history", "most", "since", "seconds"),
    [
        ("", None, None, None),
        ("<history maxstanzas='5'/>", 5, None, None),
        ("<history maxchars='0'/>", 0, None, None),
        ("<history seconds='60' since='1970-01-01T00:00:01Z'/>", None, 1000, 60),
        ("<history maxstanzas='-1' seconds='x' since='now'/>", None, None, None),
    ],
)
def test_who_enters_a_room_says_what_of_its_past_is_wanted(
    history: str, most: int | None, since: int | None, seconds: int | None
) -> None:
    entering = parse(
        element(f"<presence {ADDRESSES}><x xmlns='http://jabber.org/protocol/muc'>{history}</x></presence>")
    )
    assert isinstance(entering, Enter)
    assert (entering.most, entering.since, entering.seconds) == (most, since, seconds)


def test_invitations_name_their_guests() -> None:
    user = "http://jabber.org/protocol/muc#user"
    asked = parse(
        message(f"<x xmlns='{user}'><invite to='a@b/c'><reason>Come</reason></invite><invite to='d@e'/></x>", "normal")
    )
    assert isinstance(asked, Invite)
    assert (list(map(str, asked.guests)), asked.reason) == (["a@b", "d@e"], "Come")
    direct = parse(message("<x xmlns='jabber:x:conference' jid='room@muc.example'/>", "normal"))
    assert isinstance(direct, Invite)
    assert direct.guests == ()


ERROR = (
    "<error type='wait' by='example.org'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Later</text></error>"
)
TIMEOUT = StanzaError(Condition.REMOTE_SERVER_TIMEOUT, ErrorType.WAIT, "Later", "example.org")
UNKNOWN = StanzaError(Condition.UNDEFINED_CONDITION, ErrorType.CANCEL)


def test_what_comes_back() -> None:
    bounce = parse(message(f"<body>hello</body>{ERROR}", "error"))
    assert bounce == Bounce(HEAD, TIMEOUT)
    assert isinstance(bounce, Bounce)
    assert bounce.id == "m1"
    assert parse(message("", "error")) == Bounce(HEAD, UNKNOWN)
    assert parse(message("<error type='none'><made-up/></error>", "error")) == Bounce(HEAD, UNKNOWN)
    assert parse(element(f"<presence {ADDRESSES} type='error'>{ERROR}</presence>")) == PresenceError(HEAD, TIMEOUT)
    assert parse(element(f"<iq {ADDRESSES} type='error'>{ERROR}</iq>")) == Answer(HEAD, None, TIMEOUT)


@pytest.mark.parametrize(
    ("kind", "inside", "value"),
    [
        ("", "", Available(HEAD)),
        ("", "<show>dnd</show><status>At work</status>", Available(HEAD, Show.BUSY, "At work")),
        ("", "<show>strange</show>", Available(HEAD)),
        ("", f"<status>{'x' * 9000}</status>", Available(HEAD, status="x" * 500)),
        ("", "<x xmlns='vcard-temp:x:update'><photo>AB12</photo></x>", Available(HEAD, photo="ab12")),
        ("", "<x xmlns='vcard-temp:x:update'><photo/></x>", Available(HEAD, photo="")),
        ("", "<x xmlns='vcard-temp:x:update'/>", Available(HEAD)),
        ("unavailable", "<status>Bye</status>", Unavailable(HEAD, "Bye")),
        (
            "subscribe",
            "<status>It is me</status><nick xmlns='http://jabber.org/protocol/nick'>Bob</nick>",
            Subscribe(HEAD, "It is me", "Bob"),
        ),
        ("subscribed", "", Subscribed(HEAD)),
        ("unsubscribe", "", Unsubscribe(HEAD)),
        ("unsubscribed", "", Unsubscribed(HEAD)),
        ("probe", "", Probe(HEAD)),
    ],
)
def test_presence(kind: str, inside: str, value: object) -> None:
    typed = f"type='{kind}'" if kind else ""
    assert parse(element(f"<presence {ADDRESSES} {typed}>{inside}</presence>")) == value


def test_requests_and_answers() -> None:
    asked = parse(element(f"<iq {ADDRESSES} type='set'><ping xmlns='urn:xmpp:ping'/></iq>"))
    assert isinstance(asked, Request)
    assert (asked.kind, asked.head, asked.payload.tag) == (Kind.SET, HEAD, "{urn:xmpp:ping}ping")
    assert parse(element(f"<iq {ADDRESSES} type='result'/>")) == Answer(HEAD, None)
    answer = parse(element(f"<iq {ADDRESSES} type='result'><query xmlns='urn:x'/></iq>"))
    assert isinstance(answer, Answer)
    assert answer.payload is not None
    assert answer.payload.tag == "{urn:x}query"


@pytest.mark.parametrize(
    ("stanza", "condition"),
    [
        ("<message to='a@b' id='1'><body>a</body></message>", Condition.BAD_REQUEST),
        ("<message from='a@b' id='1'><body>a</body></message>", Condition.BAD_REQUEST),
        ("<message from='@b' to='c' id='1'/>", Condition.JID_MALFORMED),
        (f"<message from='a@b' to='c' id='{'x' * 1024}'/>", Condition.BAD_REQUEST),
        (f"<message from='a@b/{'x' * 5000}' to='c'/>", Condition.BAD_REQUEST),
        (f"<presence {ADDRESSES} type='hello'/>", Condition.BAD_REQUEST),
        (f"<iq {ADDRESSES} type='get'/>", Condition.BAD_REQUEST),
        (f"<iq {ADDRESSES} type='get'><a xmlns='a'/><b xmlns='b'/></iq>", Condition.BAD_REQUEST),
        (f"<iq {ADDRESSES} type='ask'><a xmlns='a'/></iq>", Condition.BAD_REQUEST),
        (f"<iq {ADDRESSES}><a xmlns='a'/></iq>", Condition.BAD_REQUEST),
        ("<iq from='a@b' to='c' type='get'><a xmlns='a'/></iq>", Condition.BAD_REQUEST),
        ("<handshake/>", Condition.BAD_REQUEST),
        (f"<message xmlns='urn:x' {ADDRESSES}><body>a</body></message>", Condition.BAD_REQUEST),
    ],
)
def test_what_every_stanza_has_is_demanded(stanza: str, condition: Condition) -> None:
    with pytest.raises(BadStanza) as caught:
        parse(element(stanza))
    assert caught.value.condition is condition


def test_nesting_costs_nothing() -> None:
    deep = top = Element("{urn:x}a")
    for _ in range(50_000):
        inner = Element("{urn:x}a")
        deep.append(inner)
        deep = inner
    stanza = message("<body>hello</body>")
    stanza.append(top)
    assert isinstance(parse(stanza), Chat)
    # Python frees a tree by recursion; taken apart from the top, it is none.
    stanza.remove(top)
    while len(top):
        inner = top[0]
        top.remove(inner)
        top = inner


@given(elements | stanzas)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_no_element_makes_anything_but_a_value_or_a_named_fault(stanza: Element) -> None:
    try:
        read = parse(stanza)
    except BadStanza as fault:
        assert isinstance(fault.condition, Condition)
        return
    assert isinstance(read.head.sender, Jid)
