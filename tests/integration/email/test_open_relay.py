"""No way to have mail for others sent by us: the questions that testers of open relays ask."""

from __future__ import annotations

import ssl
from typing import Final

import pytest

from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.test_submission import PLAIN, encrypted, office

__all__ = ["office"]

TARGETS: Final = (
    "victim@elsewhere.example",
    '"victim@elsewhere.example"',
    "victim%elsewhere.example@gw.example",
    "victim%elsewhere.example@[127.0.0.1]",
    '"victim%elsewhere.example"@gw.example',
    '"victim@elsewhere.example"@gw.example',
    "victim@elsewhere.example@gw.example",
    "elsewhere.example!victim",
    "elsewhere.example!victim@gw.example",
    "@gw.example:victim@elsewhere.example",
    "@gw.example,@elsewhere.example:victim@elsewhere.example",
    "victim@elsewhere.example@[127.0.0.1]",
    "victim@gw.example.elsewhere.example",
    "victim@[192.0.2.1]",
    "victim@elsewhere.example\\@gw.example",
)
SENDERS: Final = (
    "bob@example.net",
    "victim@elsewhere.example",
    "alice.eth@gw.example",
    "postmaster@gw.example",
    "spam@[127.0.0.1]",
    "spam",
    "",
)


@pytest.mark.attack(48)
@pytest.mark.parametrize("sender", SENDERS)
async def test_nothing_is_relayed(open_door: OpenDoor, sender: str) -> None:
    """Also not for listed senders from the operator's own networks: they write to ENS names and to nobody else."""
    door = await open_door(operator="operator.eth")
    async with door.talk() as talk:
        for target in TARGETS:
            await talk.say(f"MAIL FROM:<{sender}>")
            assert (await talk.say(f"RCPT TO:<{target}>"))[0] == "5", target
            assert (await talk.say("DATA")).startswith("503")
            assert (await talk.say("RSET")).startswith("250")
    assert door.ctx.taken == []


@pytest.mark.attack(48)
async def test_nor_for_those_who_logged_in(office: Door, client_tls: ssl.SSLContext) -> None:
    async with office.talk(submission=True) as talk:
        await encrypted(talk, client_tls)
        await talk.say(PLAIN)
        for target in TARGETS:
            assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("250")
            assert (await talk.say(f"RCPT TO:<{target}>"))[0] == "5", target
            await talk.say("RSET")
    assert office.ctx.taken == []
