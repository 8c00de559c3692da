"""MTA-STS with real DNS packets, real HTTPS and real STARTTLS: what a policy demands is never downgraded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapters.email.adapter import EmailAdapter
from adapters.email.keys import FILES, make_keys
from adapters.email.mta_sts.fetch import FetchFailed, PolicyHost
from adapters.email.mta_sts.policies import KIND, Policies
from adapters.email.mta_sts.policy import Mode, Policy
from adapters.email.returnpath import DAY_MS
from adapters.email.routes import MxRoutes
from adapters.email.tls import ResultType
from gateway.sdk import Delivered, Outcome, Retry
from gateway.sdk.testing import MemoryContext
from gateway.sdk.testing.context import MemoryValues
from tests.integration.email.peers import Mailbox, Zone, dns_server
from tests.integration.email.test_mail_out import delivery, post_office

RECORDS = {
    "example.net MX": ["10 mx.example.net."],
    "mx.example.net A": ["127.0.0.1"],
    "_mta-sts.example.net TXT": ['"v=STSv1; id=1;"'],
    "mta-sts.example.net A": ["127.0.0.1"],
}

PAST = datetime(2020, 1, 1, tzinfo=UTC)


def policy(mode: str = "enforce", mx: str = "mx.example.net", max_age: int = 86_400) -> str:
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {max_age}\r\n"


@dataclass
class PolicyServer:
    """A web server that answers every request the same way."""

    body: str = field(default_factory=policy)
    status: str = "200 OK"
    headers: tuple[str, ...] = ("Content-Type: text/plain",)
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        lines = (f"HTTP/1.1 {self.status}", *self.headers, f"Content-Length: {len(self.body)}", "Connection: close")
        writer.write("\r\n".join((*lines, "", self.body)).encode())
        try:
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


@dataclass
class Web:
    """Where policies come from: the server, and its port."""

    server: PolicyServer
    port: int


def certificate(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


@asynccontextmanager
async def web(context: ssl.SSLContext, server: PolicyServer | None = None) -> AsyncIterator[Web]:
    policies = server or PolicyServer()
    listener = await asyncio.start_server(policies.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield Web(policies, listener.sockets[0].getsockname()[1])
    finally:
        listener.close()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The authority of these tests is one that the system trusts."""
    authority.cert_pem.write_to_path(tmp_path / "roots.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    return authority


@dataclass
class Case:
    """What a delivery came to."""

    outcome: Outcome
    mailbox: Mailbox
    adapter: EmailAdapter
    ctx: MemoryContext

    async def failures(self) -> dict[str, list[tuple[str, int]]]:
        """What the day's TLS report says, by the type of policy."""
        report = self.adapter._tls_report
        assert report is not None
        await report.write()
        days = await self.adapter.tls_reports(self.ctx.now_ms() // DAY_MS)
        json.dumps(days)
        return {
            each["policy"]["policy-type"]: [
                (detail["result-type"], detail["failed-session-count"]) for detail in each["failure-details"]
            ]
            for day in days
            for each in day["policies"]
        }


@asynccontextmanager
async def delivered(
    authority: trustme.CA,
    text: str,
    *,
    mx: ssl.SSLContext | None,
    web_name: str = "mta-sts.example.net",
    records: dict[str, list[str]] = RECORDS,
    **settings: Any,
) -> AsyncIterator[Case]:
    async with AsyncExitStack() as stack:
        pages = await stack.enter_async_context(web(certificate(authority, web_name), PolicyServer(text)))
        mailbox = Mailbox()
        adapter, ctx, _ = await stack.enter_async_context(
            post_office(mailbox, records, tls=mx, mta_sts_port=pages.port, **settings)
        )
        yield Case(await adapter.deliver(delivery(adapter)), mailbox, adapter, ctx)


async def test_verified_tls_as_the_policy_wants_it(trusted: trustme.CA) -> None:
    async with delivered(trusted, policy(), mx=certificate(trusted, "mx.example.net")) as case:
        assert isinstance(case.outcome, Delivered)
        assert case.mailbox.over_tls == [True]
        assert json.loads(case.ctx.values.texts[KIND, "example.net"])["mode"] == "enforce"
        assert await case.failures() == {"sts": []}


def server_side(authority: trustme.CA, what: str) -> ssl.SSLContext | None:
    match what:
        case "no TLS":
            return None
        case "broken TLS":
            return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        case "another name":
            return certificate(authority, "mx.example.org")
        case "expired":
            return certificate(authority, "mx.example.net", not_after=PAST)
    return certificate(trustme.CA(), "mx.example.net")


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        ("no TLS", "starttls-not-supported"),
        ("broken TLS", "validation-failure"),
        ("another name", "certificate-host-mismatch"),
        ("expired", "certificate-expired"),
        ("another authority", "certificate-not-trusted"),
    ],
)
@pytest.mark.parametrize("mode", ["enforce", "testing"])
async def test_what_is_less_than_the_policy_demands(trusted: trustme.CA, server: str, kind: str, mode: str) -> None:
    """Enforced: no mail, and nothing in clear text. Testing: mail, and a line in the report."""
    context = server_side(trusted, server)
    async with delivered(trusted, policy(mode), mx=context) as case:
        if mode == "enforce":
            assert isinstance(case.outcome, Retry)
            assert kind in case.outcome.reason
            assert case.mailbox.envelopes == []
        else:
            assert isinstance(case.outcome, Delivered)
            assert case.mailbox.over_tls == [server not in ("no TLS", "broken TLS")]
        assert await case.failures() == {"sts": [(kind, 1)]}


async def test_that_tls_fails_is_told_all_the_same(trusted: trustme.CA, tmp_path: Path) -> None:
    """RFC 8460, section 3: the report must come through where nothing else does, or nobody learns of it."""
    make_keys(tmp_path, "dm3")
    asks = RECORDS | {"_smtp._tls.example.net TXT": ['"v=TLSRPTv1; rua=mailto:tls@example.net"']}
    settings: dict[str, Any] = {"tls_reports": True, "dkim_key_files": [tmp_path / name for name in FILES]}
    async with delivered(trusted, policy("enforce"), mx=None, records=asks, **settings) as case:
        assert isinstance(case.outcome, Retry)
        assert await case.failures() == {"sts": [("starttls-not-supported", 1)]}
        reporter = case.adapter._tls_reporter
        assert reporter is not None
        reporter.now_ms = lambda: case.ctx.now_ms() + DAY_MS
        assert await reporter.send_due() == 1
        assert [each.rcpt_tos for each in case.mailbox.envelopes] == [["tls@example.net"]]


@pytest.mark.parametrize(("mode", "kind"), [("enforce", Retry), ("testing", Delivered), ("none", Delivered)])
async def test_a_server_that_the_policy_does_not_name(trusted: trustme.CA, mode: str, kind: type[Outcome]) -> None:
    """Whoever forges the MX record has a good certificate for the name that they put there."""
    async with delivered(trusted, policy(mode, "other.example.net"), mx=certificate(trusted, "mx.example.net")) as case:
        assert isinstance(case.outcome, kind)
        assert len(case.mailbox.envelopes) == (kind is Delivered)
        expected = {"no-policy-found": []} if mode == "none" else {"sts": [("validation-failure", 1)]}
        assert await case.failures() == expected


async def test_the_next_server_may_do(trusted: trustme.CA) -> None:
    records = RECORDS | {
        "example.net MX": ["5 evil.example.org.", "10 mx.example.net."],
        "evil.example.org A": ["127.0.0.1"],
    }
    async with delivered(trusted, policy(), mx=certificate(trusted, "mx.example.net"), records=records) as case:
        assert isinstance(case.outcome, Delivered)
        assert case.mailbox.over_tls == [True]


async def test_a_policy_from_a_bad_web_server_is_none(trusted: trustme.CA) -> None:
    async with delivered(trusted, policy(), mx=None, web_name="www.example.net") as case:
        assert isinstance(case.outcome, Delivered)
        assert await case.failures() == {"no-policy-found": [("starttls-not-supported", 1), ("sts-webpki-invalid", 1)]}


@dataclass
class Fetched:
    """`Policies` with a clock, a zone and a web server of the test."""

    policies: Policies
    values: MemoryValues
    zone: Zone
    pages: Web
    clock: list[int]


@asynccontextmanager
async def fetching(authority: trustme.CA, text: str) -> AsyncIterator[Fetched]:
    zone, clock, values = Zone(dict(RECORDS)), [1_800_000_000_000], MemoryValues()
    async with (
        dns_server(zone) as dns,
        web(certificate(authority, "mta-sts.example.net"), PolicyServer(text)) as pages,
    ):
        routes = MxRoutes((dns,), allow_private=True)
        policies = Policies(values, routes, PolicyHost(routes, pages.port), lambda: clock[0])
        yield Fetched(policies, values, zone, pages, clock)


ENFORCED = Policy(Mode.ENFORCE, 86_400, ("mx.example.net",))


async def test_a_policy_is_fetched_once_for_many_mails(trusted: trustme.CA) -> None:
    async with fetching(trusted, policy()) as world:
        found = await asyncio.gather(*(world.policies.find("example.net") for _ in range(20)))
        assert {each.policy for each in found} == {ENFORCED}
        (request,) = world.pages.server.asked
        assert request.startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
        assert "host: mta-sts.example.net\r\n" in request.lower()


async def test_a_new_id_brings_a_new_policy(trusted: trustme.CA) -> None:
    async with fetching(trusted, policy()) as world:
        await world.policies.find("example.net")
        world.pages.server.body = policy("none")
        assert (await world.policies.find("example.net")).policy == ENFORCED
        world.zone.records = RECORDS | {"_mta-sts.example.net TXT": ['"v=STSv1; id=2;"']}
        dns_forgets(world)
        assert (await world.policies.find("example.net")).policy is None
        assert len(world.pages.server.asked) == 2


def dns_forgets(world: Fetched) -> None:
    routes = world.policies._dns
    assert isinstance(routes, MxRoutes)
    assert routes._resolver.cache is not None
    routes._resolver.cache.flush()


@pytest.mark.parametrize("blocked", ["TXT record", "DNS", "web server", "bad policy"])
async def test_whoever_blocks_the_look_up_does_not_get_rid_of_a_policy(trusted: trustme.CA, blocked: str) -> None:
    async with fetching(trusted, policy(max_age=10 * 86_400)) as world:
        await world.policies.find("example.net")
        world.clock[0] += 2 * DAY_MS
        dns_forgets(world)
        if blocked == "TXT record":
            world.zone.records = {key: RECORDS[key] for key in RECORDS if "TXT" not in key}
        elif blocked == "DNS":
            world.zone.failing = frozenset({"_mta-sts.example.net"})
        elif blocked == "web server":
            world.pages.server.status = "503 No"
        else:
            world.pages.server.body = "<html>"
        found = await world.policies.find("example.net")
        assert found.policy == Policy(Mode.ENFORCE, 10 * 86_400, ("mx.example.net",))
        world.clock[0] += 9 * DAY_MS
        assert (await world.policies.find("example.net")).policy is None


async def test_a_policy_in_use_is_renewed_each_day(trusted: trustme.CA) -> None:
    async with fetching(trusted, policy()) as world:
        for day in range(4):
            assert (await world.policies.find("example.net")).policy == ENFORCED
            assert len(world.pages.server.asked) == day + 1
            world.clock[0] += DAY_MS


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"status": "404 Not Found"}, ResultType.POLICY_FETCH),
        ({"status": "301 Moved", "headers": ("Location: https://mta-sts.example.net/x",)}, ResultType.POLICY_FETCH),
        ({"headers": ("Content-Type: text/html",)}, ResultType.POLICY_FETCH),
        ({"body": "no policy"}, ResultType.POLICY_INVALID),
        ({"body": policy() + "x" * 70_000}, ResultType.POLICY_INVALID),
    ],
    ids=str,
)
async def test_answers_that_are_no_policy(trusted: trustme.CA, change: dict[str, Any], kind: ResultType) -> None:
    async with fetching(trusted, policy()) as world:
        for name, value in change.items():
            setattr(world.pages.server, name, value)
        for _ in range(3):
            found = await world.policies.find("example.net")
            assert (found.policy, found.problem) == (None, kind)
        # Asked once: then it is left alone for some minutes.
        assert len(world.pages.server.asked) == 1


async def test_a_policy_host_in_our_own_network_is_not_asked(trusted: trustme.CA) -> None:
    zone = Zone(RECORDS)
    async with dns_server(zone) as dns, web(certificate(trusted, "mta-sts.example.net")) as pages:
        with pytest.raises(FetchFailed):
            await PolicyHost(MxRoutes((dns,)), pages.port).fetch("example.net")
        assert pages.server.asked == []


async def test_without_a_record_nothing_is_fetched(trusted: trustme.CA) -> None:
    async with fetching(trusted, policy()) as world:
        world.zone.records = {key: RECORDS[key] for key in RECORDS if "TXT" not in key}
        assert (await world.policies.find("example.net")).policy is None
        assert world.pages.server.asked == []


@asynccontextmanager
async def served(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server whose conversations are over when the test is."""
    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(talk(reader, writer)))

    listener = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await asyncio.gather(*talks)


@dataclass
class Refuser:
    """A server that offers TLS and then has none (its key cannot be read), as Exim and Postfix answer it."""

    commands: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example.net\r\n")
        in_data = False
        while line := await reader.readline():
            command = line.split()[0].upper().decode() if line.split() else ""
            if in_data:
                in_data = line != b".\r\n"
                if not in_data:
                    writer.write(b"250 queued\r\n")
                continue
            self.commands.append(command)
            in_data = command == "DATA"
            writer.write(REPLIES.get(command, b"250 OK\r\n"))


REPLIES = {
    "EHLO": b"250-mx.example.net\r\n250 STARTTLS\r\n",
    "STARTTLS": b"454 4.7.0 TLS not available\r\n",
    "DATA": b"354 go\r\n",
    "QUIT": b"221 bye\r\n",
}


@pytest.mark.parametrize("mode", ["enforce", "testing", ""])
async def test_tls_that_is_offered_and_then_refused(trusted: trustme.CA, mode: str) -> None:
    """Without a policy the mail goes on a new connection in clear text; with one that is enforced it waits."""
    server = Refuser()
    records = {key: RECORDS[key] for key in RECORDS if mode or "TXT" not in key}
    async with (
        web(certificate(trusted, "mta-sts.example.net"), PolicyServer(policy(mode))) as pages,
        served(server.serve) as port,
        post_office(Mailbox(), records, mta_sts_port=pages.port, mx_port=port) as (adapter, _, _),
    ):
        outcome = await adapter.deliver(delivery(adapter))
    if mode == "enforce":
        assert isinstance(outcome, Retry)
        assert "MAIL" not in server.commands
    else:
        assert isinstance(outcome, Delivered)
        first = server.commands.index("STARTTLS")
        assert server.commands[first + 1] == "EHLO", "the connection that failed is not gone on with"


async def test_words_in_front_of_the_handshake_are_not_believed(trusted: trustme.CA) -> None:
    """STARTTLS injection: what is sent in clear text behind the 220 is nobody's answer (RFC 3207, section 4.2)."""
    context = certificate(trusted, "mx.example.net")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example.net\r\n")
        await reader.readline()
        writer.write(REPLIES["EHLO"])
        await reader.readline()
        writer.write(b"220 go\r\n250-evil.example\r\n250 AUTH PLAIN\r\n250 OK\r\n250 OK\r\n354 go\r\n250 taken\r\n")
        await writer.start_tls(context)

    async with (
        web(certificate(trusted, "mta-sts.example.net"), PolicyServer(policy())) as pages,
        served(serve) as port,
        post_office(Mailbox(), RECORDS, mta_sts_port=pages.port, mx_port=port) as (adapter, _, _),
    ):
        assert isinstance(await adapter.deliver(delivery(adapter)), Retry)
