"""Mail in forged names makes no mail of ours: whoever is named hears nothing (RFC 3834, RFC 5321 section 7.8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import Any, Final

import pytest

from gateway.sdk import EnsName
from tests.integration.email.conftest import Door
from tests.integration.email.peers import Mailbox
from tests.integration.email.talk import Talk, letter
from tests.integration.email.test_mail_out import post_office

MAILS: Final = 1_000
CONNECTIONS: Final = 10
ZONE: Final = {
    # Everybody who is named would get their mail, if there were any.
    **{f"victim{number}.example MX": ["10 mx.example.net."] for number in range(CONNECTIONS)},
    **{f"_dmarc.victim{number}.example TXT": ['"v=DMARC1; p=reject"'] for number in range(0, CONNECTIONS, 2)},
    "mx.example.net A": ["127.0.0.1"],
}
KINDS: Final = (
    ("alice.eth", ""),
    ("nobody.eth", ""),
    ("control", "Subject: help"),
    ("alice.eth", "Disposition-Notification-To: victim@victim1.example"),
    ("alice.eth", "Return-Receipt-To: victim@victim1.example"),
)
"""Whom it is to, and what else it asks for."""


@pytest.mark.attack(47)
@pytest.mark.parametrize("unverified", ["reject", "shared"])
async def test_a_thousand_spoofed_mails_lead_to_no_mail(unverified: str) -> None:
    """Refused in the session, or taken as unverified; no notice, receipt, answer or bounce goes to anybody."""
    mailbox, replies, numbers = Mailbox(), Counter[str](), count()
    networks: dict[str, Any] = {"allowed_networks": ("192.0.2.0/24",), "unverified": unverified}
    async with post_office(mailbox, ZONE, **networks) as (adapter, ctx, _):
        ctx.known_names.add(EnsName("alice.eth"))

        async def spoof(victim: str) -> None:
            async with Door(adapter, ctx).talk() as talk:
                for number in numbers:
                    if number >= MAILS:
                        return
                    local, field = KINDS[number % len(KINDS)]
                    mail = letter("hello", f"Message-ID: <{number}@x>", *([field] if field else []), sender=victim)
                    replies[await spoofed(talk, mail, f"{local}@gw.example", victim)] += 1

        await asyncio.gather(*(spoof(f"bob@victim{number}.example") for number in range(CONNECTIONS)))
        for taken in ctx.taken:
            assert taken.automatic, "no notice about its failure goes to whom it names"
            assert taken.sender.canonical_id == "unverified@gw.example"
    assert replies.total() == MAILS
    assert set(replies) == ({"550"} if unverified == "reject" else {"550", "250"})
    assert mailbox.envelopes == []


async def spoofed(talk: Talk, mail: bytes, recipient: str, sender: str) -> str:
    """Code of the reply that decided."""
    begun = await talk.begin(recipient, sender=sender)
    if not begun[-1].startswith("354"):
        return begun[1][:3]
    await talk.send(mail + b"\r\n.\r\n")
    return (await talk.reply())[:3]
