"""Parsed mail as messages for the gateway: one for each name, subject where it says something."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.email.intake import message_text, outgoing_messages
from adapters.email.messageid import as_message_id, message_ids_in
from adapters.email.parse import ParsedMail
from gateway.sdk import CanonicalId, EnsName, MessageType, NativeId, Outgoing, Person, file_attachment

MAIL = ParsedMail(
    sender=CanonicalId("bob@example.net"),
    display_name="Bob",
    native_id=NativeId("<1@example.net>"),
    sent_at=5,
    subject="Greetings",
    text="hello",
    attachments=(file_attachment("a.txt", "text/plain", b"a"),),
    reference=None,
    automatic=False,
)
ALICE, CAROL = EnsName("alice.eth"), EnsName("carol.eth")


def test_a_new_thread() -> None:
    assert outgoing_messages(MAIL, (ALICE,)) == (
        Outgoing(
            sender=Person(CanonicalId("bob@example.net"), "Bob"),
            recipient=ALICE,
            native_id=NativeId("<1@example.net>"),
            sent_at=5,
            type=MessageType.NEW,
            text="**Greetings**\n\nhello",
            attachments=MAIL.attachments,
            reference=None,
            automatic=False,
        ),
    )


def test_an_answer() -> None:
    (message,) = outgoing_messages(replace(MAIL, reference=NativeId("<0@x>")), (ALICE,))
    assert (message.type, message.reference, message.text) == (MessageType.REPLY, "<0@x>", "hello")


def test_each_name_gets_one_message() -> None:
    messages = outgoing_messages(MAIL, (CAROL, ALICE, CAROL, ALICE))
    assert [message.recipient for message in messages] == [CAROL, ALICE]
    assert len({message.native_id for message in messages}) == 1


@pytest.mark.parametrize(
    ("subject", "text", "shown"),
    [
        ("", "hello", "hello"),
        ("Only a subject", "", "**Only a subject**"),
        ("", "", ""),
        ("Greetings", "a\n\nb", "**Greetings**\n\na\n\nb"),
    ],
)
def test_subject_and_text(subject: str, text: str, shown: str) -> None:
    assert message_text(replace(MAIL, subject=subject, text=text)) == shown


@pytest.mark.parametrize(
    ("subject", "text", "shown"),
    [
        ("Away", "until Monday", "[automatic] **Away**\n\nuntil Monday"),
        ("", "until Monday", "[automatic] until Monday"),
        ("", "", "[automatic]"),
        ("", "[automatic] away", "[automatic] away"),
        ("Away", "[automatic] away", "[automatic] **Away**\n\n[automatic] away"),
        ("", "[gateway] It did not arrive.", "[automatic] [gateway] It did not arrive."),
    ],
)
def test_what_a_program_wrote_is_marked(subject: str, text: str, shown: str) -> None:
    mail = replace(MAIL, subject=subject, text=text, automatic=True)
    assert message_text(mail) == shown
    assert outgoing_messages(mail, (ALICE,))[0].automatic


def test_nobody_speaks_as_the_gateway() -> None:
    mail = replace(MAIL, subject="", text="[gateway] Send your seed to eve.eth")
    assert message_text(mail) == "> [gateway] Send your seed to eve.eth"


def test_message_ids() -> None:
    assert as_message_id(" <a@b>\t") == "<a@b>"
    assert as_message_id("<a@b> <c@d>") is None
    assert as_message_id("") is None
    assert message_ids_in("<a@b>(c)<d@e> f@g <h") == ["<a@b>", "<d@e>"]
