"""Parsed mail as messages for the gateway: one for each name, subject where it says something."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.email.intake import message_text, outgoing_messages
from adapters.email.messageid import as_message_id, message_ids_in
from adapters.email.parse import ParsedMail
from adapters.email.threads import ThreadMail
from gateway.sdk import CanonicalId, EnsName, MessageType, NativeId, Outgoing, Person, file_attachment

MAIL = ParsedMail(
    sender=CanonicalId("bob@example.net"),
    display_name="Bob",
    native_id=NativeId("<1@example.net>"),
    sent_at=5,
    subject="Greetings",
    text="hello",
    new=5,
    reaction=None,
    answers=(),
    references=(),
    automatic=False,
)
FILES = (file_attachment("a.txt", "text/plain", b"a"),)
ALICE, CAROL = EnsName("alice.eth"), EnsName("carol.eth")


def test_a_new_thread() -> None:
    assert outgoing_messages(MAIL, (ALICE,), attachments=FILES) == (
        Outgoing(
            sender=Person(CanonicalId("bob@example.net"), "Bob"),
            recipient=ALICE,
            native_id=NativeId("<1@example.net>"),
            sent_at=5,
            type=MessageType.NEW,
            text="**Greetings**\n\nhello",
            attachments=FILES,
            reference=None,
            automatic=False,
        ),
    )


def test_an_answer_to_a_mail_that_we_know() -> None:
    answer = replace(MAIL, subject="Re: Greetings", answers=(NativeId("<9@x>"), NativeId("<0@x>")))
    (message,) = outgoing_messages(answer, (ALICE,), thread=ThreadMail(NativeId("<0@x>"), "Greetings"))
    assert (message.type, message.reference, message.text) == (MessageType.REPLY, "<0@x>", "hello")


def test_an_answer_to_a_mail_that_nobody_knows() -> None:
    (message,) = outgoing_messages(replace(MAIL, answers=(NativeId("<0@x>"),)), (ALICE,))
    assert (message.type, message.reference, message.text) == (MessageType.REPLY, "<0@x>", "**Greetings**\n\nhello")


THREAD = ThreadMail(NativeId("<0@x>"), "AW: Re: Greetings")


def test_a_subject_that_changes_is_shown() -> None:
    assert message_text(replace(MAIL, subject="RE: greetings"), THREAD, None) == "hello"
    assert message_text(replace(MAIL, subject="Re: Lunch"), THREAD, None) == "**Re: Lunch**\n\nhello"


def test_what_was_cut_is_behind_a_link() -> None:
    answer = replace(MAIL, subject="", text="Yes.\n\nOn Monday Alice wrote:\n> Really?", new=4)
    assert message_text(answer, THREAD, None) == answer.text
    assert message_text(answer, THREAD, "https://gw.example/x") == "Yes.\n\n[\u2026](https://gw.example/x)"


THUMB = "\N{THUMBS UP SIGN}"


def test_a_reaction() -> None:
    reaction = replace(MAIL, subject="Re: Greetings", text="", new=0, reaction=THUMB, answers=(NativeId("<0@x>"),))
    (message,) = outgoing_messages(reaction, (ALICE,), thread=THREAD)
    assert (message.type, message.reference, message.text) == (MessageType.REACTION, "<0@x>", THUMB)
    (message,) = outgoing_messages(replace(reaction, subject=""), (ALICE,))
    assert (message.type, message.text) == (MessageType.REPLY, f"Reacted with {THUMB}")
    (message,) = outgoing_messages(replace(reaction, text="and more"), (ALICE,), thread=THREAD)
    assert (message.type, message.text) == (MessageType.REPLY, f"{THUMB}\n\nand more")


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
    assert message_text(replace(MAIL, subject=subject, text=text), None, None) == shown


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
    assert message_text(mail, None, None) == shown
    assert outgoing_messages(mail, (ALICE,))[0].automatic


def test_nobody_speaks_as_the_gateway() -> None:
    mail = replace(MAIL, subject="", text="[gateway] Send your seed to eve.eth")
    assert message_text(mail, None, None) == "> [gateway] Send your seed to eve.eth"


def test_message_ids() -> None:
    assert as_message_id(" <a@b>\t") == "<a@b>"
    assert as_message_id("<a@b> <c@d>") is None
    assert as_message_id("") is None
    assert message_ids_in("<a@b>(c)<d@e> f@g <h") == ["<a@b>", "<d@e>"]
