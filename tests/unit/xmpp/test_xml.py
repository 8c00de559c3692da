"""What is written is well-formed whatever the strings; what is not is found before it is sent."""

from __future__ import annotations

from typing import cast
from xml.etree import ElementTree
from xml.etree.ElementTree import Comment, Element

import pytest
from hypothesis import given, settings

from adapters.xmpp.errors import BadStanza
from adapters.xmpp.xml import (
    MAX_STANZA_BYTES,
    Xml,
    attribute,
    attribute_value,
    child,
    children,
    clean,
    cut_text_of,
    escape,
    join,
    leaf,
    name_of,
    tag,
    text_of,
    well_formed,
)
from tests.unit.xmpp.stanza_texts import wild_text


@given(wild_text, wild_text)
@settings(max_examples=300)
def test_any_text_survives_as_far_as_xml_has_a_form_for_it(text: str, value: str) -> None:
    written = leaf("body", text, xmlns="urn:x", id=value)
    assert well_formed(written)
    read = ElementTree.fromstring(written)
    assert (read.text or "") == clean(text)
    assert read.get("id") == clean(value).replace("\n", " ").replace("\t", " ")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\0b\x08c\x1fd", "abcd"),
        ("a\ud800b\udc00c", "abc"),
        ("a\ufffeb\uffffc\ufffdd", "abc\ufffdd"),
        ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        ("\U0001f600\x7f\x85", "\U0001f600\x7f\x85"),
    ],
)
def test_what_xml_forbids_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_markup_in_text_stays_text() -> None:
    assert escape("<a>&]]>") == "&lt;a&gt;&amp;]]&gt;"
    assert attribute_value("\"'<\n") == "&quot;&apos;&lt; "


def test_the_builder() -> None:
    assert tag("a") == "<a/>"
    assert tag("a", tag("b"), leaf("c", "d"), xmlns="urn:x", from_="e", content_type="f", left=None, size=7) == (
        '<a xmlns="urn:x" from="e" content-type="f" size="7"><b/><c>d</c></a>'
    )
    assert join(tag("a"), tag("b")) == "<a/><b/>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        "<a>",
        "<a/><b/>",
        "<a></b>",
        "<a b='1' b='2'/>",
        "<a>&nbsp;</a>",
        "<a>\x00</a>",
        "<a>\ud800</a>",
        "<a>\ufffe</a>",
        "<a><!-- c --></a>",
        "<a><?p?></a>",
        "<?xml version='1.0'?><a/>",
        "<!DOCTYPE a><a/>",
        "<stream:error/>",
        "<a/>words",
        "<a>&#0;</a>",
        "<a>]]></a>",
        "<a b='<'/>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        f"<a>{'x' * MAX_STANZA_BYTES}</a>",
        f"<a>{'ß' * 100000}</a>",
    ],
)
def test_what_would_end_the_link_is_not_sent(text: str) -> None:
    assert not well_formed(text)


@pytest.mark.parametrize("text", ["<a/>", '<a xmlns:b="urn:b"><b:c/></a>', "<a>&lt;&#10;é🦊</a>"])
def test_what_is_whole_is_sent(text: str) -> None:
    assert well_formed(text)


def test_reading_within_bounds() -> None:
    read = ElementTree.fromstring('<a xmlns="urn:x" id="7"><b>one</b><c/><b>two<d/>rest</b><b xmlns="urn:y">no</b></a>')
    assert name_of(read) == ("urn:x", "a")
    assert [text_of(each, 10) for each in children(read, "urn:x", "b")] == ["one", "two"]
    assert child(read, "urn:z", "b") is None
    assert cut_text_of(child(read, "urn:y", "b"), 1) == "n"
    assert (attribute(read, "id"), attribute(read, "to"), attribute(None, "id")) == ("7", "", "")
    assert (text_of(None, 1), cut_text_of(None, 1)) == ("", "")
    with pytest.raises(BadStanza, match="not-acceptable"):
        text_of(child(read, "urn:x", "b"), 2)
    with pytest.raises(BadStanza, match="bad-request"):
        attribute(Element("a", id="x" * 4000), "id")


def test_a_comment_is_no_element() -> None:
    assert name_of(cast("Element", Comment("c"))) == ("", "")
    assert name_of(Element("a")) == ("", "a")
    assert Xml("a") == "a"
