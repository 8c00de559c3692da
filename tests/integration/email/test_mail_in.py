"""Whole mails at the door: who they are from, whom they reach, what is refused, what a bounce may do."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from adapters.email.returnpath import ReturnPath
from gateway.sdk import (
    BridgedPerson,
    CanonicalId,
    EnsName,
    FileContent,
    InvalidInput,
    MessageHash,
    MessageType,
    Network,
    UnknownName,
    attachment_content,
)
from gateway.sdk.addresses import punycode_localpart
from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.talk import letter

LONG_NAME = EnsName(".".join(["a" * 20] * 4) + ".eth")


async def test_a_mail_of_the_standard_library(door: Door) -> None:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "Jörg Müller <bob@example.net>"
    mail["To"] = "alice.eth@gw.example"
    mail["Subject"] = "Grüße"
    mail["Message-ID"] = "<1@example.net>"
    mail["In-Reply-To"] = "<0@gw.example>"
    mail.set_content("Schöner Text\nmit Zeilen\n")
    mail.add_alternative("<p>Schöner <b>Text</b></p>", subtype="html")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="bïld.png")

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", door.adapter.mx_port or 0, local_hostname="client") as client:
            client.send_message(mail)

    await asyncio.to_thread(send)
    (taken,) = door.ctx.taken
    assert (taken.sender.canonical_id, taken.sender.display_name) == ("bob@example.net", "Jörg Müller")
    assert (taken.type, taken.reference) == (MessageType.REPLY, "<0@gw.example>")
    assert taken.text == "**Grüße**\n\nSchöner Text\nmit Zeilen"
    assert [attachment_content(each, max_bytes=100) for each in taken.attachments] == [
        FileContent("bïld.png", "image/png", b"\x89PNG")
    ]


async def test_one_mail_for_two_names_is_one_transaction(door: Door) -> None:
    recipients = ("alice.eth@gw.example", "carol.eth@gw.example", "ALICE.eth@gw.example")
    async with door.talk() as talk:
        assert (await talk.mail(letter("both"), *recipients)).startswith("250")
    assert [taken.recipient for taken in door.ctx.taken] == ["alice.eth", "carol.eth"]


async def test_a_refused_recipient_does_not_keep_the_others_waiting(door: Door) -> None:
    async with door.talk() as talk:
        replies = await talk.begin("nobody.eth@gw.example", "alice.eth@gw.example")
        assert [reply[:3] for reply in replies] == ["250", "550", "250", "354"]
        await talk.send(letter() + b"\r\n.\r\n")
        assert (await talk.reply()).startswith("250")
    assert [taken.recipient for taken in door.ctx.taken] == ["alice.eth"]


async def test_a_second_copy_is_accepted_and_taken_once(door: Door) -> None:
    async with door.talk() as talk:
        for _ in range(2):
            assert (await talk.mail(letter("once", "Message-ID: <1@x>"))).startswith("250")
    assert len(door.ctx.taken) == 1


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (letter(sender="eve@example.com"), "550 5.7.1"),
        (letter(sender="bob@example.net, eve@example.net"), "550 5.6.0"),
        (b"Subject: no sender\r\n\r\nx", "550 5.6.0"),
        (b"", "550 5.6.0"),
        (letter("x", "X-DM3-Gateway: gw.example"), "554 5.4.6"),
        (letter("x", *["Received: by x"] * 51), "554 5.4.6"),
        (letter("x", "X-Big: " + "\r\n y" * 20_000), "554 5.6.0"),
        (letter("x", *[f"X-{number}: y" for number in range(1_100)]), "554 5.6.0"),
        (letter("--b\r\n\r\n" * 2_000, "Content-Type: multipart/mixed; boundary=b"), "554 5.6.0"),
    ],
    ids=["other From", "two Froms", "no From", "empty", "own trace", "hops", "header bomb", "headers", "part bomb"],
)
async def test_mails_that_are_refused(door: Door, content: bytes, reply: str) -> None:
    async with door.talk() as talk:
        assert (await talk.mail(content)).startswith(reply)
        assert (await talk.mail(letter("next"))).startswith("250")
    assert [taken.text for taken in door.ctx.taken] == ["next"]


async def test_what_the_gateway_refuses_is_refused(door: Door) -> None:
    async with door.talk() as talk:
        for fault, reply in ((InvalidInput("never"), "554 5.6.0"), (UnknownName("gone"), "550 5.1.1")):
            await talk.begin()
            door.ctx.fault = fault
            await talk.send(letter() + b"\r\n.\r\n")
            assert (await talk.reply()).startswith(reply)
            door.ctx.fault = None


async def test_a_long_name_is_reached_by_its_alias(door: Door) -> None:
    door.ctx.known_names.add(LONG_NAME)
    alias = punycode_localpart(LONG_NAME).text
    await door.ctx.put_alias(alias, LONG_NAME)
    async with door.talk() as talk:
        assert (await talk.mail(letter(), f"{alias}@gw.example")).startswith("250")
    assert door.ctx.taken[0].recipient == LONG_NAME


@pytest.mark.parametrize("box", ["postmaster@gw.example", "Abuse@gw.example", "postmaster"])
async def test_the_operator_gets_what_is_for_the_postmaster(open_door: OpenDoor, box: str) -> None:
    door = await open_door(operator="carol.eth")
    async with door.talk() as talk:
        assert (await talk.mail(letter("complaint"), box)).startswith("250")
    assert door.ctx.taken[0].recipient == "carol.eth"


async def test_automatic_mail_is_marked(door: Door) -> None:
    async with door.talk() as talk:
        await talk.mail(letter("away", "Auto-Submitted: auto-replied"))
    assert door.ctx.taken[0].automatic


@pytest.fixture
async def bounce_door(open_door: OpenDoor, tmp_path_factory: pytest.TempPathFactory) -> Door:
    path = tmp_path_factory.mktemp("key") / "return-path.key"
    path.write_text("ab" * 32)
    return await open_door(return_path_key_file=path)


def return_path(door: Door, key: bytes = b"\xab" * 32) -> str:
    return ReturnPath("gw.example", key).address(MessageHash("0x" + "cd" * 32), door.ctx.now_ms())


async def test_a_bounce_to_our_return_path_is_noted(bounce_door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    async with bounce_door.talk() as talk:
        await talk.say("MAIL FROM:<>")
        assert (await talk.say(f"RCPT TO:<{return_path(bounce_door)}>")).startswith("250")
        await talk.say("DATA")
        await talk.send(b"From: mailer-daemon@example.net\r\n\r\nno such user\r\n.\r\n")
        assert (await talk.reply()) == "250 2.0.0 Bounce noted"
    assert bounce_door.ctx.taken == []
    assert "0x" + "cd" * 16 in capsys.readouterr().out


async def test_other_mail_without_a_sender_is_refused(bounce_door: Door) -> None:
    forged = return_path(bounce_door, key=bytes(32))
    async with bounce_door.talk() as talk:
        assert (await talk.say("MAIL FROM:<>")).startswith("250")
        for recipient in (
            "alice.eth@gw.example",
            forged,
            "postmaster@gw.example",
            "b+@gw.example",
            "nobody@gw.example",
        ):
            assert (await talk.say(f"RCPT TO:<{recipient}>")).startswith("550 5.7.1")
        assert (await talk.say("RCPT TO:<alice.eth@example.net>")).startswith("550 5.7.1")


async def test_ordinary_mail_to_the_return_path_is_refused(bounce_door: Door) -> None:
    """When it is there: a program's answer would be heard."""
    async with bounce_door.talk() as talk:
        assert (await talk.mail(letter(), return_path(bounce_door))).startswith("550 5.1.1")
        assert (await talk.mail(letter(), return_path(bounce_door), "alice.eth@gw.example")).startswith("550 5.1.1")
    assert bounce_door.ctx.taken == []


async def test_a_flood_of_null_senders_causes_no_answer(bounce_door: Door) -> None:
    async with bounce_door.talk() as talk:
        for _ in range(200):
            await talk.send(b"MAIL FROM:<>\r\nRCPT TO:<alice.eth@gw.example>\r\nRSET\r\n")
            assert [(await talk.reply())[:3] for _ in range(3)] == ["250", "550", "250"]
    assert bounce_door.ctx.taken == []


async def test_mail_to_somebody_with_a_mailbox_is_refused_before_it_is_sent(door: Door) -> None:
    """It would go out as mail again, and two mailboxes that forward to each other's names make a loop of that."""
    network = door.adapter.name
    carol, dave = EnsName("carol.example.org.email.gw.eth"), EnsName("dave.eth")
    owner = BridgedPerson(network, CanonicalId("dave@example.org"), dave, "")
    other = BridgedPerson(Network("xmpp"), CanonicalId("erin@example.org"), EnsName("erin.eth"), "")
    door.ctx.issued |= {owner.canonical_id: owner, other.canonical_id: other}
    door.ctx.known_names |= {carol, dave, other.name}
    async with door.talk() as talk:
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("250")
        for name in (carol, dave):
            reply = await talk.say(f"RCPT TO:<{name}@gw.example>")
            assert reply.startswith("550 5.7.1")
            assert "write to their mail address" in reply
        assert (await talk.say(f"RCPT TO:<{other.name}@gw.example>")).startswith("250")
