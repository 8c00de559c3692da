"""Addresses that are nobody's name at the door: postmaster@ and abuse@ for everybody, and names with tags."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.email.operator_box import PER_ADDRESS
from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.talk import letter

STRANGERS = {"allowed_networks": ("192.0.2.0/24",), "allowed_senders": (), "operator": "alice.eth"}
EVE = "eve@evil.example"


async def sent(door: Door, *recipients: str, sender: str = EVE, mail: bytes | None = None) -> str:
    """The reply to a mail, or to the command that ended it."""
    async with door.talk() as talk:
        replies = await talk.begin(*recipients, sender=sender)
        if not replies[-1].startswith("354"):
            return next(reply for reply in replies if not reply.startswith("250"))
        await talk.send((mail or letter("hello", sender=EVE)) + b"\r\n.\r\n")
        return await talk.reply()


@pytest.mark.parametrize("local", ["postmaster", "abuse", "PostMaster", "abuse+report"])
@pytest.mark.parametrize("senders", ["authenticated", "listed"])
@pytest.mark.parametrize("sender", [EVE, ""])
async def test_everybody_reaches_the_operator(open_door: OpenDoor, local: str, senders: str, sender: str) -> None:
    door = await open_door(**STRANGERS, senders=senders)
    assert (await sent(door, f"{local}@gw.example", sender=sender)).startswith("250 2.0.0")
    (taken,) = door.ctx.taken
    assert taken.recipient == "alice.eth"
    assert taken.sender.canonical_id == "unverified@gw.example", "nobody's name speaks"
    assert taken.text.startswith("[gateway] Nothing proves who sent this. It says that it is from eve@evil.example.")
    assert "hello" in taken.text
    assert taken.automatic, "no notice about it goes to whoever the sender is not"


async def test_a_bare_postmaster_is_ours(open_door: OpenDoor) -> None:
    door = await open_door(**STRANGERS)
    async with door.talk() as talk:
        assert (await talk.say(f"MAIL FROM:<{EVE}>")).startswith("250")
        assert (await talk.say("RCPT TO:<postmaster>")).startswith("250")


async def test_whoever_is_proved_writes_under_their_name(open_door: OpenDoor) -> None:
    door = await open_door(operator="alice.eth")
    mail = letter("hello")
    assert (await sent(door, "abuse@gw.example", sender="bob@example.net", mail=mail)).startswith("250")
    assert door.ctx.taken[0].sender.canonical_id == "bob@example.net"


@pytest.mark.parametrize("settings", [{}, {"senders": "listed"}])
async def test_names_are_as_closed_as_before(open_door: OpenDoor, settings: dict[str, Any]) -> None:
    door = await open_door(**STRANGERS, **settings)
    assert (await sent(door, "alice.eth@gw.example")).startswith("550 5.7.1")
    assert (await sent(door, "alice.eth@gw.example", sender="")).startswith("550 5.7.1")
    assert (await sent(door, "control@gw.example")).startswith("550 5.7.1")
    assert door.ctx.taken == []
    await sent(door, "postmaster@gw.example", "carol.eth@gw.example")
    opened = [each.recipient for each in door.ctx.taken]
    assert opened == (["alice.eth"] if settings else []), "beside a name the operator's address opens nothing"


async def test_without_an_operator_it_is_refused_as_before(open_door: OpenDoor) -> None:
    door = await open_door(**(STRANGERS | {"operator": None}))
    assert (await sent(door, "postmaster@gw.example")).startswith("550 5.1.1")
    assert (await sent(door, "postmaster@gw.example", sender="")).startswith("550 5.7.1")
    listed = await open_door(**(STRANGERS | {"operator": None}), senders="listed")
    async with listed.talk() as talk:
        assert (await talk.say(f"MAIL FROM:<{EVE}>")).startswith("550 5.7.1"), "at MAIL, as nothing else could come"


async def test_unverified_mail_to_the_operator_is_counted(open_door: OpenDoor) -> None:
    door = await open_door(**STRANGERS)
    for _ in range(PER_ADDRESS):
        assert (await sent(door, "abuse@gw.example")).startswith("250")
    assert (await sent(door, "abuse@gw.example")).startswith("451 4.7.1")


@pytest.mark.attack(46)
async def test_loops_and_malformed_mail_are_refused_there_too(open_door: OpenDoor) -> None:
    door = await open_door(**STRANGERS)
    loop = letter("x", "X-DM3-Gateway: gw.example", sender=EVE)
    for sender in (EVE, ""):
        assert (await sent(door, "abuse@gw.example", mail=loop, sender=sender)).startswith("554 5.4.6")
        nobody = b"To: abuse@gw.example\r\n\r\nx"
        assert (await sent(door, "abuse@gw.example", mail=nobody, sender=sender)).startswith("550 5.6.0")


async def test_a_log_in_does_not_forge(open_door: OpenDoor, users_file: Any, tls_files: Any, client_tls: Any) -> None:
    door = await open_door(operator="alice.eth", submission_port=0, submission_users_file=users_file, **tls_files)
    async with door.talk(submission=True) as talk:
        await talk.start_tls(client_tls)
        await talk.say("EHLO client.example.net")
        assert (await talk.say("AUTH PLAIN AGJvYgBzZWNyZXQ=")).startswith("235")
        assert (await talk.mail(letter("x", sender=EVE), "abuse@gw.example")).startswith("550 5.7.1")


# --- tags -------------------------------------------------------------------------------------------------------


async def test_a_tag_comes_along(door: Door) -> None:
    async with door.talk() as talk:
        to = ("alice.eth+news@gw.example", "carol.eth@gw.example", "ALICE.ETH+Shop@gw.example")
        assert (await talk.mail(letter("both", "Subject: offer"), *to)).startswith("250")
    assert [(each.recipient, each.text) for each in door.ctx.taken] == [
        ("alice.eth", "To: +news, +Shop\n\n**offer**\n\nboth"),
        ("carol.eth", "**offer**\n\nboth"),
    ]


async def test_a_tag_makes_no_name(door: Door) -> None:
    async with door.talk() as talk:
        replies = await talk.begin("nobody.eth+x@gw.example", "+x@gw.example", "alice.eth+x@else.example")
        assert [reply[:9] for reply in replies[1:4]] == ["550 5.1.1", "550 5.1.1", "550 5.7.1"]
