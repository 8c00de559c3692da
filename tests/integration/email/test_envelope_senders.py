"""Failure notices go to the envelope sender of the mail that failed, when that is of the domain that was proved."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.email.envelopes import Envelopes
from gateway.sdk import CanonicalId, EnsName, NativeId
from gateway.sdk.testing.context import MemoryValues
from tests.integration.email.conftest import STRANGERS, Door
from tests.integration.email.peers import Mailbox
from tests.integration.email.talk import letter
from tests.integration.email.test_mail_out import failed, post_office

DAY = 24 * 3600 * 1000
BOB = CanonicalId("bob@example.net")


@pytest.mark.parametrize(
    ("envelope", "told"),
    [
        ("bounces+17@example.net", "bounces+17@example.net"),
        ("bob@example.net", "bob@example.net"),
        ("list@example.org", "bob@example.net"),
    ],
)
async def test_where_a_failure_is_told(envelope: str, told: str) -> None:
    mailbox = Mailbox()
    records = {"example.net MX": ["10 mx.example.net."], "mx.example.net A": ["127.0.0.1"]}
    allowed = ("example.net", "example.org")
    async with post_office(mailbox, records, allowed_senders=allowed) as (adapter, ctx, _):
        ctx.known_names.add(EnsName("alice.eth"))
        async with Door(adapter, ctx).talk() as talk:
            reply = await talk.mail(letter("hello", "Message-ID: <1@example.net>"), sender=envelope)
            assert reply.startswith("250")
        await adapter.report(failed())
    (notice,) = mailbox.envelopes
    assert notice.rcpt_tos == [told]
    assert not notice.mail_from or notice.mail_from == "<>"


async def test_who_only_says_to_be_bob_hears_nothing_of_his_mail() -> None:
    """The operator's address takes mail that nothing proves, and many people share a domain."""
    mailbox = Mailbox()
    records = {"example.net MX": ["10 mx.example.net."], "mx.example.net A": ["127.0.0.1"]}
    strangers: dict[str, Any] = {"allowed_networks": STRANGERS, "allowed_senders": (), "operator": "alice.eth"}
    async with post_office(mailbox, records, **strangers) as (adapter, ctx, _):
        ctx.known_names.add(EnsName("alice.eth"))
        async with Door(adapter, ctx).talk() as talk:
            mail = letter("hello", "Message-ID: <1@example.net>")
            assert (await talk.mail(mail, "postmaster@gw.example", sender="mallory@example.net")).startswith("250")
        await adapter.report(failed())
    assert [each.rcpt_tos for each in mailbox.envelopes] == [["bob@example.net"]]


async def test_a_shared_sender_of_ours_is_told_nothing() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, zone):
        await adapter.report(failed(sender=CanonicalId("unverified@gw.example")))
        assert zone.asked == []


async def test_envelope_senders_are_forgotten() -> None:
    now = 20_000 * DAY
    values = MemoryValues()
    envelopes = Envelopes(values, lambda: now)
    await envelopes.keep(NativeId("<1@x>"), BOB, "b+1@example.net")
    await envelopes.keep(NativeId("<2@x>"), BOB, "not an address")
    assert await envelopes.find(NativeId("<1@x>"), BOB) == "b+1@example.net"
    assert await envelopes.find(NativeId("<1@x>"), CanonicalId("carol@example.net")) == "carol@example.net"
    assert await envelopes.find(NativeId("<2@x>"), BOB) == BOB
    now += 31 * DAY
    assert await envelopes.forget_old() == 1
    assert values.texts == {}
