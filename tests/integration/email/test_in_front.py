"""Behind something: a mail server that speaks LMTP, or a proxy that says who is behind it."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.integration.email.conftest import OpenDoor
from tests.integration.email.talk import Talk, talk_to

MAIL = b"From: bob@example.net\r\nTo: alice.eth@gw.example\r\nMessage-ID: <%s@example.net>\r\n\r\nhello\r\n.\r\n"


async def begin(talk: Talk, *recipients: str) -> list[str]:
    replies = [await talk.say("MAIL FROM:<bob@example.net>")]
    return replies + [await talk.say(f"RCPT TO:<{each}@gw.example>") for each in recipients]


async def test_lmtp_hears_of_each_recipient(open_door: OpenDoor) -> None:
    door = await open_door(lmtp_port=0)
    assert door.adapter.lmtp_port is not None
    async with talk_to(door.adapter.lmtp_port) as talk:
        assert (await talk.reply()).startswith("220 ")
        assert (await talk.say("EHLO mx.example.net")).startswith("500 5.5.1")
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("503")
        greeting = await talk.say("LHLO mx.example.net")
        assert greeting.startswith("250")
        assert "PIPELINING" in greeting
        replies = await begin(talk, "alice.eth", "nobody.eth", "carol.eth")
        assert [each[:3] for each in replies] == ["250", "250", "550", "250"]
        assert (await talk.say("DATA")).startswith("354")
        await talk.send(MAIL % b"one")
        assert [(await talk.reply())[:9] for _ in range(2)] == ["250 2.0.0", "250 2.0.0"]
        assert sorted(each.recipient for each in door.ctx.taken) == ["alice.eth", "carol.eth"]
        await begin(talk, "alice.eth", "carol.eth")
        await talk.say("DATA")
        await talk.send(b"From: bob@example.net\r\n\r\nbare\nline\r\n.\r\n")
        assert [(await talk.reply())[:10] for _ in range(2)] == ["550 5.6.11"] * 2, "refused for each, too"
        assert (await talk.say("QUIT")).startswith("221")


async def test_lmtp_hears_of_a_recipient_as_often_as_it_is_named(open_door: OpenDoor) -> None:
    """RFC 2033, section 4.2: the other side waits for a reply for each RCPT that got 250."""
    door = await open_door(lmtp_port=0)
    assert door.adapter.lmtp_port is not None
    async with talk_to(door.adapter.lmtp_port) as talk:
        await talk.reply()
        for over in ("RSET", "LHLO mx.example.net"):
            await talk.say("LHLO mx.example.net")
            await begin(talk, "carol.eth", "carol.eth")
            # What was named before counts no more.
            assert (await talk.say(over)).startswith("250")
            replies = await begin(talk, "alice.eth", "nobody.eth", "alice.eth", "alice.eth", "carol.eth")
            assert [each[:3] for each in replies] == ["250", "250", "550", "250", "250", "250"]
            assert (await talk.say("DATA")).startswith("354")
            await talk.send(MAIL % over[:4].encode())
            assert [(await talk.reply())[:9] for _ in range(4)] == ["250 2.0.0"] * 4
            assert (await talk.say("NOOP")).startswith("250 "), "and for nothing else"
    assert sorted(each.recipient for each in door.ctx.taken) == ["alice.eth", "alice.eth", "carol.eth", "carol.eth"]


def version_2(source: str) -> bytes:
    """The header in binary."""
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4711, 25)
    return b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack("!H", len(addresses)) + addresses


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n", version_2("192.0.2.7")])
async def test_a_proxy_says_who_it_is(open_door: OpenDoor, header: bytes) -> None:
    """The list of networks counts for the client and not for the proxy, and so do the limits."""
    own = {"proxy_networks": ("127.0.0.1/32",), "max_connections_per_address": 1}
    door = await open_door(allowed_networks=("192.0.2.0/24",), **own)
    assert door.adapter.mx_port is not None
    async with talk_to(door.adapter.mx_port) as talk, talk_to(door.adapter.mx_port) as second:
        await talk.send(header)
        assert (await talk.reply()).startswith("220 ")
        await talk.say("EHLO client.example.net")
        assert [each[:3] for each in await begin(talk, "alice.eth")] == ["250", "250"]
        await second.send(header)
        assert (await second.reply()).startswith("421 4.7.0"), "one connection of that address"
        async with talk_to(door.adapter.mx_port) as other:
            await other.send(b"PROXY TCP4 198.51.100.1 127.0.0.1 4711 25\r\n")
            assert (await other.reply()).startswith("220 "), "another client through the same proxy"
            await other.say("EHLO client.example.net")
            replies = await begin(other, "alice.eth")
            if replies[-1].startswith("250"):
                await other.say("DATA")
                await other.send(MAIL % b"two")
                replies.append(await other.reply())
            assert replies[-1][:3] in ("451", "550"), "of another network, and with nothing that proves who it is"


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("TCP6 2001:db8:1:2::1 ::1", "TCP6 2001:db8:1:2:ffff::9 ::1", "TCP6 2001:db8:1:3::1 ::1"),
        ("TCP4 192.0.2.7 127.0.0.1", "TCP6 ::ffff:192.0.2.7 ::1", "TCP4 192.0.2.8 127.0.0.1"),
    ],
)
async def test_connections_of_one_ipv6_network_are_those_of_one_client(
    open_door: OpenDoor, first: str, second: str, third: str
) -> None:
    """One customer has all of its addresses."""
    door = await open_door(proxy_networks=("127.0.0.1/32",), max_connections_per_address=1)
    assert door.adapter.mx_port is not None

    async def greeting(talk: Talk, source: str) -> str:
        await talk.send(f"PROXY {source} 4711 25\r\n".encode())
        return (await talk.reply())[:9]

    async with talk_to(door.adapter.mx_port) as one:
        assert (await greeting(one, first))[:4] == "220 "
        async with talk_to(door.adapter.mx_port) as two, talk_to(door.adapter.mx_port) as other:
            assert await greeting(two, second) == "421 4.7.0"
            assert (await greeting(other, third))[:4] == "220 "
        assert (await one.say("QUIT"))[:3] == "221"
        assert await one.reply() == ""
    async with asyncio.timeout(60):
        while True:
            async with talk_to(door.adapter.mx_port) as again:
                if (await greeting(again, second))[:4] == "220 ":
                    break


@pytest.mark.parametrize(
    "first", [b"EHLO client.example.net\r\n", b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n" + b"\xff" * 40]
)
async def test_without_a_proper_header_nobody_is_heard(open_door: OpenDoor, first: bytes) -> None:
    door = await open_door(proxy_networks=("127.0.0.1/32",))
    assert door.adapter.mx_port is not None
    async with talk_to(door.adapter.mx_port) as talk:
        await talk.send(first)
        assert await talk.reply() == ""


async def test_who_is_no_proxy_is_told_so(open_door: OpenDoor) -> None:
    door = await open_door(proxy_networks=("192.0.2.1/32",))
    assert door.adapter.mx_port is not None
    async with talk_to(door.adapter.mx_port) as talk:
        assert (await talk.reply()).startswith("421 4.7.1")


async def test_bytes_of_all_mails_together_are_bounded(open_door: OpenDoor) -> None:
    """What is too much at once gets 452, and there is room again when the others are done."""
    door = await open_door(max_bytes_at_once=50_000_000, size_limit=40_000_000)
    line = b"x" * 998 + b"\r\n"
    async with door.talk() as first, door.talk() as second:
        for talk in (first, second):
            await begin(talk, "alice.eth")
            await talk.say("DATA")
            await talk.send(b"From: bob@example.net\r\n\r\n")
        for talk in (first, second):
            await talk.send(line * 35_000)
        await second.send(b".\r\n")
        assert (await second.reply()).startswith("452 4.3.1")
        await first.send(b".\r\n")
        assert not (await first.reply()).startswith("452")
        await begin(second, "alice.eth")
        await second.say("DATA")
        await second.send(MAIL % b"after")
        assert (await second.reply()).startswith("250")
