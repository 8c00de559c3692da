"""The dialogue of the MX port: what is announced, what each command answers, and commands made to hurt."""

from __future__ import annotations

import pytest

from gateway.sdk import EnsName, LimitExceeded, Unavailable
from gateway.sdk.addresses import normalise, punycode_localpart
from tests.integration.email.conftest import Door, OpenDoor


async def test_what_is_announced(door: Door) -> None:
    async with door.talk(greet=False) as talk:
        assert (await talk.reply()) == "220 gw.example ESMTP"
        lines = (await talk.say("EHLO client.example.net")).splitlines()
        assert {line[4:] for line in lines} == {
            "gw.example",
            "SIZE 36000000",
            "8BITMIME",
            "SMTPUTF8",
            "PIPELINING",
            "HELP",
        }
        assert lines[-1].startswith("250 ")
        assert (await talk.say("QUIT")).startswith("221")
        assert await talk.reply() == ""


async def test_helo_is_enough(door: Door) -> None:
    async with door.talk(greet=False) as talk:
        await talk.reply()
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("503")
        assert (await talk.say("HELO client.example.net")).startswith("250")
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("250 2.0.0")


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        (["RCPT TO:<alice.eth@gw.example>"], "503"),
        (["DATA"], "503 5.5.1"),
        (["MAIL FROM:<bob@example.net>", "DATA"], "503 5.5.1"),
        (["MAIL FROM:<bob@example.net>", "MAIL FROM:<bob@example.net>"], "503"),
        (["MAIL FROM:<bob@example.net>", "RSET", "RCPT TO:<alice.eth@gw.example>"], "503"),
        (["MAIL FROM:<bob@example.net>", "RCPT TO:<alice.eth@gw.example>", "DATA now"], "501"),
        (["MAIL"], "501"),
        (["MAIL FROM:"], "553"),
        (["MAIL bob@example.net"], "501"),
        (["MAIL FROM:bob@example.net"], "553"),
        (["MAIL FROM:<bob@example.net> SIZE=x"], "501"),
        (["MAIL FROM:<bob@example.net> SIZE=36000001"], "552"),
        (["MAIL FROM:<bob@example.net> SIZE=36000000 BODY=8BITMIME"], "250"),
        (["MAIL FROM:<bob@example.net> NONSENSE=1"], "555"),
        (["MAIL FROM:<bob@example.net>", "RCPT TO:<alice.eth@gw.example> NOTIFY=NEVER"], "555"),
        (["VRFY alice.eth"], "252"),
        (["VRFY \x00"], "252"),
        (["EXPN list"], "502"),
        (["AUTH PLAIN AGJvYgBzZWNyZXQ="], "502 5.5.1"),
        (["STARTTLS"], "454"),
        (["NOOP anything"], "250"),
        (["HELP"], "250"),
        (["GET / HTTP/1.1"], "500"),
        ([""], "500"),
        (["MAIL FROM:<" + "a" * 600 + "@example.net>"], "553"),
        (["MAIL FROM:<" + "a" * 2000 + "@example.net>"], "500"),
        (["NOOP " + "a" * 20_000], "500"),
    ],
    ids=str,
)
async def test_the_last_reply(door: Door, commands: list[str], code: str) -> None:
    async with door.talk() as talk:
        replies = [await talk.say(command) for command in commands]
        assert replies[-1].startswith(code)
        assert (await talk.say("NOOP")).startswith("250")


@pytest.mark.parametrize(
    "path",
    [
        b"<bob\x00@example.net>",
        b'<"a\rRCPT TO:<x@y>"@example.net>',
        b"<bob@example.net\x1b>",
        b"<bob@exam ple.net>",
        b"<@relay.example:bob@example.net>",
        b"<bob\xff@example.net>",
        b"bob@example.net",
        b"<" + b"(" * 400 + b"@example.net>",
    ],
)
async def test_addresses_that_break_the_grammar(door: Door, path: bytes) -> None:
    async with door.talk() as talk:
        assert (await talk.say(b"MAIL FROM:" + path)).startswith("553 5.1.3")
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("250")
        assert (await talk.say(b"RCPT TO:" + path)).startswith("553 5.1.3")
        assert (await talk.say("RCPT TO:<alice.eth@gw.example>")).startswith("250")


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("alice.eth@gw.example", "250 2.0.0"),
        ("ALICE.eth@GW.Example", "250 2.0.0"),
        ('"alice.eth"@gw.example', "250 2.0.0"),
        ("nobody.eth@gw.example", "550 5.1.1"),
        ("no name@gw.example", "553 5.1.3"),
        ("alice..eth@gw.example", "553 5.1.3"),
        ("ab--c.eth@gw.example", "550 5.1.1"),
        ("xn--a.eth@gw.example", "550 5.1.1"),
        ("a-aaaaaaaaaaaaaaaaaaaaaaaaaa@gw.example", "550 5.1.1"),
        ("alice.eth@example.net", "550 5.7.1"),
        ("alice.eth@sub.gw.example", "550 5.7.1"),
        ("alice.eth@[127.0.0.1]", "550 5.7.1"),
        ("alice.eth%example.net@gw.example", "550 5.1.1"),
        ("alice.eth!example.net@gw.example", "550 5.1.1"),
        ("postmaster@gw.example", "550 5.1.1"),
        ("abuse@gw.example", "550 5.1.1"),
        ("b+aaaa@gw.example", "550 5.1.1"),
    ],
)
async def test_recipients(door: Door, recipient: str, reply: str) -> None:
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<bob@example.net>")
        assert (await talk.say(f"RCPT TO:<{recipient}>")).startswith(reply)


async def test_the_empty_recipient(door: Door) -> None:
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<bob@example.net>")
        assert (await talk.say("RCPT TO:<>")).startswith("550 5.1.1")


async def test_names_outside_ascii(door: Door) -> None:
    name = normalise("ξένος.eth")
    door.ctx.known_names.add(name)
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<bob@example.net>")
        assert (await talk.say(f"RCPT TO:<{punycode_localpart(name).text}@gw.example>")).startswith("250")
        assert (await talk.say(f"RCPT TO:<{name}@gw.example>")).startswith("553 5.6.7")
        await talk.say("RSET")
        await talk.say("MAIL FROM:<bob@example.net> SMTPUTF8")
        assert (await talk.say(f"RCPT TO:<{name}@gw.example>")).startswith("250")
        assert (await talk.say("RCPT TO:<Ξένος.eth@gw.example>")).startswith("550 5.1.1")


async def test_a_sender_outside_ascii_needs_smtputf8(open_door: OpenDoor) -> None:
    door = await open_door(allowed_senders=("jörg@example.net",))
    async with door.talk() as talk:
        assert (await talk.say("MAIL FROM:<jörg@example.net>")).startswith("553 5.6.7")
        assert (await talk.say("MAIL FROM:<jörg@example.net> SMTPUTF8")).startswith("250")


@pytest.mark.parametrize(("fault", "reply"), [(Unavailable("chain"), "451 4.4.3"), (LimitExceeded(), "451 4.7.1")])
async def test_recipients_while_something_is_down(door: Door, fault: Unavailable, reply: str) -> None:
    door.ctx.fault = fault
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<bob@example.net>")
        assert (await talk.say("RCPT TO:<alice.eth@gw.example>")).startswith(reply)
        door.ctx.fault = None
        assert (await talk.say("RCPT TO:<alice.eth@gw.example>")).startswith("250")


async def test_a_fault_of_our_own_tells_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(name: EnsName) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(door.ctx, "check_recipient", broken)
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<bob@example.net>")
        reply = await talk.say("RCPT TO:<alice.eth@gw.example>")
        assert reply == "451 4.3.0 Something failed on our side, try again later"


async def test_too_many_recipients_are_put_off(open_door: OpenDoor) -> None:
    door = await open_door(max_recipients=2)
    door.ctx.known_names |= {EnsName("dave.eth")}
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<bob@example.net>")
        replies = [await talk.say(f"RCPT TO:<{name}.eth@gw.example>") for name in ("alice", "carol", "dave")]
        assert [reply[:3] for reply in replies] == ["250", "250", "452"]


async def test_bogus_commands_end_the_connection(door: Door) -> None:
    async with door.talk() as talk:
        replies = [await talk.say("BOGUS") for _ in range(5)]
        assert replies[-1].startswith("502 5.5.1 Too many")
        assert await talk.reply() == ""


async def test_floods_of_a_command_end_the_connection(door: Door) -> None:
    async with door.talk() as talk:
        await talk.send(b"NOOP\r\n" * 101)
        replies = [await talk.reply() for _ in range(101)]
        assert replies[-1].startswith("421")
        assert await talk.reply() == ""


async def test_many_greetings_do_not_raise_limits(open_door: OpenDoor) -> None:
    door = await open_door()
    async with door.talk() as talk:
        for _ in range(15):
            await talk.say("EHLO client.example.net")
        assert (await talk.say("MAIL FROM:<bob@example.net> " + "X" * 1100)).startswith("500")


@pytest.mark.parametrize(
    ("sender", "reply"),
    [
        ("bob@example.net", "250"),
        ("Bob@EXAMPLE.net", "250"),
        ("eve@example.com", "550 5.7.1"),
        ("eve@sub.example.net", "550 5.7.1"),
        ("eve@example.net.evil.example", "550 5.7.1"),
        ("bob@[127.0.0.1]", "550 5.7.1"),
    ],
)
async def test_senders_on_the_list(open_door: OpenDoor, sender: str, reply: str) -> None:
    door = await open_door(senders="listed")
    async with door.talk() as talk:
        assert (await talk.say(f"MAIL FROM:<{sender}>")).startswith(reply)


async def test_the_list_does_not_count_for_the_internet(open_door: OpenDoor) -> None:
    door = await open_door(senders="listed", allowed_networks=("192.0.2.0/24",))
    async with door.talk() as talk:
        reply = await talk.say("MAIL FROM:<bob@example.net>")
        assert reply.startswith("550 5.7.1")
        assert "allow-list" in reply


async def test_an_empty_list_lets_nobody_in(open_door: OpenDoor) -> None:
    door = await open_door(senders="listed", allowed_senders=())
    async with door.talk() as talk:
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("550 5.7.1")


async def test_others_may_try(door: Door) -> None:
    """Whether they are who they say turns out when the mail is there."""
    async with door.talk() as talk:
        assert (await talk.say("MAIL FROM:<eve@example.com>")).startswith("250")
        await talk.say("RSET")
        assert (await talk.say("MAIL FROM:<bob@[127.0.0.1]>")).startswith("550 5.7.1"), "no domain, no proof"
