"""What we write: read back by our own reader it says the same, and it is well-formed whatever the strings."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.xmpp import namespaces as ns
from adapters.xmpp import presences, render
from adapters.xmpp.jids import Jid
from adapters.xmpp.parse import parse
from adapters.xmpp.presences import Here, Step
from adapters.xmpp.render import Quote, Said, Way
from adapters.xmpp.stanzas import (
    Available,
    Chat,
    ChatState,
    Displayed,
    Head,
    Nothing,
    Reactions,
    Received,
    RemoteFile,
    Retraction,
    Show,
    Subscribe,
    Typing,
    Unavailable,
)
from adapters.xmpp.xml import Xml, child, clean, name_of, tag, well_formed
from tests.unit.xmpp.stanza_texts import ALICE, BOB, made, wild_text

WAY = Way(ALICE, BOB, "m1")
HEAD = Head(ALICE, BOB, "m1")
URL = "https://up.example/a/cat.png"
CAT = RemoteFile(URL, "cat.png", "image/png", 7, "Tom")


def said(**fields: object) -> Element:
    return made(render.chat(Said(way=WAY, **fields)))  # type: ignore[arg-type]


def body_of(stanza: Element) -> str:
    found = child(stanza, ns.COMPONENT, "body")
    assert found is not None
    return found.text or ""


def test_a_message_has_all_that_a_client_needs() -> None:
    stanza = said(text="hello", nick="Alice", sent_at=1000, replaces="m0")
    assert stanza.attrib == {"from": str(ALICE), "to": str(BOB), "id": "m1", "type": "chat"}
    delay = child(stanza, ns.DELAY, "delay")
    assert delay is not None
    assert delay.attrib == {"from": "dm3.example", "stamp": "1970-01-01T00:00:01Z"}
    assert parse(stanza) == Chat(
        head=HEAD,
        text="hello",
        origin_id="m1",
        replaces="m0",
        sent_at=1000,
        nick="Alice",
        wants_receipt=True,
        markable=True,
    )


def test_nobody_is_asked_for_receipts_who_should_not() -> None:
    read = parse(said(text="hello", wants_receipt=False, markable=False))
    assert read == Chat(head=HEAD, text="hello", origin_id="m1")


@pytest.mark.parametrize(
    ("quoted", "begin"),
    [
        ("hi", "> hi\n"),
        ("🦊\0 one\r\ntwo", "> 🦊 one\n> two\n"),
        ("a\nb\nc\nd\ne\nf", "> a\n> b\n> c\n> d\n> e…\n"),
        ("x" * 400, "> " + "x" * 300 + "…\n"),
        (" ", ""),
    ],
)
def test_a_reply_quotes_for_old_clients_and_says_where(quoted: str, begin: str) -> None:
    stanza = said(text="yes 🦊", reply=Quote("m0", BOB.bare, quoted))
    assert body_of(stanza) == begin + "yes 🦊"
    read = parse(stanza)
    assert isinstance(read, Chat)
    assert (read.text, read.reply_to, read.quoted) == ("yes 🦊", "m0", begin)
    reply = child(stanza, ns.REPLY, "reply")
    assert reply is not None
    assert reply.get("to") == "bob@example.org"


def test_a_file_alone_is_its_address_and_nothing_else() -> None:
    stanza = said(files=(CAT,))
    assert body_of(stanza) == URL
    read = parse(stanza)
    assert isinstance(read, Chat)
    assert (read.text, read.files) == ("", (CAT,))


def test_files_with_words() -> None:
    other = RemoteFile("https://up.example/b")
    stanza = said(text="look 🦊", files=(CAT, other), reply=Quote("m0", None, "what?"))
    assert body_of(stanza) == f"> what?\nlook 🦊\n{URL}\n{other.url}"
    read = parse(stanza)
    assert isinstance(read, Chat)
    assert (read.text, read.quoted) == ("look 🦊", "> what?\n")
    assert [each.url for each in read.files] == [URL, other.url]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (render.retraction(WAY, "m0", text="This message was deleted."), Retraction(HEAD, "m0")),
        (render.reactions(WAY, "m0", ("👍", "🦊"), text="👍"), Reactions(HEAD, "m0", ("👍", "🦊"))),
        (render.reactions(WAY, "m0", ()), Reactions(HEAD, "m0", ())),
        (render.receipt(WAY, "m0"), Received(HEAD, "m0")),
        (render.displayed(WAY, "m0"), Displayed(HEAD, "m0")),
        (render.typing(WAY, ChatState.PAUSED), Typing(HEAD, ChatState.PAUSED)),
        (render.event(WAY, "urn:node", tag("item")), Nothing(HEAD)),
    ],
)
def test_what_is_no_chat_reads_as_what_it_is(written: Xml, value: object) -> None:
    assert parse(made(written)) == value


def test_hints_say_what_is_kept() -> None:
    for kept in (render.retraction(WAY, "m0", text="x"), render.reactions(WAY, "m0", "👍"), render.receipt(WAY, "m0")):
        assert child(made(kept), ns.HINTS, "store") is not None
    assert child(made(render.typing(WAY, ChatState.ACTIVE)), ns.HINTS, "no-store") is not None


def test_presences() -> None:
    head = Head(ALICE, BOB.bare)
    to = BOB.bare
    here = Here(show=Show.AWAY, status="Out", nick="Alice", photo="ab", caps=tag("c", xmlns=ns.CAPS))
    assert parse(made(presences.available(ALICE, to, here))) == Available(head, Show.AWAY, "Out", "Alice", "ab")
    assert parse(made(presences.available(ALICE, to, Here()))) == Available(head)
    assert parse(made(presences.available(ALICE, to, Here(photo="")))) == Available(head, photo="")
    assert parse(made(presences.unavailable(ALICE, to, status="Bye"))) == Unavailable(head, "Bye")
    asked = presences.step(ALICE, to, Step.SUBSCRIBE, status="Hi", nick="Alice")
    assert parse(made(asked)) == Subscribe(head, "Hi", "Alice")
    assert made(presences.step(ALICE, to, Step.PROBE)).attrib["type"] == "probe"


@given(st.lists(wild_text, min_size=12, max_size=12), st.none() | st.integers(0, 2**60))
@settings(max_examples=200)
def test_whatever_the_strings_a_stanza_is_well_formed(texts: list[str], number: int | None) -> None:
    way = Way(Jid(texts[0], texts[1], texts[2]), Jid(texts[2], texts[0]), texts[3])
    file = RemoteFile(texts[4], texts[5], texts[6], number, texts[7])
    written = (
        render.chat(
            Said(
                way=way,
                text=texts[8],
                files=(file,),
                reply=Quote(texts[9], way.to, texts[10]),
                replaces=texts[11],
                sent_at=number,
                nick=texts[3],
            )
        ),
        render.retraction(way, texts[4], text=texts[5]),
        render.reactions(way, texts[4], texts[5:8], text=texts[8]),
        render.receipt(way, texts[4]),
        render.displayed(way, texts[4]),
        render.event(way, texts[4], tag("item")),
        presences.step(way.sender, way.to, Step.SUBSCRIBED, status=texts[4], nick=texts[5]),
        presences.available(way.sender, way.to, Here(status=texts[4], nick=texts[5], photo=texts[6])),
        presences.unavailable(way.sender, way.to, status=texts[4]),
    )
    assert all(map(well_formed, written))


@given(wild_text, wild_text, st.booleans())
@settings(max_examples=300)
def test_offsets_fit_whatever_the_text(text: str, quoted: str, with_file: bool) -> None:
    stanza = said(text=text, reply=Quote("m0", None, quoted), files=(CAT,) if with_file else ())
    body, word = body_of(stanza), clean(text)
    ranges = {
        fallback.get("for"): (int(fallback[0].get("start", "")), int(fallback[0].get("end", "")))
        for fallback in stanza
        if name_of(fallback) == (ns.FALLBACK, "fallback")
    }
    begin = ranges.get(ns.REPLY, (0, 0))[1]
    assert all(line.startswith("> ") for line in body[:begin].split("\n")[:-1])
    end = ranges.get(ns.FILE_SHARING, (len(body), 0))[0]
    assert body[begin:end] == word
    assert body[end:].strip() == (URL if with_file else "")
