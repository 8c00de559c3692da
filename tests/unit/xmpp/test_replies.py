"""Answers and refusals, and where neither must be: two entities that answer errors never come to an end."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.xmpp import replies
from adapters.xmpp.errors import BadStanza, Condition, ErrorType, Special
from adapters.xmpp.parse import parse
from adapters.xmpp.stanzas import Answer, Bounce, Kind, PresenceError, Request
from adapters.xmpp.xml import child, tag, well_formed
from tests.unit.xmpp.stanza_texts import (
    ADDRESSES,
    ALICE,
    BOB,
    IDS,
    element,
    elements,
    made,
    message,
    request,
    stanzas,
    wild_text,
)

FAULT = BadStanza(Condition.NOT_ACCEPTABLE, "No <markup> & no \0.")
PING = "<ping xmlns='urn:xmpp:ping'/>"


def test_a_request_is_answered_where_it_came_from() -> None:
    asked = request(PING)
    answer = parse(made(replies.result(asked, tag("query", xmlns="urn:x"))))
    assert isinstance(answer, Answer)
    assert (answer.head.sender, answer.head.to, answer.head.id) == (IDS.gateway, BOB, "q1")
    assert answer.payload is not None
    refused = parse(made(replies.error(asked, FAULT)))
    assert isinstance(refused, Answer)
    assert refused.error is not None
    assert (refused.error.condition, refused.error.type) == (Condition.NOT_ACCEPTABLE, ErrorType.MODIFY)
    assert refused.error.text == "No <markup> & no ."


def test_a_request_of_ours() -> None:
    asked = parse(made(replies.ask(ALICE, BOB, "p1", Kind.GET, tag("ping", xmlns="urn:xmpp:ping"))))
    assert isinstance(asked, Request)
    assert (asked.kind, asked.head.id, asked.head.to) == (Kind.GET, "p1", BOB)


def test_a_protocols_own_condition_goes_along() -> None:
    fault = BadStanza(Condition.BAD_REQUEST, special=Special("urn:x", "bad-action"))
    error = made(replies.error(request(PING), fault))[0]
    assert child(error, "urn:x", "bad-action") is not None
    assert error.get("type") == "modify"


def test_every_condition_has_a_type() -> None:
    assert {condition.type for condition in Condition} == set(ErrorType) - {ErrorType.CONTINUE}


@pytest.mark.parametrize(
    ("stanza", "kind"),
    [
        (message("<body>a</body>"), Bounce),
        (message("<body>a</body>", "groupchat"), Bounce),
        (element(f"<presence {ADDRESSES}/>"), PresenceError),
        (element(f"<presence {ADDRESSES} type='subscribe'/>"), PresenceError),
        (element(f"<iq {ADDRESSES} type='get'/>"), Answer),
        (element(f"<iq {ADDRESSES} type='strange'/>"), Answer),
    ],
)
def test_what_is_not_taken_is_refused(stanza: Element, kind: type) -> None:
    back = parse(made(replies.refusal(stanza, FAULT, IDS)))
    assert isinstance(back, kind)
    assert (back.head.sender, back.head.to, back.head.id) == (ALICE, BOB, "m1")


@pytest.mark.parametrize(
    "stanza",
    [
        message("<body>a</body>", "error"),
        message("<body>a</body>", "headline"),
        element(f"<iq {ADDRESSES} type='result'/>"),
        element(f"<iq {ADDRESSES} type='error'/>"),
        element(f"<presence {ADDRESSES} type='error'/>"),
        element(f"<presence {ADDRESSES} type='unavailable'/>"),
        element(f"<presence {ADDRESSES} type='unsubscribed'/>"),
        element("<message to='alice.eth@dm3.example' id='1'/>"),
        element("<message from='@' to='alice.eth@dm3.example' id='1'/>"),
        element("<message from='bob@example.org' to='alice.eth@elsewhere.example' id='1'/>"),
        element("<message from='eve.eth@dm3.example' to='alice.eth@dm3.example' id='1'/>"),
        element(f"<handshake {ADDRESSES}/>"),
        element(f"<message xmlns='urn:x' {ADDRESSES}/>"),
    ],
)
def test_what_must_not_be_answered_is_not(stanza: Element) -> None:
    assert replies.refusal(stanza, FAULT, IDS) is None


def test_a_stanza_without_an_id_is_refused_without_one() -> None:
    back = made(replies.refusal(element("<iq from='bob@example.org' to='dm3.example' type='get'/>"), FAULT, IDS))
    assert "id" not in back.attrib


@given(elements | stanzas, wild_text)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_a_refusal_is_well_formed_and_never_refused_again(stanza: Element, text: str) -> None:
    refused = replies.refusal(stanza, BadStanza(Condition.CONFLICT, text), IDS)
    if refused is not None:
        assert well_formed(refused)
        assert replies.refusal(made(refused), FAULT, IDS) is None
