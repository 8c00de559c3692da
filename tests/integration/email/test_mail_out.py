"""Mail on its way out: which server, over TLS or not, and what each answer means for the DM3 sender."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from adapters.email.adapter import EmailAdapter
from adapters.email.messageid import message_id_of
from adapters.email.routes import MxRoutes
from adapters.email.settings import EmailSettings
from gateway.sdk import (
    CanonicalId,
    Delivered,
    Delivery,
    DeliveryState,
    EnsName,
    MessageHash,
    MessageType,
    NativeId,
    NotFound,
    Outcome,
    Reference,
    Rejected,
    Retry,
    StatusReport,
    Unavailable,
)
from gateway.sdk.testing import MemoryContext
from gateway.sdk.testing.conformance import sample_delivery
from tests.integration.email.peers import Mailbox, MailUser, Zone, dns_server, mail_server

ONE_SERVER = {"example.net MX": ["10 mx.example.net."], "mx.example.net A": ["127.0.0.1"]}


@asynccontextmanager
async def post_office(
    mailbox: Mailbox,
    records: Mapping[str, Sequence[str]] = ONE_SERVER,
    *,
    failing: frozenset[str] = frozenset(),
    tls: ssl.SSLContext | None = None,
    utf8: bool = False,
    context: Callable[..., MemoryContext] = MemoryContext,
    **settings: Any,
) -> AsyncIterator[tuple[EmailAdapter, MemoryContext, Zone]]:
    """An open adapter whose mail goes by a DNS server of ours to a mail server of ours."""
    zone = Zone(records, failing)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(mail_server(mailbox, tls=tls, utf8=utf8))
        dns = await stack.enter_async_context(dns_server(zone))
        values = {
            "domain": "gw.example",
            "smtp_host": "127.0.0.1",
            "smtp_port": 0,
            "dns_servers": (dns,),
            "mx_port": port,
            "allow_private_destinations": True,
            "send_timeout": 60,
        }
        adapter = EmailAdapter(EmailSettings.model_validate(values | settings))
        ctx = context(network=adapter.name)
        await adapter.open(ctx)
        stack.push_async_callback(adapter.close)
        yield adapter, ctx, zone


def delivery(adapter: EmailAdapter, **changes: Any) -> Delivery:
    return replace(sample_delivery(MailUser(adapter, Mailbox()), 1), **changes)


async def outcome(mailbox: Mailbox, records: Mapping[str, Sequence[str]] = ONE_SERVER, **options: Any) -> Outcome:
    async with post_office(mailbox, records, **options) as (adapter, _, _):
        return await adapter.deliver(delivery(adapter))


async def test_an_answer_arrives_threaded() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, ctx, _):
        reply = delivery(
            adapter,
            type=MessageType.REPLY,
            text="Hello Bob",
            first=True,
            reference=Reference(MessageHash("0x" + "11" * 32), NativeId("<1@example.net>")),
        )
        result = await adapter.deliver(reply)
        assert result == Delivered(message_id_of(reply.message_hash, "gw.example"))
        (mail,) = mailbox.mails
        assert mail["From"] == '"native.eth via DM3" <native.eth@gw.example>'
        assert mail["In-Reply-To"] == mail["References"] == "<1@example.net>"
        assert mail["Message-ID"] == result.native_id
        assert "Hello Bob" in mail.get_content()
        assert "not end-to-end" in mail.get_content()
        (envelope,) = mailbox.envelopes
        assert envelope.rcpt_tos == ["bob@example.net"]
        assert envelope.mail_from is not None
        assert envelope.mail_from.startswith("b+")
        assert envelope.mail_from.endswith("@gw.example")
        assert ctx.aliases == {}


async def test_a_second_try_is_the_same_mail() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        for _ in range(2):
            await adapter.deliver(delivery(adapter))
    first, second = mailbox.envelopes
    assert (first.content, first.mail_from) == (second.content, second.mail_from)


async def test_a_long_name_leaves_its_alias() -> None:
    name = EnsName(".".join(["a" * 20] * 4) + ".eth")
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, ctx, _):
        assert isinstance(await adapter.deliver(delivery(adapter, sender=name)), Delivered)
    ((alias, target),) = ctx.aliases.items()
    assert target == name
    assert mailbox.mails[0]["From"].addresses[0].username == alias


@pytest.mark.attack(24)
@pytest.mark.parametrize("hostile", ["a\r\n.\r\nMAIL FROM:<eve@x>\r\n", ".\r\n..\r\n", "\n.\n", "\r.\r"])
async def test_no_text_ends_our_own_mail(hostile: str) -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        assert isinstance(await adapter.deliver(delivery(adapter, text=f"begin{hostile}end")), Delivered)
    (mail,) = mailbox.mails
    content = mailbox.envelopes[0].original_content or b""
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n"), (
        "nor does it end for servers after us"
    )
    assert mail.get_content().startswith("begin")
    assert mail.get_content().rstrip().endswith("end")


@pytest.mark.parametrize(
    ("command", "answer", "kind", "words"),
    [
        ("RCPT", "550 5.1.1 no such user", Rejected, '550 "5.1.1 no such user"'),
        ("RCPT", "450 4.2.1 greylisted", Retry, "450"),
        ("MAIL", "550 go away", Rejected, "go away"),
        ("MAIL", "451 later", Retry, "451"),
        ("DATA", "554 5.7.1 spam", Rejected, "spam"),
        ("DATA", "452 4.3.1 disk full", Retry, "disk full"),
        ("DATA", "421 4.3.2 closing", Retry, "421"),
    ],
)
async def test_answers_of_the_other_server(command: str, answer: str, kind: type[Retry | Rejected], words: str) -> None:
    result = await outcome(Mailbox(answers={command: answer}))
    assert isinstance(result, kind)
    assert isinstance(result, Retry | Rejected)
    assert words in result.reason
    assert result.reason.startswith("mx.example.net said: ")


@pytest.mark.parametrize(
    ("records", "kind", "words"),
    [
        ({}, Rejected, "does not exist"),
        ({"example.net MX": ["0 ."]}, Rejected, "takes no mail"),
        ({"example.net TXT": ['"v=spf1"']}, Rejected, "no mail server"),
        ({"example.net MX": ["10 gone.example.net."]}, Rejected, "no mail server"),
        ({"example.net MX": ["10 mx.example.net."], "mx.example.net A": ["127.0.0.99"]}, Retry, "cannot be reached"),
    ],
    ids=["NXDOMAIN", "null MX", "no address", "MX without address", "nobody listens"],
)
async def test_domains_without_a_mail_server(
    records: Mapping[str, Sequence[str]], kind: type[Retry | Rejected], words: str
) -> None:
    result = await outcome(Mailbox(), records)
    assert isinstance(result, kind)
    assert isinstance(result, Retry | Rejected)
    assert words in result.reason


@pytest.mark.parametrize("failing", ["example.net", "mx.example.net"])
async def test_a_dns_that_fails_is_asked_again_later(failing: str) -> None:
    result = await outcome(Mailbox(), failing=frozenset({failing}))
    assert isinstance(result, Retry)
    assert "DNS" in result.reason


async def test_a_domain_without_mx_is_its_own_server() -> None:
    mailbox = Mailbox()
    assert isinstance(await outcome(mailbox, {"example.net A": ["127.0.0.1"]}), Delivered)
    assert len(mailbox.envelopes) == 1


async def test_the_next_server_is_tried() -> None:
    mailbox = Mailbox()
    records = {
        "example.net MX": ["5 dead.example.net.", "10 gone.example.net.", "20 mx.example.net."],
        "dead.example.net A": ["127.0.0.99"],
        "mx.example.net A": ["127.0.0.1"],
    }
    assert isinstance(await outcome(mailbox, records), Delivered)
    assert len(mailbox.envelopes) == 1


async def test_servers_are_asked_in_order_of_preference() -> None:
    zone = Zone({"example.net MX": ["20 b.example.net.", "5 a.example.net.", "0 ."], **{
        f"{host}.example.net A": [f"127.0.0.{number}"] for number, host in enumerate("ab", start=1)
    }})  # fmt: skip
    async with dns_server(zone) as dns:
        servers = await MxRoutes((dns,), allow_private=True).find("example.net")
    assert [(server.host, server.address) for server in servers] == [
        ("a.example.net", "127.0.0.1"),
        ("b.example.net", "127.0.0.2"),
    ]


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("A", "127.0.0.1"),
        ("A", "10.0.0.1"),
        ("A", "192.168.1.1"),
        ("A", "169.254.169.254"),
        ("A", "100.64.0.1"),
        ("A", "0.0.0.0"),
        ("A", "224.0.0.1"),
        ("AAAA", "::1"),
        ("AAAA", "fe80::1"),
        ("AAAA", "fd00::1"),
        ("AAAA", "::ffff:127.0.0.1"),
        ("AAAA", "64:ff9b::7f00:1"),
        ("AAAA", "2002:7f00:1::"),
    ],
)
async def test_a_record_does_not_lead_into_our_own_network(kind: str, address: str) -> None:
    zone = Zone({"example.net MX": ["10 mx.example.net."], f"mx.example.net {kind}": [address]})
    async with dns_server(zone) as dns:
        with pytest.raises(NotFound):
            await MxRoutes((dns,)).find("example.net")
        assert await MxRoutes((dns,), allow_private=True).find("example.net")


async def test_public_addresses_are_taken() -> None:
    zone = Zone({"example.net MX": ["10 mx.example.net."], "mx.example.net A": ["10.0.0.1", "192.0.43.8"]})
    async with dns_server(zone) as dns:
        servers = await MxRoutes((dns,)).find("example.net")
    assert [server.address for server in servers] == ["192.0.43.8"]


async def test_a_domain_that_is_none() -> None:
    async with dns_server(Zone()) as dns:
        with pytest.raises(NotFound):
            await MxRoutes((dns,)).find("a" * 64 + ".example")


async def test_a_silent_dns_server(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Zone):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            return

    monkeypatch.setattr("adapters.email.routes.LOOKUP_TIME", 0.1)
    async with dns_server(Silent()) as dns:
        with pytest.raises(Unavailable):
            await MxRoutes((dns,)).find("example.net")


async def test_our_own_domain_is_no_destination() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, zone):
        result = await adapter.deliver(delivery(adapter, recipient=CanonicalId("alice.eth@gw.example")))
    assert isinstance(result, Rejected)
    assert zone.asked == []


async def test_tls_is_used_where_it_is_offered(server_tls: ssl.SSLContext) -> None:
    mailbox = Mailbox()
    assert isinstance(await outcome(mailbox, tls=server_tls), Delivered)
    assert mailbox.over_tls == [True]


async def test_broken_tls_is_given_up_for_clear_text() -> None:
    broken = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # a server without any certificate
    mailbox = Mailbox()
    assert isinstance(await outcome(mailbox, tls=broken), Delivered)
    assert mailbox.over_tls == [False]


async def test_a_recipient_outside_ascii() -> None:
    for utf8, kind in ((True, Delivered), (False, Rejected)):
        mailbox = Mailbox()
        async with post_office(mailbox, utf8=utf8) as (adapter, _, _):
            result = await adapter.deliver(delivery(adapter, recipient=CanonicalId("jörg@example.net")))
        assert isinstance(result, kind)
        assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == ([["jörg@example.net"]] if utf8 else [])


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"554 5.7.1 not you\r\n", "554"),
        (b"220 hi\r\n", "does not answer"),
        (b"", "cannot be reached"),
        (b"\x16\x03\x01 what\r\n", "Malformed"),
    ],
)
async def test_servers_that_are_none(greeting: bytes, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        result = await outcome(Mailbox(), mx_port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
    assert isinstance(result, Retry)
    assert words in result.reason


async def test_a_server_that_hangs_is_left() -> None:
    hanging = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 wait\r\n")
        await hanging.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        result = await outcome(Mailbox(), mx_port=server.sockets[0].getsockname()[1], send_timeout=0.1)
    finally:
        hanging.set()
        server.close()
    assert isinstance(result, Retry)


def relay_server(mailbox: Mailbox, tls: ssl.SSLContext, logins: list[LoginPassword]) -> SMTP:
    def check(server: SMTP, session: Any, envelope: Any, mechanism: str, login: LoginPassword) -> AuthResult:
        logins.append(login)
        return AuthResult(success=login.password == b"secret", handled=False)

    return SMTP(
        mailbox,
        loop=asyncio.get_running_loop(),
        hostname="relay.example.org",
        tls_context=tls,
        auth_required=True,
        authenticator=check,
    )


@pytest.mark.parametrize(
    ("password", "trusted", "kind"),
    [("secret", True, Delivered), ("wrong", True, Retry), ("secret", False, Retry)],
)
async def test_a_relay_host_with_log_in(
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    trusted: bool,
    kind: type[Outcome],
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    (tmp_path / "password").write_text(password + "\n")
    mailbox, logins = Mailbox(), list[LoginPassword]()
    server = await asyncio.get_running_loop().create_server(
        lambda: relay_server(mailbox, context, logins), "127.0.0.1", 0
    )
    try:
        result = await outcome(
            mailbox,
            relay_host=f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
            relay_user="gateway",
            relay_password_file=tmp_path / "password",
        )
    finally:
        server.close()
    assert isinstance(result, kind)
    assert bool(logins) is trusted
    assert mailbox.over_tls == ([True] if kind is Delivered else [])


def failed(**changes: Any) -> StatusReport:
    report = StatusReport(
        native_id=NativeId("<1@example.net>"),
        sender=CanonicalId("bob@example.net"),
        recipient=EnsName("alice.eth"),
        state=DeliveryState.FAILED,
        reason="The delivery service refused the message.",
    )
    return replace(report, **changes)


async def test_a_failure_is_told_to_the_sender_once() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        await adapter.report(failed())
    (envelope,), (notice,) = mailbox.envelopes, mailbox.mails
    assert envelope.mail_from in ("", "<>", None)
    assert envelope.rcpt_tos == ["bob@example.net"]
    assert notice.get_content_type() == "multipart/report"
    assert notice["In-Reply-To"] == "<1@example.net>"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": DeliveryState.SENT},
        {"state": DeliveryState.DELIVERED},
        {"state": DeliveryState.OPENED},
        {"automatic": True},
    ],
    ids=str,
)
async def test_other_news_cause_no_mail(changes: dict[str, Any]) -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, zone):
        await adapter.report(failed(**changes))
    assert mailbox.envelopes == []
    assert zone.asked == []


async def test_a_notice_that_is_not_taken_now_is_to_come_again() -> None:
    async with post_office(Mailbox(answers={"RCPT": "450 later"})) as (adapter, _, _):
        with pytest.raises(Unavailable, match="failure notice"):
            await adapter.report(failed())


async def test_a_notice_that_is_refused_for_good_is_not_tried_again() -> None:
    """Whoever does not want to know is not told for five days."""
    mailbox = Mailbox(answers={"RCPT": "550 no"})
    async with post_office(mailbox) as (adapter, _, _):
        await adapter.report(failed())
    assert mailbox.envelopes == []
