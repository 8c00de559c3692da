"""The table for what a network cannot show: visible stand-ins, nothing lost but receipts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdk import (
    CanonicalId,
    Capabilities,
    Delivery,
    EnsName,
    MessageHash,
    MessageType,
    NativeId,
    Reference,
    TextFormat,
    degrade,
    file_attachment,
)
from gateway.sdk.degrade import DEGRADED, StandIn, stand_in

PLAIN = Capabilities(
    types=frozenset({MessageType.NEW}),
    max_text=1000,
    max_attachments=1,
    max_attachment_bytes=1000,
    text_format=TextFormat.PLAIN,
    idempotent=False,
    ordered=False,
)
DELIVERY = Delivery(
    key="ab" * 32,
    recipient=CanonicalId("bob@example.net"),
    recipient_name=EnsName("bob.example.net.email.gw.eth"),
    sender=EnsName("alice.eth"),
    verified=True,
    type=MessageType.NEW,
    text="hello",
    attachments=(file_attachment("a.txt", "text/plain", b"a"),),
    message_hash=MessageHash("0x" + "cd" * 32),
    sent_at=1,
    reference=Reference(MessageHash("0x" + "ef" * 32), NativeId("<1@example.net>")),
)
RECEIPTS = (MessageType.READ_RECEIVED, MessageType.READ_OPENED)


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        (MessageType.REPLY, "yes", "yes"),
        (MessageType.EDIT, "helo", "Correction: helo"),
        (MessageType.REACTION, "\U0001f44d", "Reacted with \U0001f44d"),
        (MessageType.DELETE_REQUEST, "", "Asked you to delete an earlier message."),
        (MessageType.RESEND_REQUEST, "", "Asked you to send an earlier message again."),
    ],
)
def test_what_people_see_instead(kind: MessageType, text: str, shown: str) -> None:
    degraded = degrade(replace(DELIVERY, type=kind, text=text), PLAIN)
    assert degraded is not None
    assert (degraded.type, degraded.text) == (MessageType.NEW, shown)


@pytest.mark.parametrize("kind", RECEIPTS)
def test_receipts_vanish(kind: MessageType) -> None:
    assert degrade(replace(DELIVERY, type=kind), PLAIN) is None


@pytest.mark.parametrize("kind", MessageType)
def test_declared_types_stay_untouched(kind: MessageType) -> None:
    delivery = replace(DELIVERY, type=kind)
    assert degrade(delivery, replace(PLAIN, types=frozenset({kind}))) is delivery


def test_every_type_but_new_has_a_row() -> None:
    assert set(DEGRADED) == set(MessageType) - {MessageType.NEW}


@pytest.mark.parametrize("kind", sorted(set(MessageType) - {MessageType.NEW, *RECEIPTS}))
def test_a_stand_in_keeps_identity_and_thread(kind: MessageType) -> None:
    degraded = degrade(replace(DELIVERY, type=kind), PLAIN)
    assert degraded is not None
    assert replace(degraded, type=kind, text=DELIVERY.text) == replace(DELIVERY, type=kind)


@given(text=st.text(), kind=st.sampled_from([MessageType.REPLY, MessageType.EDIT, MessageType.REACTION]))
def test_text_is_carried_whole_whatever_it_is(text: str, kind: MessageType) -> None:
    degraded = degrade(replace(DELIVERY, type=kind, text=text), PLAIN)
    assert degraded is not None
    assert degraded.text.endswith(text)


@given(
    kind=st.sampled_from(MessageType),
    text=st.text(),
    supported=st.frozensets(st.sampled_from(MessageType)).map(lambda types: types | {MessageType.NEW}),
)
def test_a_receiver_gets_only_types_that_it_has(
    kind: MessageType, text: str, supported: frozenset[MessageType]
) -> None:
    shown = stand_in(kind, text, supported)
    if shown is None:
        assert kind in RECEIPTS
        assert kind not in supported
        return
    assert shown.type in supported
    if kind in supported:
        assert shown == StandIn(kind, text)


@given(kind=st.sampled_from(MessageType), text=st.text(), supported=st.frozensets(st.sampled_from(MessageType)))
def test_both_directions_say_the_same(kind: MessageType, text: str, supported: frozenset[MessageType]) -> None:
    """An adapter that declares a set of types and a recipient who lists it get the same words."""
    delivered = degrade(replace(DELIVERY, type=kind, text=text), replace(PLAIN, types=supported))
    shown = stand_in(kind, text, supported)
    assert (delivered is None) == (shown is None)
    if delivered is not None and shown is not None:
        assert (delivered.type, delivered.text) == (shown.type, shown.text)
