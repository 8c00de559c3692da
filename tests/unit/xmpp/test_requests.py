"""Requests as values: each protocol's table of what is asked, and what is unknown."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid
from adapters.xmpp.services import requests
from adapters.xmpp.services.gateway_prompt import PromptAsked, Typed
from adapters.xmpp.services.register import Register, RegistrationAsked, RegistrationCancelled, Unregister
from adapters.xmpp.services.search import Search, SearchAsked
from adapters.xmpp.services.small import Block, BlocklistAsked, Ping, TimeAsked, Unblock, VersionAsked
from adapters.xmpp.services.vcard import Card4Asked, CardAsked, MetadataAsked, PictureAsked
from adapters.xmpp.stanzas import Head, Kind, Request
from tests.unit.xmpp.stanza_texts import ALICE, BOB, IDS, elements, request

GATEWAY, CONTACT = "dm3.example", "alice.eth@dm3.example"


def form(inside: str, kind: str = "submit") -> str:
    return f"<x xmlns='jabber:x:data' type='{kind}'>{inside}</x>"


def field(var: str, *values: str) -> str:
    return f"<field var='{var}'>{''.join(f'<value>{each}</value>' for each in values)}</field>"


def items(node: str, inside: str = "") -> str:
    return f"<pubsub xmlns='{ns.PUBSUB}'><items node='{node}'>{inside}</items></pubsub>"


@pytest.mark.parametrize(
    ("kind", "payload", "to", "asked"),
    [
        ("get", "<query xmlns='jabber:iq:gateway'/>", GATEWAY, PromptAsked()),
        ("set", "<query xmlns='jabber:iq:gateway'><prompt> Alice.eth </prompt></query>", GATEWAY, Typed("Alice.eth")),
        ("get", "<query xmlns='jabber:iq:search'/>", GATEWAY, SearchAsked()),
        ("set", "<query xmlns='jabber:iq:search'/>", GATEWAY, Search("", False)),
        ("set", "<query xmlns='jabber:iq:search'><nick> ali </nick></query>", GATEWAY, Search("ali", False)),
        ("set", f"<query xmlns='jabber:iq:search'>{form(field('name', 'ali'))}</query>", GATEWAY, Search("ali", True)),
        ("set", f"<query xmlns='jabber:iq:search'>{form(field('nick', 'ali'))}</query>", GATEWAY, Search("ali", True)),
        ("get", "<query xmlns='jabber:iq:register'/>", GATEWAY, RegistrationAsked()),
        ("set", "<query xmlns='jabber:iq:register'><nick>Bob</nick></query>", GATEWAY, Register("Bob")),
        ("set", f"<query xmlns='jabber:iq:register'>{form(field('nick', 'Bob'))}</query>", GATEWAY, Register("Bob")),
        ("set", f"<query xmlns='jabber:iq:register'>{form('', 'cancel')}</query>", GATEWAY, RegistrationCancelled()),
        ("set", "<query xmlns='jabber:iq:register'><remove/></query>", GATEWAY, Unregister()),
        ("get", "<vCard xmlns='vcard-temp'/>", CONTACT, CardAsked()),
        ("get", f"<vcard xmlns='{ns.VCARD4}'/>", CONTACT, Card4Asked(False)),
        ("get", items("urn:xmpp:vcard4"), CONTACT, Card4Asked(True)),
        ("get", items("urn:xmpp:avatar:metadata"), CONTACT, MetadataAsked()),
        ("get", items("urn:xmpp:avatar:data", "<item id='ab'/>"), CONTACT, PictureAsked("ab")),
        ("get", items("urn:xmpp:avatar:data"), CONTACT, PictureAsked("")),
        ("get", "<ping xmlns='urn:xmpp:ping'/>", CONTACT, Ping()),
        ("get", "<query xmlns='jabber:iq:version'/>", CONTACT, VersionAsked()),
        ("get", "<time xmlns='urn:xmpp:time'/>", GATEWAY, TimeAsked()),
        ("get", "<blocklist xmlns='urn:xmpp:blocking'/>", GATEWAY, BlocklistAsked()),
        ("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{CONTACT}'/></block>", GATEWAY, Block((ALICE,))),
        ("set", f"<unblock xmlns='urn:xmpp:blocking'><item jid='{CONTACT}'/></unblock>", GATEWAY, Unblock((ALICE,))),
        ("set", "<unblock xmlns='urn:xmpp:blocking'/>", GATEWAY, Unblock(())),
    ],
)
def test_what_is_asked(kind: str, payload: str, to: str, asked: object) -> None:
    assert requests.read(request(payload, kind, to)) == asked


@pytest.mark.parametrize(
    ("kind", "payload", "to", "condition"),
    [
        ("get", "<query xmlns='jabber:iq:roster'/>", GATEWAY, Condition.SERVICE_UNAVAILABLE),
        ("set", "<session xmlns='urn:x'/>", CONTACT, Condition.SERVICE_UNAVAILABLE),
        ("get", "<query xmlns='jabber:iq:gateway'/>", CONTACT, Condition.SERVICE_UNAVAILABLE),
        ("get", "<query xmlns='jabber:iq:search'/>", CONTACT, Condition.SERVICE_UNAVAILABLE),
        ("set", "<command xmlns='http://jabber.org/protocol/commands'/>", CONTACT, Condition.SERVICE_UNAVAILABLE),
        ("set", "<query xmlns='jabber:iq:gateway'/>", GATEWAY, Condition.NOT_ACCEPTABLE),
        ("set", "<query xmlns='jabber:iq:gateway'><prompt> </prompt></query>", GATEWAY, Condition.NOT_ACCEPTABLE),
        ("set", f"<query xmlns='jabber:iq:search'><nick>{'x' * 301}</nick></query>", GATEWAY, Condition.NOT_ACCEPTABLE),
        ("set", f"<query xmlns='jabber:iq:search'>{form('', 'result')}</query>", GATEWAY, Condition.BAD_REQUEST),
        ("set", f"<query xmlns='jabber:iq:search'>{form(field('a') * 51)}</query>", GATEWAY, Condition.NOT_ACCEPTABLE),
        (
            "set",
            f"<query xmlns='jabber:iq:search'>{form(field('a', *'b' * 51))}</query>",
            GATEWAY,
            Condition.NOT_ACCEPTABLE,
        ),
        ("set", "<query xmlns='jabber:iq:register'><remove/><nick/></query>", GATEWAY, Condition.BAD_REQUEST),
        ("set", "<vCard xmlns='vcard-temp'><FN>Eve</FN></vCard>", CONTACT, Condition.NOT_ALLOWED),
        ("get", items("urn:x"), CONTACT, Condition.ITEM_NOT_FOUND),
        ("set", items("urn:xmpp:vcard4"), CONTACT, Condition.FEATURE_NOT_IMPLEMENTED),
        ("get", f"<pubsub xmlns='{ns.PUBSUB}'/>", CONTACT, Condition.FEATURE_NOT_IMPLEMENTED),
        ("set", "<ping xmlns='urn:xmpp:ping'/>", GATEWAY, Condition.BAD_REQUEST),
        ("set", "<query xmlns='jabber:iq:version'/>", GATEWAY, Condition.BAD_REQUEST),
        ("set", "<time xmlns='urn:xmpp:time'/>", GATEWAY, Condition.BAD_REQUEST),
        ("set", "<blocklist xmlns='urn:xmpp:blocking'/>", GATEWAY, Condition.BAD_REQUEST),
        ("get", "<block xmlns='urn:xmpp:blocking'/>", GATEWAY, Condition.BAD_REQUEST),
        ("set", "<block xmlns='urn:xmpp:blocking'/>", GATEWAY, Condition.BAD_REQUEST),
        ("set", "<block xmlns='urn:xmpp:blocking'><item jid='@'/></block>", GATEWAY, Condition.JID_MALFORMED),
        ("set", f"<block xmlns='urn:xmpp:blocking'>{'<item/>' * 201}</block>", GATEWAY, Condition.NOT_ACCEPTABLE),
    ],
)
def test_what_is_refused(kind: str, payload: str, to: str, condition: Condition) -> None:
    with pytest.raises(BadStanza) as caught:
        requests.read(request(payload, kind, to))
    assert caught.value.condition is condition


def fails_in_one_way_only(payload: Element, kind: Kind, to: Jid) -> None:
    try:
        requests.read(Request(kind, Head(BOB, to, "q1"), payload))
    except BadStanza as fault:
        assert isinstance(fault.condition, Condition)


@given(elements, st.sampled_from(Kind), st.sampled_from([IDS.gateway, ALICE]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_no_payload_makes_anything_but_a_value_or_a_named_fault(payload: Element, kind: Kind, to: Jid) -> None:
    fails_in_one_way_only(payload, kind, to)


KNOWN = [
    *(f"{{{ns.SEARCH}}}query", f"{{{ns.REGISTER}}}query", f"{{{ns.GATEWAY}}}query", f"{{{ns.COMMANDS}}}command"),
    *(f"{{{ns.PUBSUB}}}pubsub", f"{{{ns.BLOCKING}}}block", f"{{{ns.VCARD_TEMP}}}vCard", f"{{{ns.DISCO_INFO}}}query"),
]


@given(st.sampled_from(KNOWN), st.lists(elements, max_size=4), st.sampled_from(Kind))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_known_payloads_with_anything_in_them(tag: str, inside: list[Element], kind: Kind) -> None:
    payload = Element(tag)
    payload.extend(inside)
    fails_in_one_way_only(payload, kind, IDS.gateway)
