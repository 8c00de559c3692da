"""What services answer: prompt, search, registration, cards, small ones, places for files."""

from __future__ import annotations

import base64
import hashlib
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid
from adapters.xmpp.services import gateway_prompt, register, search, small, upload, vcard
from adapters.xmpp.services.search import Found, Search
from adapters.xmpp.services.upload import Header, Slot
from adapters.xmpp.xml import well_formed
from gateway.sdk import EnsName, FileContent, Portrait
from gateway.sdk.addresses import Alias
from tests.unit.xmpp.stanza_texts import ALICE, BOB, IDS, element, made, wild_text

NAME = EnsName("alice.eth")
PICTURE = FileContent("a.png", "image/png", b"\x89PNG picture")
SHA1 = hashlib.sha1(PICTURE.data).hexdigest()
FACE = Portrait("Alice", PICTURE)


def texts(root: Element, name: str) -> list[str]:
    """Texts of all elements of this name, however deep."""
    return [each.text or "" for each in root.iter() if str(each.tag).rpartition("}")[2] == name]


@pytest.mark.parametrize(
    ("typed", "jid"),
    [
        ("alice.eth", "alice.eth@dm3.example"),
        (" Alice.ETH ", "alice.eth@dm3.example"),
        ("straße.eth", "xn--strae-oqa.eth@dm3.example"),
        ("🦊.eth", "xn--9s9h.eth@dm3.example"),
        ("xn--strae-oqa.eth@dm3.example", "xn--strae-oqa.eth@dm3.example"),
        ("straße.eth@DM3.example", "xn--strae-oqa.eth@dm3.example"),
    ],
)
def test_a_name_that_is_typed_has_an_address(typed: str, jid: str) -> None:
    name = gateway_prompt.named(typed, IDS)
    assert not isinstance(name, Alias)
    ghost, _ = IDS.ghost(name)
    assert texts(made(gateway_prompt.address(ghost)), "jid") == [jid]


@pytest.mark.parametrize(
    "typed", ["", "eth", "bob@example.org", "a b.eth", "xn--x.eth", "@dm3.example", "x" * 2000, "\ud800"]
)
def test_what_is_no_name_is_said_so(typed: str) -> None:
    with pytest.raises(BadStanza) as caught:
        gateway_prompt.named(typed, IDS)
    assert caught.value.condition is Condition.ITEM_NOT_FOUND
    assert caught.value.text


def test_the_prompt_asks() -> None:
    query = made(gateway_prompt.prompt())
    assert query.tag == "{jabber:iq:gateway}query"
    assert texts(query, "prompt") == ["ENS name"]
    assert len(texts(query, "desc")) == 1


def test_the_search_has_a_field_for_everybody() -> None:
    query = made(search.fields())
    assert texts(query, "nick") == [""]
    assert [each.get("var") for each in query.iter(f"{{{ns.DATA_FORM}}}field")] == ["FORM_TYPE", "name"]


def test_results_come_as_they_were_asked_for() -> None:
    found = (Found(ALICE, NAME, "Alice"), Found(Jid("bob.eth", "dm3.example"), EnsName("bob.eth")))
    plain = made(search.results(Search("", with_form=False), found))
    assert [each.get("jid") for each in plain] == ["alice.eth@dm3.example", "bob.eth@dm3.example"]
    assert (texts(plain, "nick"), texts(plain, "first")) == (["alice.eth", "bob.eth"], ["Alice"])
    table = made(search.results(Search("", with_form=True), found))
    assert texts(table, "value") == [ns.SEARCH, str(ALICE), "alice.eth", "Alice", "bob.eth@dm3.example", "bob.eth", ""]
    many = made(search.results(Search("", with_form=False), found * 100))
    assert len(many) == search.MAX_RESULTS


def test_the_registration_shows_what_is_known() -> None:
    new = made(register.form(registered=False))
    assert texts(new, "registered") == []
    assert texts(new, "value") == [ns.REGISTER]
    known = made(register.form(registered=True, display_name="Bob"))
    assert texts(known, "registered") == [""]
    assert (texts(known, "nick"), texts(known, "value")) == (["Bob"], [ns.REGISTER, "Bob"])


def test_a_card_shows_name_and_picture() -> None:
    card = made(vcard.card(NAME, ALICE, FACE))
    assert (texts(card, "NICKNAME"), texts(card, "JABBERID")) == ([NAME], [str(ALICE)])
    assert texts(card, "FN") == ["alice.eth (Alice)"], "nobody is taken for whom they call themselves"
    assert base64.b64decode(texts(card, "BINVAL")[0]) == PICTURE.data
    assert vcard.photo_hash(FACE) == SHA1
    card4 = made(vcard.card4_item(NAME, ALICE, Portrait()))
    assert texts(card4, "text") == ["alice.eth", "alice.eth"]
    assert texts(card4, "uri") == ["xmpp:alice.eth@dm3.example"]


def test_the_picture_has_nodes_of_its_own() -> None:
    about = next(made(vcard.metadata(FACE)).iter(f"{{{ns.AVATAR_METADATA}}}info"))
    assert about.attrib == {"id": SHA1, "bytes": str(len(PICTURE.data)), "type": "image/png"}
    for wanted in (SHA1, ""):
        assert base64.b64decode(texts(made(vcard.picture(FACE, wanted)), "data")[0]) == PICTURE.data
    with pytest.raises(BadStanza, match="item-not-found"):
        vcard.picture(FACE, "other")


@pytest.mark.parametrize(
    "picture",
    [
        None,
        FileContent("a", "image/png", b""),
        FileContent("a", "image/svg+xml", b"<svg/>"),
        FileContent("a", "image/png", bytes(vcard.MAX_PICTURE_BYTES + 1)),
    ],
)
def test_what_no_client_shows_is_no_picture(picture: FileContent | None) -> None:
    face = Portrait("Alice", picture)
    assert vcard.photo_hash(face) == ""
    assert texts(made(vcard.card(NAME, ALICE, face)), "PHOTO") == []
    assert texts(made(vcard.metadata(face)), "info") == []
    with pytest.raises(BadStanza, match="item-not-found"):
        vcard.picture(face, "")


def test_the_largest_picture_fits_into_a_stanza() -> None:
    face = Portrait("Alice" * 40, FileContent("a", "image/png", bytes(vcard.MAX_PICTURE_BYTES)))
    assert well_formed(vcard.card(NAME, ALICE, face))
    assert well_formed(vcard.picture(face, ""))


def test_small_answers() -> None:
    assert texts(made(small.version("Gateway", "1.0")), "version") == ["1.0"]
    clock = made(small.time(1_000))
    assert (texts(clock, "utc"), texts(clock, "tzo")) == (["1970-01-01T00:00:01Z"], ["+00:00"])
    assert [each.get("jid") for each in made(small.blocklist([ALICE, BOB]))] == [str(ALICE), str(BOB)]


@given(wild_text, wild_text)
@settings(max_examples=100)
def test_whatever_the_strings_answers_are_well_formed(one: str, other: str) -> None:
    name, jid, face = EnsName(one), Jid(one, other), Portrait(other, FileContent(one, "image/png", b"x"))
    found = (Found(jid, name, other),)
    written = (
        *(
            vcard.card(name, jid, face),
            vcard.card4_item(name, jid, face),
            vcard.metadata(face),
            vcard.picture(face, ""),
        ),
        *(search.results(Search(one, with_form=True), found), search.results(Search(one, with_form=False), found)),
        *(register.form(registered=True, display_name=one), gateway_prompt.address(jid), small.blocklist([jid])),
        *(small.version(one, other), upload.ask_slot(one, 7, other)),
    )
    assert all(map(well_formed, written))


SLOT = (
    "<slot xmlns='urn:xmpp:http:upload:0'><put url='https://up.example/put'>"
    "<header name='Authorization'>Basic x</header><header name='Host'>evil.example</header>"
    "<header name='cookie'>a&#10;b</header></put><get url='https://up.example/get'/></slot>"
)


def test_a_place_for_a_file() -> None:
    assert made(upload.ask_slot("a.png", 7, "image/png")).attrib == {
        "filename": "a.png",
        "size": "7",
        "content-type": "image/png",
    }
    slot = Slot("https://up.example/put", "https://up.example/get", (Header("Authorization", "Basic x"),))
    assert upload.read_slot(element(SLOT)) == slot


@pytest.mark.parametrize(
    "answer", [SLOT.replace("https://up.example/get", "file:///a"), SLOT.replace("put", "push"), "<slot/>", ""]
)
def test_what_is_no_place_for_a_file_is_refused(answer: str) -> None:
    with pytest.raises(BadStanza):
        upload.read_slot(element(answer) if answer else None)


@pytest.mark.parametrize(
    ("inside", "limit"),
    [
        ("", None),
        ("<feature var='urn:xmpp:http:upload:0'/>", 0),
        (
            (
                "<feature var='urn:xmpp:http:upload:0'/><x xmlns='jabber:x:data' type='result'>"
                "<field var='max-file-size'><value>5242880</value></field></x>"
            ),
            5_242_880,
        ),
        (
            (
                "<feature var='urn:xmpp:http:upload:0'/><x xmlns='jabber:x:data'>"
                "<field var='max-file-size'><value>much</value></field></x>"
            ),
            0,
        ),
    ],
)
def test_the_largest_file_of_a_service(inside: str, limit: int | None) -> None:
    assert upload.read_limit(element(f"<query xmlns='{ns.DISCO_INFO}'>{inside}</query>")) == limit
    assert upload.read_limit(None) is None
