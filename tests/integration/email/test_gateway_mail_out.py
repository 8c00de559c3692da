"""Mail of the gateway's own, sent to a mail server of somebody else by real SMTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.sdk import CanonicalId, Delivered, MailNotice, Rejected, Retry, SendsNotices, Unavailable
from tests.integration.email.conftest import Door
from tests.integration.email.peers import Mailbox
from tests.integration.email.test_mail_out import post_office

NOTICE = MailNotice(
    key="abc", recipient=CanonicalId("bob@example.net"), subject="DM3 New Message", text="You received a new message.\n"
)


def test_the_adapter_says_that_it_can() -> None:
    adapter: object = EmailAdapter(EmailSettings.model_validate({"domain": "gw.example"}))
    assert isinstance(adapter, SendsNotices)


async def test_a_notice_arrives() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        outcome = await adapter.send_notice(NOTICE)
    [mail] = mailbox.mails
    assert outcome == Delivered(mail["Message-ID"])
    assert mail["From"] == "DM3 gateway <noreply@gw.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().strip() == "You received a new message."
    [envelope] = mailbox.envelopes
    assert envelope.rcpt_tos == ["bob@example.net"]


async def test_bounces_come_to_a_return_path_that_takes_them() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, ctx, _):
        await adapter.send_notice(NOTICE)
        sender = mailbox.envelopes[0].mail_from
        assert sender is not None
        door = Door(adapter, ctx)
        async with door.talk() as talk:
            assert (await talk.say("MAIL FROM:<>")).startswith("250")
            assert (await talk.say(f"RCPT TO:<{sender}>")).startswith("250")


async def test_nobody_can_write_to_the_address_in_from() -> None:
    async with (
        post_office(Mailbox(), allowed_senders=("example.net",)) as (adapter, ctx, _),
        Door(adapter, ctx).talk() as talk,
    ):
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("250")
        assert (await talk.say("RCPT TO:<noreply@gw.example>")).startswith("550")


@pytest.mark.weakness(13)
@pytest.mark.attack(25)
@pytest.mark.parametrize(
    "evil",
    [
        "x\r\nBcc: eve@example.net\r\n\r\n<script>alert(1)</script>",
        "x\n.\nMAIL FROM:<eve@example.net>\nRCPT TO:<eve@example.net>\nDATA\n",
        "x\r\n.\r\nRSET\r\n",
        "\0\x07\x1b[31m",
        "=?utf-8?q?=0D=0ABcc:_eve=40example.net?=",
    ],
    ids=repr,
)
async def test_hostile_text_stays_in_its_place(evil: str) -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        assert isinstance(await adapter.send_notice(replace(NOTICE, subject=evil, text=evil)), Delivered)
    [mail] = mailbox.mails
    [envelope] = mailbox.envelopes
    assert envelope.rcpt_tos == ["bob@example.net"]
    assert mail["Bcc"] is None
    assert mail["To"] == "bob@example.net"
    assert mail.get_content_type() == "text/plain"
    assert not mail.is_multipart()


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"RCPT": "550 5.1.1 no such mailbox"}, Rejected),
        ({"DATA": "554 5.7.1 no"}, Rejected),
        ({"RCPT": "450 4.7.1 greylisted"}, Retry),
        ({"DATA": "451 4.3.0 later"}, Retry),
    ],
)
async def test_answers_of_the_mail_server(answers: dict[str, str], kind: type) -> None:
    mailbox = Mailbox(answers=answers)
    async with post_office(mailbox) as (adapter, _, _):
        assert isinstance(await adapter.send_notice(NOTICE), kind)


@pytest.mark.weakness(13)
@pytest.mark.attack(25)
async def test_an_address_that_reads_as_an_encoded_word_is_refused() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        evil = replace(NOTICE, recipient=CanonicalId("=?utf-8?q?=0d=0abcc=3a_eve?=@example.net"))
        assert isinstance(await adapter.send_notice(evil), Rejected)
    assert mailbox.mails == []


async def test_our_own_domain_gets_no_notices() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        own = replace(NOTICE, recipient=CanonicalId("alice.eth@gw.example"))
        assert isinstance(await adapter.send_notice(own), Rejected)
    assert mailbox.mails == []


async def test_before_it_is_open_the_adapter_is_not_available() -> None:
    adapter = EmailAdapter(EmailSettings.model_validate({"domain": "gw.example"}))
    with pytest.raises(Unavailable):
        await adapter.send_notice(NOTICE)
