"""The stream's parser does what the standard library's does, and reads namespaces that stop that one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.xmpp.elements import StreamParser

OPEN = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
STREAM = (
    f"<?xml version='1.0'?>{OPEN}<handshake/><message to='a@b' xml:lang='de' from='c'>text<body>&lt;é\U0001f98a&#65;"
    "</body>tail<![CDATA[<x>]]></message><x:y xmlns:x='urn:x' x:z='1'/> <iq id='7'><!-- no --><q "
    "xmlns=''/></iq></stream:stream>"
)
Found = list[tuple[str, str, dict[str, str], str | None, str | None]]


def events(parser: StreamParser | XMLPullParser[Element], pieces: list[bytes]) -> Found:
    """Everything, each element as it was when the stream had ended."""
    found: list[tuple[str, Element]] = []
    for piece in pieces:
        parser.feed(piece)
        read: Iterator[Any] = parser.read_events()
        found += [(str(kind), element) for kind, element in read]
    return [(kind, each.tag, each.attrib, each.text, each.tail) for kind, each in found]


@given(st.integers(1, 60))
def test_as_the_standard_library_reads_it(size: int) -> None:
    data = STREAM.encode()
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert events(StreamParser(), pieces) == events(XMLPullParser(("start", "end")), [data])


@pytest.mark.parametrize("namespace", ["urn:a}b", "}", "urn:a{b", "urn:a b", "{}"])
def test_any_namespace_is_a_namespace(namespace: str) -> None:
    parser = StreamParser()
    parser.feed(f"{OPEN}<message><x xmlns='{namespace}'/></message>".encode())
    *_, (_, message) = parser.read_events()
    assert message.tag == "{jabber:component:accept}message"
    assert [each.tag for each in message] == [f"{{{namespace}}}x"]
    assert tostring(message)


@pytest.mark.parametrize(
    "broken",
    [
        "<a></b>",
        "<p:q/>",
        "<a b='1' b='2'/>",
        "\x01",
        "&lol;",
        "<!DOCTYPE a>",
        "<a xmlns:xml='urn:a'/>",
        "</stream:stream>x",
    ],
)
def test_what_came_before_a_fault_is_read_before_it(broken: str) -> None:
    """Acknowledged or not, a stanza is not lost because rubbish stood behind it in the same packet."""
    parser = StreamParser()
    parser.feed(f"{OPEN}<message/>{broken}".encode())
    reading = parser.read_events()
    assert [next(reading)[0] for _ in range(3)] == ["start", "start", "end"]
    with pytest.raises(ParseError):
        list(reading)
