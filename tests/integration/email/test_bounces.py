"""A mail goes out and its bounce comes back, over real SMTP: what the DM3 sender is told, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.sdk import NOTICE_MARK, Delivered, EnsName, MessageHash, MessageType, Outgoing, Unavailable
from gateway.sdk.testing import MemoryContext
from tests.integration.email.conftest import Door
from tests.integration.email.peers import Mailbox, Zone
from tests.integration.email.talk import Talk
from tests.integration.email.test_mail_out import delivery, post_office
from tests.unit.email.test_dsn import POSTFIX, dsn


@dataclass
class Posted:
    """One mail that is out, and the door that its bounce comes to."""

    ctx: MemoryContext
    door: Door
    mailbox: Mailbox
    return_path: str
    message_id: str
    zone: Zone

    async def bounce(self, content: bytes, recipient: str = "", sender: str = "") -> str:
        """Bring a bounce; the last reply."""
        async with self.door.talk() as talk:
            return await bring(talk, content, recipient or self.return_path, sender)

    @property
    def told(self) -> list[Outgoing]:
        return self.ctx.taken


async def bring(talk: Talk, content: bytes, recipient: str, sender: str = "") -> str:
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
        reply = await talk.say(command)
        if not reply.startswith(("250", "354")):
            return reply
    await talk.send(content + b"\r\n.\r\n")
    return await talk.reply()


@asynccontextmanager
async def posted(**settings: Any) -> AsyncIterator[Posted]:
    mailbox = Mailbox()
    async with post_office(mailbox, **settings) as (adapter, ctx, zone):
        outcome = await adapter.deliver(delivery(adapter))
        assert isinstance(outcome, Delivered)
        sender = mailbox.envelopes[0].mail_from
        assert sender is not None
        yield Posted(ctx, Door(adapter, ctx), mailbox, sender, outcome.native_id, zone)


async def test_a_final_failure_is_told_to_the_sender_once() -> None:
    async with posted() as mail:
        original = f"Message-ID: {mail.message_id}\n"
        for _ in range(3):
            assert (await mail.bounce(dsn(POSTFIX, original=original))) == "250 2.0.0 Bounce noted"
        (told,) = mail.told
        assert (told.sender.canonical_id, told.recipient) == ("bob@example.net", "native.eth")
        assert (told.type, told.reference, told.automatic) == (MessageType.REPLY, mail.message_id, True)
        assert told.text.startswith(
            f"{NOTICE_MARK}Your message did not reach bob@example.net: there is no such mailbox"
        )
        assert len(mail.mailbox.envelopes) == 1, "a bounce is answered by nothing"


async def test_letters_of_the_return_path_may_change_their_case() -> None:
    async with posted() as mail:
        assert (await mail.bounce(dsn(POSTFIX), mail.return_path.upper())).startswith("250")
        assert len(mail.told) == 1


@pytest.mark.parametrize(
    "fields", ["Action: delayed\nStatus: 4.4.1", "Action: relayed\nStatus: 2.0.0", "Action: delivered\nStatus: 2.0.0"]
)
async def test_what_is_under_way_makes_no_noise(fields: str) -> None:
    async with posted() as mail:
        assert (await mail.bounce(dsn(fields))).startswith("250")
        assert mail.told == []
        assert (await mail.bounce(dsn(POSTFIX))).startswith("250")
        assert len(mail.told) == 1, "what fails in the end is told"


async def test_somebody_is_away() -> None:
    """RFC 3834, section 4: a program's answer goes to the return path, from the null sender."""
    away = b"From: bob@example.net\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nBack on Monday. Code 5.1.1."
    async with posted() as mail:
        for _ in range(2):
            assert (await mail.bounce(away)).startswith("250")
        (told,) = mail.told
        assert told.automatic
        assert told.text == (
            f"{NOTICE_MARK}An automatic answer to your message came from the mailbox of bob@example.net:"
            ' "Back on Monday. Code 5.1.1."'
        )
        assert len(mail.mailbox.envelopes) == 1


AWAY = b"From: bob@example.net\r\nSubject: Away\r\n%s\r\nBack on Monday."


@pytest.mark.parametrize(
    "field",
    [
        b"Auto-Submitted: auto-replied\r\n",
        b"Precedence: bulk\r\n",
        b"X-Autoreply: yes\r\n",
        b"X-Auto-Response-Suppress: All\r\n",
    ],
)
async def test_somebody_is_away_and_the_program_has_an_address(field: bytes) -> None:
    """RFC 3834 wants the null sender, and not every program does as it wants."""
    async with posted() as mail:
        for _ in range(2):
            assert (await mail.bounce(AWAY % field, sender="bob@example.net")) == "250 2.0.0 Bounce noted"
        (told,) = mail.told
        assert told.automatic
        assert told.text.endswith('came from the mailbox of bob@example.net: "Back on Monday."')
        assert len(mail.mailbox.envelopes) == 1, "it is answered by nothing"


async def test_nobody_reads_at_the_return_path() -> None:
    """Whoever writes there by hand learns it, and the mail is not lost in silence."""
    async with posted() as mail:
        assert (await mail.bounce(AWAY % b"", sender="bob@example.net")).startswith("550 5.1.1")
        cut = mail.return_path.removesuffix("@gw.example")[:-5] + "@gw.example"
        assert (await mail.bounce(AWAY % b"Precedence: bulk\r\n", cut, "bob@example.net")).startswith("550 5.1.1")
        assert mail.told == []


@pytest.mark.attack(47)
async def test_an_automatic_answer_with_a_forged_address_is_refused() -> None:
    async with posted(allowed_networks=("192.0.2.0/24",)) as mail:
        mail.zone.records = {**mail.zone.records, "_dmarc.example.net TXT": ['"v=DMARC1; p=reject"']}
        reply = await mail.bounce(AWAY % b"Auto-Submitted: auto-replied\r\n", sender="bob@example.net")
        assert reply.startswith("550 5.7.1")
        assert mail.told == []


async def test_a_forged_return_path_is_refused() -> None:
    async with posted() as mail:
        local, _, domain = mail.return_path.partition("@")
        flipped = local[:-5] + ("a" if local[-5] != "a" else "b") + local[-4:]
        assert (await mail.bounce(dsn(POSTFIX), f"{flipped}@{domain}")).startswith("550 5.7.1")
        assert (await mail.bounce(dsn(POSTFIX), "native.eth@gw.example")).startswith("550 5.7.1")
        assert mail.told == []


async def test_the_token_decides_and_not_what_is_written_in_the_bounce() -> None:
    """Whoever has one return path cannot make another message of ours fail."""
    async with posted() as mail:
        other = delivery(mail.door.adapter, sender=EnsName("other.eth"), message_hash=MessageHash("0x" + "ef" * 32))
        outcome = await mail.door.adapter.deliver(other)
        assert isinstance(outcome, Delivered)
        await mail.bounce(dsn(POSTFIX, original=f"Message-ID: {outcome.native_id}\n"))
        (told,) = mail.told
        assert (told.recipient, told.reference) == ("native.eth", mail.message_id)


async def test_where_the_token_tells_nothing_the_message_id_does() -> None:
    async with posted() as mail:
        texts = mail.ctx.values.texts
        (key,) = [key for key in texts if key[0] == "sent"]
        kept = texts.pop(key)
        assert (await mail.bounce(dsn(POSTFIX, original=f"Message-ID: {mail.message_id}\n"))).startswith("250")
        assert mail.told == []
        other = delivery(mail.door.adapter, sender=EnsName("other.eth"), message_hash=MessageHash("0x" + "ef" * 32))
        outcome = await mail.door.adapter.deliver(other)
        assert isinstance(outcome, Delivered)
        await mail.bounce(dsn(POSTFIX, original=f"Message-ID: {outcome.native_id}\n"))
        assert [told.recipient for told in mail.told] == ["other.eth"]
        assert kept


async def test_a_bounce_that_cannot_be_kept_now_comes_again() -> None:
    async with posted() as mail:
        mail.ctx.fault = Unavailable("the store does not answer")
        assert (await mail.bounce(dsn(POSTFIX))).startswith("451")
        mail.ctx.fault = None
        assert (await mail.bounce(dsn(POSTFIX))).startswith("250")
        assert len(mail.told) == 1


@pytest.mark.attack(25)
async def test_a_bomb_in_place_of_a_bounce() -> None:
    bomb = b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 2_000
    async with posted() as mail:
        assert (await mail.bounce(bomb)).startswith("554 5.6.0")
        assert mail.told == []
