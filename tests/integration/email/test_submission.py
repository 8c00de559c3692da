"""The submission port: STARTTLS, log-in, and that nobody writes as somebody else."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import aiosmtplib
import pytest

from adapters.email import server
from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.talk import Talk, letter


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = "AUTH PLAIN " + b64("\0bob\0secret")
WRONG = "AUTH PLAIN " + b64("\0bob\0wrong")


@pytest.fixture
async def office(open_door: OpenDoor, tls_files: dict[str, Path], users_file: Path) -> Door:
    """A door with a submission port, and nobody on the allow-list."""
    return await open_door(submission_port=0, submission_users_file=users_file, allowed_senders=(), **tls_files)


async def encrypted(talk: Talk, context: ssl.SSLContext) -> str:
    """STARTTLS and EHLO again; what is announced then."""
    await talk.start_tls(context)
    return await talk.say("EHLO client.example.net")


async def test_a_mail_program(office: Door, client_tls: ssl.SSLContext) -> None:
    async with aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=office.adapter.submission_port,
        start_tls=True,
        tls_context=client_tls,
        username="bob",
        password="secret",
        local_hostname="client",
    ) as client:
        await client.sendmail("bob@example.net", ["alice.eth@gw.example"], letter("from a program"))
    assert [taken.text for taken in office.ctx.taken] == ["from a program"]


async def test_nothing_goes_without_tls(office: Door) -> None:
    async with office.talk(submission=True) as talk:
        announced = await talk.say("EHLO client.example.net")
        assert "STARTTLS" in announced
        assert "AUTH" not in announced
        assert (await talk.say(PLAIN)).startswith("538 5.7.11")
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("530 5.7.0")


async def test_nothing_goes_without_log_in(office: Door, client_tls: ssl.SSLContext) -> None:
    async with office.talk(submission=True) as talk:
        announced = await encrypted(talk, client_tls)
        assert "AUTH PLAIN LOGIN" in announced
        assert "STARTTLS" not in announced
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("530 5.7.0")


@pytest.mark.parametrize(
    "dialogue",
    [
        [PLAIN],
        ["auth plain " + b64("bob\0bob\0secret")],
        ["AUTH PLAIN", b64("\0bob\0secret")],
        ["AUTH LOGIN", b64("bob"), b64("secret")],
        ["AUTH LOGIN " + b64("bob"), b64("secret")],
    ],
    ids=str,
)
async def test_ways_to_log_in(office: Door, client_tls: ssl.SSLContext, dialogue: list[str]) -> None:
    async with office.talk(submission=True) as talk:
        await encrypted(talk, client_tls)
        replies = [await talk.say(line) for line in dialogue]
        assert all(reply.startswith("334") for reply in replies[:-1])
        assert replies[-1].startswith("235 2.7.0")
        assert "AUTH" not in await talk.say("EHLO client.example.net")
        assert (await talk.say(PLAIN)).startswith("503")
        assert (await talk.mail(letter())).startswith("250")


@pytest.mark.parametrize(
    ("dialogue", "reply"),
    [
        ([WRONG], "535 5.7.8"),
        (["AUTH PLAIN " + b64("\0nobody\0secret")], "535 5.7.8"),
        (["AUTH PLAIN " + b64("\0bob\0" + "x" * 2000)], "535 5.7.8"),
        (["AUTH PLAIN " + b64("eve\0bob\0secret")], "501 5.5.2"),
        (["AUTH PLAIN !!!"], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.5.2"),
        (["AUTH LOGIN", "*"], "501 5.5.2"),
        (["AUTH LOGIN", b64("bob"), "!!!"], "501 5.5.2"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH"], "504 5.5.4"),
        (["AUTH PLAIN " + "A" * 13_000], "500"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_ways_to_fail(office: Door, client_tls: ssl.SSLContext, dialogue: list[str], reply: str) -> None:
    async with office.talk(submission=True) as talk:
        await encrypted(talk, client_tls)
        replies = [await talk.say(line) for line in dialogue]
        assert replies[-1].startswith(reply)
        assert (await talk.say("MAIL FROM:<bob@example.net>")).startswith("530")


async def test_guessing_ends_the_connection(office: Door, client_tls: ssl.SSLContext) -> None:
    async with office.talk(submission=True) as talk:
        await encrypted(talk, client_tls)
        replies = [await talk.say(WRONG) for _ in range(server.MAX_LOGIN_ATTEMPTS)]
        assert [reply[:3] for reply in replies] == ["535", "535", "421"]
        assert await talk.reply() == ""


@pytest.mark.parametrize(
    ("sender", "header", "reply"),
    [
        ("bob@example.net", "bob@example.net", "250"),
        ("bob@example.net", "Bob <BOB@example.org>", "250"),
        ("bob@example.org", "bob@example.net", "250"),
        ("bob@example.net", "eve@example.net", "550 5.7.1"),
    ],
)
async def test_from_belongs_to_the_login(
    office: Door, client_tls: ssl.SSLContext, sender: str, header: str, reply: str
) -> None:
    async with office.talk(submission=True) as talk:
        await encrypted(talk, client_tls)
        await talk.say(PLAIN)
        assert (await talk.mail(letter(sender=header), sender=sender)).startswith(reply)


@pytest.mark.parametrize("sender", ["eve@example.net", "", "bob@[127.0.0.1]"])
async def test_the_envelope_belongs_to_the_login(office: Door, client_tls: ssl.SSLContext, sender: str) -> None:
    async with office.talk(submission=True) as talk:
        await encrypted(talk, client_tls)
        await talk.say(PLAIN)
        assert (await talk.say(f"MAIL FROM:<{sender}>")).startswith("553 5.7.1")


async def test_what_was_said_in_clear_is_forgotten(office: Door, client_tls: ssl.SSLContext) -> None:
    """RFC 3207, section 4.2: and nothing injected before the handshake is run behind it (CVE-2021-38371's kind)."""
    async with office.talk() as talk:
        await talk.say("MAIL FROM:<>")
        await talk.send(b"STARTTLS\r\nRSET\r\nQUIT\r\n")
        assert (await talk.reply()).startswith("220")
        await talk.writer.start_tls(client_tls, server_hostname="localhost")
        assert (await talk.say("RCPT TO:<alice.eth@gw.example>")).startswith("503")
        assert (await talk.say("EHLO client.example.net")).startswith("250")


async def test_the_mx_port_has_tls_and_no_log_in(office: Door, client_tls: ssl.SSLContext) -> None:
    async with office.talk() as talk:
        assert "AUTH" not in await encrypted(talk, client_tls)
        assert (await talk.say(PLAIN)).startswith("502 5.5.1")


async def test_log_in_needs_ehlo(office: Door, client_tls: ssl.SSLContext) -> None:
    async with office.talk(submission=True) as talk:
        await talk.start_tls(client_tls)
        assert (await talk.say(PLAIN)).startswith("503")
        await talk.say("HELO client.example.net")
        assert (await talk.say(PLAIN)).startswith("503")


async def test_a_handshake_that_is_none_hurts_nobody(office: Door) -> None:
    async with office.talk() as talk:
        assert (await talk.say("STARTTLS")).startswith("220")
        await talk.send(b"this is no TLS\r\n" * 10)
        assert b"250" not in await talk.reader.read()
    async with office.talk() as talk:
        assert (await talk.say("NOOP")).startswith("250")


async def test_passwords_are_not_logged(
    office: Door, client_tls: ssl.SSLContext, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        async with office.talk(submission=True) as talk:
            await encrypted(talk, client_tls)
            await talk.say(WRONG)
            await talk.say("AUTH LOGIN")
            await talk.say(b64("bob"))
            await talk.say(b64("secret"))
    output = capsys.readouterr().out + caplog.text
    assert "login_failed" in output
    for secret in ("secret", "wrong", b64("\0bob\0wrong"), b64("secret")):
        assert secret not in output
