"""Commands by mail: in at the door by SMTP, carried out once, and answered by SMTP in the same thread."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.control.desk import KIND, NOTHING_TO_CONFIRM
from adapters.email.keys import FILES, make_keys
from adapters.email.returnpath import DAY_MS
from adapters.email.settings import EmailSettings
from gateway.ids import Network
from gateway.sdk import (
    CanonicalId,
    EnsName,
    EventOutcome,
    Handled,
    HandlesEvents,
    NativeEvent,
    Parked,
    Retry,
    Unavailable,
    Value,
)
from gateway.sdk.testing import MemoryContext
from tests.integration.email.conftest import Door
from tests.integration.email.peers import Mailbox, Zone, dns_server, mail_server
from tests.integration.email.talk import talk_to
from tests.integration.email.test_mail_out import ONE_SERVER, post_office
from tests.support.house import running_house
from tests.support.waiting import mail_of, until
from tests.unit.email.test_dkim_signing import verify

BOB = CanonicalId("bob@example.net")
CONTROL = "control@gw.example"


@dataclass(kw_only=True)
class LaterContext(MemoryContext):
    """A gateway whose clock a test moves."""

    ahead: int = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead


@dataclass
class Desk:
    """Bob in front of the gateway, with a mail server of his own."""

    adapter: EmailAdapter
    ctx: LaterContext
    mailbox: Mailbox
    numbers: list[int] = field(default_factory=list)

    async def write(self, text: str, *headers: str, sender: str = BOB, to: tuple[str, ...] = (CONTROL,)) -> str:
        """Send a mail; the reply of the door."""
        self.numbers.append(len(self.numbers))
        own = (f"Message-ID: <{self.numbers[-1]}@example.net>",) if "Message-ID" not in "".join(headers) else ()
        lines = [f"From: Bob <{sender}>", f"To: {CONTROL}", *own, *headers, "", text]
        async with Door(self.adapter, self.ctx).talk() as talk:
            return await talk.mail("\r\n".join(lines).encode(), *to, sender=sender)

    async def handle(self, number: int = -1) -> EventOutcome:
        """What the gateway does with what was written down."""
        return await self.adapter.handle(self.ctx.events[number])

    async def ask(self, text: str, *headers: str) -> EmailMessage:
        """Send a mail and get the answer."""
        assert (await self.write(text, *headers)).startswith("250 2.0.0")
        assert await self.handle() == Handled()
        return self.mailbox.mails[-1]

    async def text(self, text: str, *headers: str) -> str:
        """The text of the answer."""
        body = (await self.ask(text, *headers)).get_body()
        assert body is not None
        return str(body.get_content())


@asynccontextmanager
async def a_desk(**settings: Any) -> AsyncIterator[Desk]:
    mailbox = settings.pop("mailbox", Mailbox())
    values = {"allowed_senders": ("example.net",)} | settings
    async with post_office(mailbox, context=LaterContext, **values) as (adapter, ctx, _):
        assert isinstance(ctx, LaterContext)
        ctx.known_names.update({EnsName("alice.eth"), EnsName("carol.eth")})
        yield Desk(adapter, ctx, mailbox)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with a_desk() as made:
        yield made


async def known(desk: Desk) -> None:
    """Bob has a name here."""
    desk.ctx.people.views[BOB] = replace(await desk.ctx.people.about(BOB), since=1)


async def test_an_answer_comes_in_the_thread_from_control(desk: Desk) -> None:
    assert isinstance(desk.adapter, HandlesEvents)
    mail = await desk.ask(
        "whoami\r\nname Bob the Builder\r\n\r\nregards", "Subject: hello", "Message-ID: <w@example.net>"
    )
    assert mail["From"] == "DM3 gateway <control@gw.example>"
    assert mail["In-Reply-To"] == "<w@example.net>"
    assert mail["Subject"] == "Re: hello"
    assert mail["Auto-Submitted"] == "auto-replied"
    text = mail.get_content()
    assert "> whoami" in text
    assert "You are `bob@example.net`" in text
    assert "Your display name is `Bob the Builder` now" in text
    assert "regards" not in text
    (envelope,) = desk.mailbox.envelopes
    assert envelope.rcpt_tos == [BOB]
    assert envelope.mail_from == "<>", "RFC 3834, section 3.3"
    assert desk.ctx.people.views[BOB].display_name == "Bob the Builder"
    assert desk.ctx.taken == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("help", "- `whoami`"),
        ("chat alice.eth", "Write to `alice.eth@gw.example`"),
        ("chat nobody.eth", ""),
        ("claim bob", "Claim `bob.gw.eth` with your wallet: http://127.0.0.1/claim?name=bob"),
        ("level", "You are bridged"),
        ("status", "nothing is known yet"),
        ("spam", "Strangers wait until you let them in: no"),
        ("spam requests on", "Strangers wait until you let them in: yes"),
        ("block eve.eth", "You get nothing from `eve.eth` any more"),
        ("report eve.eth block", "no message of `eve.eth`"),
        ("retry", "There is nothing to send again"),
        ("pause 2h", "Nothing is delivered to you until"),
        ("resume", "Messages are delivered to you again"),
        ("hlep", "Did you mean `help`?"),
    ],
)
async def test_commands(desk: Desk, line: str, told: str) -> None:
    assert told in await desk.text(line)
    assert told in await desk.text("", f"Subject: {line}"), "the subject alone will do"


async def test_a_long_name_is_given_an_address_that_works(desk: Desk) -> None:
    name = EnsName(".".join(["a" * 20] * 4) + ".eth")
    desk.ctx.known_names.add(name)
    found = re.search(r"`(a-[^`]+)`", await desk.text(f"chat {name}"))
    assert found is not None
    assert (await desk.write("hello", to=(found[1],))).startswith("250")
    assert desk.ctx.taken[0].recipient == name


async def test_a_mail_without_a_command_is_answered_with_all_of_them(desk: Desk) -> None:
    assert "- `whoami`" in await desk.text("")


async def test_an_answer_is_signed(tmp_path: Path) -> None:
    make_keys(tmp_path, "dm3")
    async with a_desk(dkim_key_files=[tmp_path / name for name in FILES]) as desk:
        mail = await desk.ask("help")
    assert mail["From"] == f"DM3 gateway <{CONTROL}>"
    content = desk.mailbox.envelopes[0].content
    assert isinstance(content, bytes)
    assert verify(content, make_keys(tmp_path, "dm3")) == ["ed25519-sha256", "rsa-sha256"]


async def test_an_export_is_attached(desk: Desk) -> None:
    mail = await desk.ask("export")
    (file,) = mail.iter_attachments()
    assert file.get_filename() == "dm3-gateway.json"
    assert b"email.gw.eth" in file.get_content()


# --- what cannot be undone --------------------------------------------------------------------------------------


async def test_deleting_needs_an_answer_to_the_mail_that_asks(desk: Desk) -> None:
    await known(desk)
    name = desk.ctx.people.views[BOB].name
    typed = await desk.text(f"delete-me {name}")
    assert "If you mean it, answer this mail within a day" in typed
    assert desk.ctx.people.deleted == set(), "typing the name is not enough here"
    asking = desk.mailbox.mails[-1]
    assert NOTHING_TO_CONFIRM[:40] in await desk.text("yes")
    assert "There is no command" in await desk.text("no!", f"In-Reply-To: {asking['Message-ID']}")
    assert desk.ctx.people.deleted == set()
    await desk.ctx.values.put(
        Value("unsubscribe", "t", f'["{BOB}", "alice.eth"]'), Value("unsubscribe", "u", '["eve@example.net", "x.eth"]')
    )
    done = await desk.text("yes", f"In-Reply-To: {asking['Message-ID']}")
    assert "is deleted, for good" in done
    assert desk.ctx.people.deleted == {BOB}
    assert [each.key for each in await desk.ctx.values.find("unsubscribe")] == ["u"], "what we kept is gone, too"
    assert "that is final" in await desk.text("whoami")


async def test_the_subject_confirms_where_a_program_threads_nothing(desk: Desk) -> None:
    await known(desk)
    asking = await desk.ask("delete-me")
    await desk.ask("Yes.", f"Subject: AW: {asking['Subject']}")
    assert desk.ctx.people.deleted == {BOB}


async def test_a_confirmation_is_the_sender_s_own_and_holds_for_a_day(desk: Desk) -> None:
    await known(desk)
    eve = CanonicalId("eve@example.net")
    desk.ctx.people.views[eve] = replace(await desk.ctx.people.about(eve), since=1)
    asking = await desk.ask("delete-me")
    await desk.write("yes", f"In-Reply-To: {asking['Message-ID']}", sender=eve)
    await desk.handle()
    desk.ctx.ahead = DAY_MS + 120_000
    await desk.ask("yes", f"In-Reply-To: {asking['Message-ID']}")
    assert desk.ctx.people.deleted == set()


async def test_a_confirmation_counts_from_when_it_came(desk: Desk) -> None:
    await known(desk)
    asking = await desk.ask("delete-me")
    await desk.write("yes", f"In-Reply-To: {asking['Message-ID']}")
    desk.ctx.ahead = 3 * DAY_MS
    await desk.handle()
    assert desk.ctx.people.deleted == {BOB}


# --- once, and durable ------------------------------------------------------------------------------------------


async def test_a_second_copy_of_a_mail_is_taken_once(desk: Desk) -> None:
    for _ in range(2):
        assert (await desk.write("whoami", "Message-ID: <same@example.net>")).startswith("250")
    assert len(desk.ctx.events) == 1
    for _ in range(2):
        assert await desk.handle() == Handled()
    assert len(desk.mailbox.mails) == 1


async def test_an_answer_that_is_not_taken_now_is_sent_again_and_nothing_is_done_twice(desk: Desk) -> None:
    desk.ctx.people.received.add((BOB, EnsName("eve.eth")))
    desk.mailbox.answers["RCPT"] = "451 4.2.1 later"
    await desk.write("report eve.eth\r\nexport")
    for pause in (60, 300):
        outcome = await desk.handle()
        assert isinstance(outcome, Retry)
        assert outcome.after == pause
    assert desk.mailbox.mails == []
    del desk.mailbox.answers["RCPT"]
    assert await desk.handle() == Handled()
    assert len(desk.mailbox.mails) == 1
    assert desk.ctx.people.reports == [(BOB, "eve.eth")]


async def test_after_five_days_or_a_refusal_an_answer_is_given_up(desk: Desk) -> None:
    desk.mailbox.answers["RCPT"] = "550 5.1.1 gone"
    await desk.write("help")
    assert await desk.handle() == Handled()
    desk.mailbox.answers["RCPT"] = "451 4.2.1 later"
    await desk.write("help")
    desk.ctx.ahead = 5 * DAY_MS
    assert await desk.handle() == Handled()
    assert desk.mailbox.mails == []


async def test_a_line_that_cannot_be_done_now_is_done_later_and_the_lines_before_it_are_not_repeated(
    desk: Desk,
) -> None:
    desk.ctx.people.received.add((BOB, EnsName("eve.eth")))
    await desk.write("report eve.eth\r\nwhoami")
    run = desk.ctx.people.about

    async def broken(person: CanonicalId) -> Any:
        raise Unavailable("no store")

    desk.ctx.people.about = broken  # type: ignore[method-assign]
    assert isinstance(await desk.handle(), Retry)
    desk.ctx.people.about = run  # type: ignore[method-assign]
    assert await desk.handle() == Handled()
    assert desk.ctx.people.reports == [(BOB, "eve.eth")]


async def test_what_is_done_is_forgotten_after_a_week(desk: Desk) -> None:
    await desk.ask("help")
    assert len(await desk.ctx.values.find(KIND)) == 1
    tidy = desk.adapter._desk
    assert tidy is not None
    await tidy.forget_old()
    assert len(await desk.ctx.values.find(KIND)) == 1
    desk.ctx.ahead = 10 * DAY_MS
    await tidy.forget_old()
    assert await desk.ctx.values.find(KIND) == []


async def test_what_nobody_can_read_is_set_aside(desk: Desk) -> None:
    assert isinstance(await desk.adapter.handle(NativeEvent("x", "y", b"nonsense")), Parked)


# --- who is not answered ----------------------------------------------------------------------------------------


@pytest.mark.attack(46)
@pytest.mark.parametrize(
    "header", ["Auto-Submitted: auto-replied", "Precedence: bulk", "List-Id: <x.example.net>", "Precedence: junk"]
)
async def test_programs_are_not_answered(desk: Desk, header: str) -> None:
    reply = await desk.write("block eve.eth", header)
    assert reply.startswith("550 5.7.1")
    assert "no automatic mail" in reply
    assert desk.ctx.events == []


async def test_the_null_sender_gives_no_orders(desk: Desk) -> None:
    async with Door(desk.adapter, desk.ctx).talk() as talk:
        assert (await talk.say("MAIL FROM:<>")).startswith("250")
        assert (await talk.say(f"RCPT TO:<{CONTROL}>")).startswith("550 5.7.1")


async def test_our_own_answers_come_back_as_a_loop(desk: Desk) -> None:
    await desk.ask("help")
    content = desk.mailbox.envelopes[-1].content
    assert isinstance(content, bytes)
    async with Door(desk.adapter, desk.ctx).talk() as talk:
        assert (await talk.mail(content.rstrip(), CONTROL, sender=BOB)).startswith("554 5.4.6")


@pytest.mark.parametrize("unverified", ["reject", "shared"])
async def test_nobody_who_is_not_proved_gives_orders(unverified: str) -> None:
    strangers = {"allowed_networks": ("192.0.2.0/24",), "allowed_senders": (), "unverified": unverified}
    async with a_desk(**strangers) as desk:
        assert (await desk.write("block alice.eth")).startswith("550 5.7.1")
        assert desk.ctx.events == []


async def test_orders_of_one_sender_are_counted() -> None:
    async with a_desk(commands_per_hour=3) as desk:
        for _ in range(3):
            assert (await desk.write("help")).startswith("250")
        assert (await desk.write("help")).startswith("451 4.7.1")
        assert (await desk.write("help", sender="carol@example.net")).startswith("250"), "others do not notice"


async def test_control_beside_a_name_is_taken_for_both_or_for_none(desk: Desk) -> None:
    to = ("alice.eth@gw.example", CONTROL)
    desk.ctx.fault = Unavailable("no store")
    async with Door(desk.adapter, desk.ctx).talk() as talk:
        assert (await talk.say(f"MAIL FROM:<{BOB}>")).startswith("250")
        assert (await talk.say(f"RCPT TO:<{CONTROL}>")).startswith("250"), "it is always there"
        assert (await talk.say("DATA")).startswith("354")
        await talk.send(f"From: {BOB}\r\n\r\nhelp\r\n.\r\n".encode())
        assert (await talk.reply()).startswith("451 4.4.3")
    desk.ctx.fault = None
    assert (await desk.write("whoami", to=to)).startswith("250")
    assert len(desk.ctx.events) == len(desk.ctx.taken) == 1
    assert (await desk.write("whoami", "Precedence: list", to=to)).startswith("550")
    assert len(desk.ctx.taken) == 1


@pytest.mark.parametrize("local", ["CONTROL", "Control+x", "control+anything"])
async def test_spellings(desk: Desk, local: str) -> None:
    assert (await desk.write("help", to=(f"{local}@gw.example",))).startswith("250")
    assert len(desk.ctx.events) == 1


# --- the whole gateway ------------------------------------------------------------------------------------------


async def test_a_whole_gateway_blocks_tells_and_deletes(tmp_path: Path) -> None:
    """Over a real store and worker: an order is taken, carried out and answered without anybody's help."""
    mailbox = Mailbox()
    async with mail_server(mailbox) as port, dns_server(Zone(ONE_SERVER)) as dns:
        settings = EmailSettings.model_validate(
            {
                "domain": "gw.example",
                "smtp_host": "127.0.0.1",
                "smtp_port": 0,
                "allowed_senders": ("example.net",),
                "dns_servers": (dns,),
                "mx_port": port,
                "allow_private_destinations": True,
            }
        )
        adapter = EmailAdapter(settings)
        async with running_house(tmp_path, adapters={Network("email"): adapter}) as house:
            alice = await house.native("alice.eth")
            assert adapter.mx_port is not None

            async def write(number: int, text: str, *headers: str, to: str = CONTROL) -> str:
                lines = (f"From: {BOB}", f"Message-ID: <{number}@example.net>", *headers, "", text)
                async with talk_to(adapter.mx_port or 0) as talk:
                    await talk.reply()
                    await talk.say("EHLO client.example.net")
                    return await talk.mail("\r\n".join(lines).encode(), to, sender=BOB)

            async def answer(count: int) -> EmailMessage:
                async def look() -> EmailMessage | None:
                    return mailbox.mails[count - 1] if len(mailbox.mails) >= count else None

                return await until(look)

            assert (await write(1, "hello", to="alice.eth@gw.example")).startswith("250")
            fetched = await mail_of(alice)
            assert (fetched[0].message.text or "").startswith("hello")
            assert (await write(2, "whoami\r\nblock eve.eth\r\nblock")).startswith("250")
            told = (await answer(1)).get_content()
            assert "bob.example.net.email.gw.eth" in told
            assert "You block `eve.eth`." in told
            assert (await write(2, "whoami\r\nblock eve.eth\r\nblock")).startswith("250"), "a second copy"
            assert (await write(3, "delete-me")).startswith("250")
            asking = await answer(2)
            assert (await write(4, "yes", f"In-Reply-To: {asking['Message-ID']}")).startswith("250")
            assert "is deleted, for good" in (await answer(3)).get_content()
            await asyncio.sleep(1)
            assert len(mailbox.mails) == 3
