"""A thread is between one name and one person: nobody else's words go out in our signed answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest

from gateway.sdk import CanonicalId, Delivered, EnsName, InvalidInput, MessageHash, MessageType, NativeId, Reference
from tests.integration.email.conftest import STRANGERS, Door
from tests.integration.email.peers import Mailbox
from tests.integration.email.talk import letter
from tests.integration.email.test_mail_out import ONE_SERVER, delivery, post_office

BOB, MALLORY = CanonicalId("bob@example.net"), CanonicalId("mallory@example.net")
QUESTION = ("Message-ID: <1@example.net>", "References: <0@example.net>", "Subject: A question")
HERS = ("Message-ID: <1@example.net>", "References: <her@example.net>", "Subject: Her words")


@dataclass
class Office:
    """A door, and a mailbox for what goes out."""

    door: Door
    mailbox: Mailbox

    async def take(self, *headers: str, sender: str = BOB, to: str = "alice.eth", text: str = "hello") -> str:
        """A mail from somebody; the reply to it."""
        async with self.door.talk() as talk:
            return await talk.mail(letter(text, *headers, sender=sender), f"{to}@gw.example", sender=sender)

    async def answer(self, answered: str, number: int = 1, *, recipient: CanonicalId = BOB) -> EmailMessage:
        """Alice's answer to a mail, as it arrives."""
        mail = delivery(
            self.door.adapter,
            sender=EnsName("alice.eth"),
            recipient=recipient,
            type=MessageType.REPLY,
            message_hash=MessageHash(f"0x{number:064x}"),
            reference=Reference(MessageHash("0x" + "11" * 32), NativeId(answered)),
        )
        assert isinstance(await self.door.adapter.deliver(mail), Delivered)
        return self.mailbox.mails[-1]


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Office]:
    mailbox = Mailbox()
    values: dict[str, Any] = {"allowed_senders": ("example.net",), **settings}
    async with post_office(mailbox, ONE_SERVER, **values) as (adapter, ctx, _):
        ctx.known_names.update({EnsName("alice.eth"), EnsName("carol.eth")})
        yield Office(Door(adapter, ctx), mailbox)


def thread_of(mail: EmailMessage) -> tuple[str, str]:
    return mail["Subject"], mail["References"]


@pytest.mark.attack(25)
@pytest.mark.parametrize("before", [False, True], ids=["after Bob's mail", "before it"])
async def test_who_saw_a_message_id_does_not_speak_in_the_answer_to_it(before: bool) -> None:
    async with opened() as office:
        mails = [({"sender": BOB, "to": "alice.eth"}, QUESTION), ({"sender": MALLORY, "to": "carol.eth"}, HERS)]
        for how, headers in reversed(mails) if before else mails:
            assert (await office.take(*headers, **how)).startswith("250")
        answer = await office.answer("<1@example.net>")
        assert thread_of(answer) == ("Re: A question", "<0@example.net> <1@example.net>")


@pytest.mark.attack(25)
async def test_nor_who_saw_one_of_ours() -> None:
    async with opened() as office:
        await office.take(*QUESTION)
        ours = (await office.answer("<1@example.net>"))["Message-ID"]
        await office.take(f"Message-ID: {ours}", *HERS[1:], sender=MALLORY, to="carol.eth")
        later = await office.answer(ours, 2)
        assert thread_of(later) == ("Re: A question", f"<0@example.net> <1@example.net> {ours}")


@pytest.mark.attack(25)
async def test_nor_who_only_says_to_be_bob() -> None:
    """The operator's address takes mail that nothing proves."""
    async with opened() as office:
        await office.take(*QUESTION)
        bobs = dict(office.door.ctx.values.texts)
    async with opened(allowed_senders=(), allowed_networks=STRANGERS, operator="carol.eth") as office:
        office.door.ctx.values.texts.update(bobs)
        assert (await office.take(*HERS, to="postmaster")).startswith("250")
        assert office.door.ctx.taken[-1].sender.canonical_id == "unverified@gw.example"
        assert thread_of(await office.answer("<1@example.net>"))[0] == "Re: A question"


async def test_a_mail_that_was_refused_is_not_remembered() -> None:
    async with opened() as office:
        await office.take(*QUESTION)
        async with office.door.talk() as talk:
            await talk.begin()
            office.door.ctx.fault = InvalidInput("never")
            await talk.send(letter("hello", QUESTION[0], "Subject: Another") + b"\r\n.\r\n")
            assert (await talk.reply()).startswith("554")
        office.door.ctx.fault = None
        assert thread_of(await office.answer("<1@example.net>"))[0] == "Re: A question"


async def test_bobs_answer_is_of_the_thread_and_goes_on_with_it() -> None:
    async with opened() as office:
        ours = (await office.answer("<unknown@example.net>"))["Message-ID"]
        answered = (f"In-Reply-To: {ours}", "Subject: Re: Conversation with alice.eth", "Message-ID: <2@example.net>")
        quoting = "thanks\r\n\r\nOn Monday alice.eth wrote:\r\n> hi"
        await office.take(*answered, text=quoting)
        assert office.door.ctx.taken[-1].text.startswith("thanks\n\n[\u2026](")
        assert thread_of(await office.answer("<2@example.net>", 2))[1] == f"{ours} <2@example.net>"


async def test_another_address_of_bobs_is_another_person() -> None:
    """It may be anybody's: nothing of what they write is cut, and from then on it is a thread of theirs."""
    async with opened() as office:
        await office.take(*QUESTION)
        ours = (await office.answer("<1@example.net>"))["Message-ID"]
        alias = CanonicalId("robert@example.net")
        headers = (f"In-Reply-To: {ours}", "Subject: Re: A question", "Message-ID: <2@example.net>")
        await office.take(*headers, sender=alias, text="me\r\n\r\nOn Monday alice.eth wrote:\r\n> hi")
        assert office.door.ctx.taken[-1].reference == ours
        assert office.door.ctx.taken[-1].text.startswith("**Re: A question**\n\nme\n\nOn Monday")
        answer = await office.answer("<2@example.net>", 2, recipient=alias)
        assert thread_of(answer) == ("Re: A question", f"{ours} <2@example.net>")


async def test_a_mail_to_several_names_is_of_one_thread_for_each() -> None:
    async with opened() as office:
        async with office.door.talk() as talk:
            await talk.mail(letter("both", *QUESTION), "alice.eth@gw.example", "carol.eth@gw.example")
        for number in (1, 2):
            assert thread_of(await office.answer("<1@example.net>", number))[0] == "Re: A question"
