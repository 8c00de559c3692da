"""Tries of one mail: greylisting, five days, destinations that rest, and a pace; each over real SMTP."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from adapters.email.authentication.dkim import check_claims, read_claims
from adapters.email.authentication.dns import Dns, Lookups
from adapters.email.authentication.results import Dkim
from adapters.email.dkim.fields import split_fields, split_mail
from adapters.email.dkim.keys import DkimKey
from adapters.email.keys import FILES, make_keys
from adapters.email.returnpath import DAY_MS
from adapters.email.sent import KIND
from gateway.sdk import (
    BridgedPerson,
    CanonicalId,
    Delivered,
    EnsName,
    MailNotice,
    MessageHash,
    Network,
    Outcome,
    Rejected,
    Retry,
)
from gateway.sdk.testing import MemoryContext
from tests.integration.email.peers import Mailbox, Zone, dns_server, mail_server
from tests.integration.email.test_mail_out import ONE_SERVER, delivery, failed, post_office
from tests.support.waiting import until
from tests.unit.email.test_dkim_signing import verify


@dataclass
class Greylist(Mailbox):
    """Takes an envelope when it comes a second time, exactly as it was."""

    seen: set[tuple[str, str]] = field(default_factory=set)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        triplet = (envelope.mail_from or "", address)
        if triplet not in self.seen:
            self.seen.add(triplet)
            return "450 4.2.0 Greylisted, come back in a minute"
        return await super().handle_RCPT(server, session, envelope, address, options)


@dataclass(kw_only=True)
class LaterContext(MemoryContext):
    """A gateway whose clock a test moves."""

    ahead: int = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead


async def test_a_greylisting_server_gets_the_same_envelope_again_even_days_later() -> None:
    mailbox = Greylist()
    async with post_office(mailbox, context=LaterContext) as (adapter, ctx, _):
        assert isinstance(ctx, LaterContext)
        first = await adapter.deliver(delivery(adapter))
        assert isinstance(first, Retry)
        assert first.after is not None
        assert 60 <= first.after <= 66
        ctx.ahead = 3 * DAY_MS
        assert isinstance(await adapter.deliver(delivery(adapter)), Delivered)
    assert len(mailbox.seen) == 1


async def test_pauses_follow_the_table_and_five_days_are_the_end() -> None:
    mailbox = Mailbox(answers={"RCPT": "450 4.2.2 mailbox full"})
    async with post_office(mailbox, context=LaterContext) as (adapter, ctx, _):
        assert isinstance(ctx, LaterContext)
        pauses: list[float] = []
        for _ in range(60):
            outcome = await adapter.deliver(delivery(adapter))
            if not isinstance(outcome, Retry):
                break
            assert outcome.after is not None
            pauses.append(outcome.after)
            ctx.ahead += int(outcome.after * 1000)
    assert [round(pause / 60) for pause in pauses[:3]] == pytest.approx([1, 5, 15], rel=0.12)
    assert 25 <= len(pauses) <= 45
    assert sum(pauses) >= 5 * DAY_MS / 1000
    assert isinstance(outcome, Rejected)
    assert outcome.reason == 'it was tried for five days; at last: mx.example.net said: 450 "4.2.2 mailbox full"'
    (late,) = ctx.taken
    assert (late.recipient, late.automatic) == ("native.eth", True)
    assert late.text == (
        "[gateway] Your message to bob@example.net has not arrived yet and is tried for five days:"
        ' mx.example.net said: 450 "4.2.2 mailbox full"'
    )


@pytest.mark.parametrize(
    ("answers", "rests"),
    [
        ({"MAIL": "421 4.3.2 too many connections"}, True),
        ({"RCPT": "421 4.7.0 slow down"}, True),
        ({"RCPT": "450 slow down"}, True),
        ({"RCPT": "451 4.7.1 too much mail"}, True),
        ({"DATA": "452 4.3.1 disk full"}, True),
        ({"RCPT": "450 4.2.1 this mailbox gets too much"}, False),
        ({"RCPT": "450 4.1.1 unknown for now"}, False),
        ({"RCPT": "550 5.1.1 no such user"}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_a_destination_that_wants_peace_gets_it(answers: dict[str, str], rests: bool) -> None:
    """Then other mail to it waits without a connection, and does not count as tried."""
    mailbox = Mailbox(answers=answers)
    async with post_office(mailbox) as (adapter, ctx, zone):
        await adapter.deliver(delivery(adapter))
        asked = len(zone.asked)
        other = delivery(
            adapter, recipient=CanonicalId("carol@example.net"), message_hash=MessageHash("0x" + "cd" * 32)
        )
        outcome = await adapter.deliver(other)
        if rests:
            assert isinstance(outcome, Retry)
            assert outcome.after is not None
            assert 20 <= outcome.after <= 35
            assert "left alone" in outcome.reason
            assert len(zone.asked) == asked
            assert '"tries": 0' in ctx.values.texts[KIND, "0x" + "cd" * 16]
        else:
            assert not isinstance(outcome, Retry) or "left alone" not in outcome.reason


async def test_a_dead_destination_rests_and_others_do_not() -> None:
    records = ONE_SERVER | {"dead.example MX": ["10 mx.dead.example."], "mx.dead.example A": ["127.0.0.99"]}
    mailbox = Mailbox()
    async with post_office(mailbox, records) as (adapter, _, _):
        for number in range(3):
            result = await adapter.deliver(delivery(adapter, recipient=CanonicalId(f"u{number}@dead.example")))
            assert isinstance(result, Retry)
        assert isinstance(await adapter.deliver(delivery(adapter)), Delivered)


@dataclass
class Slow(Mailbox):
    """Counts who is connected at the same time."""

    now: int = 0
    most: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == 3:
            self.enough.set()
        await self.enough.wait()
        await asyncio.sleep(0.02)
        self.now -= 1
        return await super().handle_DATA(server, session, envelope)


async def test_a_destination_gets_no_more_connections_than_set(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Slow()
    monkeypatch.setattr("adapters.email.destinations.SLOT_WAIT", 60.0)
    async with post_office(mailbox, connections_per_destination=3) as (adapter, _, _):
        outcomes = await asyncio.gather(
            *(
                adapter.deliver(
                    delivery(
                        adapter,
                        recipient=CanonicalId(f"u{number}@example.net"),
                        message_hash=MessageHash(f"0x{number:064x}"),
                    )
                )
                for number in range(1, 13)
            )
        )
    assert all(isinstance(each, Delivered) for each in outcomes)
    assert mailbox.most == 3
    assert len(mailbox.envelopes) == 12


async def test_one_sender_does_not_flood_one_person() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox, mails_at_once=5, mails_per_minute=1) as (adapter, _, _):
        begin = time.monotonic()
        outcomes = [
            await adapter.deliver(delivery(adapter, message_hash=MessageHash(f"0x{number:064x}")))
            for number in range(10)
        ]
        assert time.monotonic() - begin < 50, "the machine is too slow for this test to mean anything"
        other = await adapter.deliver(
            delivery(adapter, sender=EnsName("other.eth"), message_hash=MessageHash("0x" + "ef" * 32))
        )
    assert [type(each) for each in outcomes] == [Delivered] * 5 + [Retry] * 5
    assert isinstance(outcomes[-1], Retry)
    assert outcomes[-1].after == 60
    assert isinstance(other, Delivered)


async def test_mail_is_not_bridged_to_mail() -> None:
    """Somebody with a mailbox who writes to a sub-name of somebody with a mailbox: two forwarders would loop."""
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, ctx, zone):
        carol = BridgedPerson(Network("email"), CanonicalId("carol@example.org"), EnsName("carol.email.gw.eth"), "")
        ctx.issued[carol.canonical_id] = carol
        result = await adapter.deliver(delivery(adapter, sender=carol.name))
        assert result == Rejected("this is somebody with a mailbox: write to their mail address")
        assert zone.asked == []
        xmpp = BridgedPerson(Network("xmpp"), CanonicalId("dave@example.org"), EnsName("dave.xmpp.gw.eth"), "")
        ctx.issued[xmpp.canonical_id] = xmpp
        assert isinstance(await adapter.deliver(delivery(adapter, sender=xmpp.name)), Delivered)


@dataclass(kw_only=True)
class MovedContext(MemoryContext):
    """A gateway that knows alice.eth as the name of somebody with a mailbox who took it elsewhere."""

    async def person_named(self, name: EnsName) -> BridgedPerson | None:
        sub_name = EnsName("alice.example.org.email.gw.eth")
        known = BridgedPerson(self.network, CanonicalId("alice@example.org"), sub_name, "Alice")
        return known if name in ("alice.eth", sub_name) else None


@pytest.mark.parametrize(("sender", "kind"), [("alice.eth", Delivered), ("alice.example.org.email.gw.eth", Rejected)])
async def test_a_name_that_was_moved_away_writes_mail_like_any_other(sender: str, kind: type[Outcome]) -> None:
    async with post_office(Mailbox(), context=MovedContext) as (adapter, _, _):
        assert isinstance(await adapter.deliver(delivery(adapter, sender=EnsName(sender))), kind)


KINDS = {"sent", "unsubscribe", "cold", "tls-report"}


async def test_counts_are_written_and_old_values_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.email.adapter._WRITE_SECONDS", 0.01)
    monkeypatch.setattr("adapters.email.adapter._WRITES_BETWEEN_CLEANING", 2)
    async with post_office(Mailbox(), context=LaterContext) as (adapter, ctx, _):
        assert isinstance(ctx, LaterContext)
        assert isinstance(await adapter.deliver(delivery(adapter, first=True)), Delivered)
        running = asyncio.create_task(adapter.run())

        async def only(*expected: str) -> bool | None:
            there = {kind.partition("-day")[0] for kind, _ in ctx.values.texts}
            return True if there & KINDS == set(expected) else None

        try:
            await until(lambda: only(*KINDS))
            ctx.ahead = 20 * DAY_MS
            await until(lambda: only("unsubscribe"))
            ctx.ahead = 400 * DAY_MS
            await until(only)
        finally:
            running.cancel()


@pytest.mark.parametrize("way", ["MX", "relay host"])
async def test_everything_that_we_send_is_signed(tmp_path: Path, way: str) -> None:
    keys = make_keys(tmp_path, "s1")
    mailbox = Mailbox()
    async with mail_server(mailbox) as relay:
        settings: dict[str, Any] = {} if way == "MX" else {"relay_host": f"127.0.0.1:{relay}"}
        async with post_office(
            mailbox, dkim_selector="s1", dkim_key_files=[tmp_path / name for name in FILES], **settings
        ) as (adapter, _, _):
            assert isinstance(await adapter.deliver(delivery(adapter)), Delivered)
            await adapter.report(failed())
            notice = MailNotice(key="k", recipient=CanonicalId("bob@example.net"), subject="s", text="t")
            assert isinstance(await adapter.send_notice(notice), Delivered)
    records = {f"{key.record_name('gw.example')} TXT": [_quoted(key)] for key in keys}
    for envelope in mailbox.envelopes:
        content = envelope.original_content
        assert isinstance(content, bytes)
        assert verify(content, keys) == ["ed25519-sha256", "rsa-sha256"]
        async with dns_server(Zone(records)) as dns:
            head, body = split_mail(content)
            claims = read_claims(split_fields(head), body, near="gw.example", now=0)
            results = await check_claims(claims, Lookups(Dns((dns,))))
        assert [(each.outcome, each.domain) for each in results] == [(Dkim.PASS, "gw.example")] * 2
        mail = message_from_bytes(content, policy=policy.default)
        assert mail["From"].addresses[0].domain == "gw.example"
    assert len(mailbox.envelopes) == 3


def _quoted(key: DkimKey) -> str:
    return key.zone_line("gw.example").partition(" IN TXT ")[2]
