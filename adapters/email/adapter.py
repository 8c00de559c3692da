"""The e-mail adapter: what the gateway sees of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import structlog
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adapters.email import large_files, links, threads, unsubscribe
from adapters.email.authentication.dns import Dns
from adapters.email.cold import ColdMail
from adapters.email.control.desk import Desk
from adapters.email.destinations import Destinations
from adapters.email.dkim.keys import load_keys, new_keys, to_pem
from adapters.email.dkim.signing import Signer
from adapters.email.envelopes import Envelopes
from adapters.email.handler import Role
from adapters.email.incoming import Incoming
from adapters.email.kept_files import KeptFiles
from adapters.email.keys import FILES, SELECTOR
from adapters.email.large_files import MAX_LINKED_BYTES, LargeFiles
from adapters.email.links import LinkedFiles, Links
from adapters.email.listener import Listener
from adapters.email.mta_sts.fetch import PolicyHost
from adapters.email.mta_sts.policies import Policies
from adapters.email.outward import Outward
from adapters.email.reading.pool import Pool
from adapters.email.reading.reader import Reader
from adapters.email.reception import Reception
from adapters.email.render import MAX_TEXT
from adapters.email.returnpath import ReturnPath, parse_key
from adapters.email.routes import MxRoutes
from adapters.email.sender import Lenient, MxTransport, RelayTransport, Transport
from adapters.email.sent import SentMails
from adapters.email.settings import EmailSettings
from adapters.email.threads import Threads
from adapters.email.tls_report import TlsReport
from adapters.email.tls_reporter import TlsReporter
from adapters.email.unsubscribe import Unsubscribing
from adapters.email.users import User, load_users
from gateway.sdk import (
    AdapterContext,
    Capabilities,
    ConfigError,
    Delivery,
    EventOutcome,
    Finding,
    GatewayError,
    MailNotice,
    MessageType,
    NativeEvent,
    Network,
    NewKeys,
    Outcome,
    StatusReport,
    TextFormat,
    Unavailable,
)

log = structlog.get_logger(__name__)

_WRITE_SECONDS: Final = 60.0
"""Between two writings of counts."""
_WRITES_BETWEEN_CLEANING: Final = 60


class EmailAdapter:
    """Mail in by SMTP, mail out by SMTP; each ENS name is an address under one mail domain."""

    name: ClassVar[Network] = Network("email")
    capabilities: ClassVar[Capabilities] = Capabilities(
        types=frozenset({MessageType.NEW, MessageType.REPLY, MessageType.REACTION}),
        max_text=MAX_TEXT,
        max_attachments=100,
        max_attachment_bytes=MAX_LINKED_BYTES,
        text_format=TextFormat.PLAIN,
        idempotent=False,
        ordered=False,
    )
    Settings: ClassVar[type[BaseModel]] = EmailSettings

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._ctx: AdapterContext | None = None
        self._listener: Listener | None = None
        self._outward: Outward | None = None
        self._sent: SentMails | None = None
        self._cold: ColdMail | None = None
        self._desk: Desk | None = None
        self._envelopes: Envelopes | None = None
        self._tls_report: TlsReport | None = None
        self._tls_reporter: TlsReporter | None = None
        self._links: Links | None = None
        self._files: KeptFiles | None = None
        self._threads: Threads | None = None
        self._pool: Pool | None = None

    @classmethod
    def new_keys(cls, label: str = "") -> NewKeys:
        """The keys that sign our mail (DKIM), of both kinds; see `BringsKeys`."""
        selector = f"{SELECTOR}-{label}" if label else SELECTOR
        keys = dict(zip(FILES, new_keys(selector), strict=True))
        files = {name: to_pem(key) for name, key in keys.items()}
        lines = tuple(key.zone_line() for key in keys.values())
        return NewKeys({"dkim_selector": selector, "dkim_key_files": list(files)}, files, lines)

    async def open(self, ctx: AdapterContext) -> None:
        """Read key, password and user files and listen; raises ConfigError or OSError."""
        self._ctx = ctx
        settings = self._settings
        return_path = ReturnPath(settings.domain, await asyncio.to_thread(_return_path_key, settings, ctx))
        self._sent = SentMails(ctx.values, ctx.now_ms)
        self._cold = ColdMail(ctx, Unsubscribing(ctx), settings.new_people_per_day)
        self._envelopes = Envelopes(ctx.values, ctx.now_ms)
        self._tls_report = TlsReport(ctx.values, ctx.now_ms)
        self._files = KeptFiles(ctx.values, ctx.now_ms, settings.linked_bytes)
        self._links = Links(ctx.public_url, ctx.secret(links.PURPOSE))
        self._threads = Threads(ctx.values, ctx.secret(threads.PURPOSE), ctx.now_ms)
        self._pool = Pool()
        days = settings.link_days
        transport = await asyncio.to_thread(_transport, settings, ctx, self._tls_report)
        keys = await asyncio.to_thread(load_keys, settings.dkim_key_files, settings.dkim_selector)
        signer = Signer(settings.domain, keys)
        if settings.tls_reports and isinstance(transport, MxTransport):
            self._tls_reporter = TlsReporter(
                domain=settings.domain,
                report=self._tls_report,
                dns=Dns(settings.dns_servers),
                transport=replace(transport, policies=Lenient(), report=Lenient()),
                signer=signer,
                values=ctx.values,
                now_ms=ctx.now_ms,
            )
        self._outward = Outward(
            settings,
            ctx,
            transport=transport,
            return_path=return_path,
            signer=signer,
            sent=self._sent,
            cold=self._cold,
            envelopes=self._envelopes,
            files=LargeFiles(self._files, self._links, ctx.secret(large_files.PURPOSE), link_days=days),
            threads=self._threads,
        )
        users = await asyncio.to_thread(_users, settings)
        reader = Reader(self._pool, self._files, self._links, embed_bytes=settings.embed_bytes, link_days=days)
        incoming = Incoming(reader, self._threads, domain=settings.domain, cut_quotes=settings.cut_quotes)
        self._desk = Desk(settings.domain, ctx, self._outward, settings.commands_per_hour)
        reception = Reception(settings, users, return_path, ctx, self._desk, incoming)
        self._listener = Listener(self._settings, reception)
        try:
            await self._listener.open()
        except BaseException:
            await self._listener.close()
            raise
        log.info("email.listening", mx_port=self.mx_port, submission_port=self.submission_port)

    @classmethod
    async def examine(cls, settings: EmailSettings, public_url: str) -> Sequence[Finding]:
        """DNS records, certificate and ports of the mail domain; see `Examines`."""
        from adapters.email.examination.examiner import examine_domain

        return await examine_domain(settings, public_url)

    @property
    def mx_port(self) -> int | None:
        """The MX port while open."""
        return self._listener.port(Role.MX) if self._listener else None

    @property
    def submission_port(self) -> int | None:
        """The submission port while open; None when there is none."""
        return self._listener.port(Role.SUBMISSION) if self._listener else None

    @property
    def lmtp_port(self) -> int | None:
        """Where a mail server in front hands over; None without one, and before `open`."""
        return self._listener.port(Role.LMTP) if self._listener else None

    @property
    def workers(self) -> tuple[int, ...]:
        """Processes that read mail now."""
        return tuple(each.process.pid for each in self._pool.workers) if self._pool else ()

    async def reach(self) -> None:
        """See `ReportsReadiness`: it listens. Whether others can reach it is what `doctor` asks."""
        if self._listener is None:
            raise Unavailable("nothing listens for mail")

    async def run(self) -> None:
        """Write counts down and forget what is old; everything else happens in connections and in `deliver`."""
        while True:
            for _ in range(_WRITES_BETWEEN_CLEANING):
                await asyncio.sleep(_WRITE_SECONDS)
                await self._keep(self._tls_report.write if self._tls_report else None)
            await self._keep(self._tls_reporter.send_due if self._tls_reporter else None)
            own = (self._sent, self._cold, self._envelopes, self._desk, self._files, self._threads)
            for keeper in (self._tls_report, self._tls_reporter, *own):
                await self._keep(keeper.forget_old if keeper else None)

    async def _keep(self, work: Callable[[], Awaitable[object]] | None) -> None:
        """What cannot be written now is written the next time."""
        if work is None:
            return
        try:
            await work()
        except GatewayError as error:
            log.warning("email.not_kept", error=type(error).__name__)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send one mail; Rejected only for what no later try can change."""
        return await self._opened().deliver(delivery)

    async def handle(self, event: NativeEvent) -> EventOutcome:
        """Carry out the commands of a mail to the gateway, and answer them."""
        if self._desk is None:
            raise Unavailable("the e-mail adapter is not open")
        return await self._desk.handle(event)

    async def report(self, status: StatusReport) -> None:
        """Tell the sender of a mail that it will not arrive."""
        await self._opened().report(status)

    async def send_notice(self, notice: MailNotice) -> Outcome:
        """Send one mail of the gateway's own."""
        return await self._opened().send_notice(notice)

    def routes(self) -> Sequence[BaseRoute]:
        """The page behind links in mail that nobody asked for, and files behind links."""
        way_out = Route(f"{unsubscribe.PATH}{{token}}", self._unsubscribe, methods=["GET", "POST"])
        return [way_out, *LinkedFiles(self._linked).routes()]

    def _linked(self) -> tuple[Links, KeptFiles, int]:
        if self._links is None or self._files is None or self._ctx is None:
            raise Unavailable("the e-mail adapter is not open")
        return self._links, self._files, self._ctx.now_ms()

    async def _unsubscribe(self, request: Request) -> Response:
        if self._ctx is None:
            return Response(status_code=503)
        return await Unsubscribing(self._ctx).answer(request)

    async def tls_reports(self, day: int) -> Sequence[Mapping[str, Any]]:
        """How TLS to other mail servers went on a day (since the epoch): reports in the form of RFC 8460.

        What was counted in the last minute may be missing.
        """
        if self._tls_report is None:
            raise Unavailable("the e-mail adapter is not open")
        return await self._tls_report.export(day, self._settings.domain)

    async def close(self) -> None:
        """Stop listening and let mails on their way in end."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        if self._pool is not None:
            await self._pool.close()
        await self._keep(self._tls_report.write if self._tls_report else None)

    def _opened(self) -> Outward:
        if self._outward is None:
            raise Unavailable("the e-mail adapter is not open")
        return self._outward


def _return_path_key(settings: EmailSettings, ctx: AdapterContext) -> bytes:
    path = settings.return_path_key_file
    if path is None:
        return ctx.secret("return path")
    try:
        return parse_key(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _users(settings: EmailSettings) -> Mapping[str, User]:
    return load_users(settings.submission_users_file) if settings.submission_users_file else {}


def _transport(settings: EmailSettings, ctx: AdapterContext, report: TlsReport) -> Transport:
    if settings.relay is None:
        routes = MxRoutes(settings.dns_servers, allow_private=settings.allow_private_destinations)
        return MxTransport(
            routes=routes,
            policies=Policies(ctx.values, routes, PolicyHost(routes, settings.mta_sts_port), ctx.now_ms),
            destinations=Destinations(settings.connections_per_destination),
            report=report,
            host_name=settings.host_name,
            port=settings.mx_port,
            timeout=settings.send_timeout,
        )
    password = None
    if settings.relay_password_file is not None:
        try:
            password = settings.relay_password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{settings.relay_password_file}: cannot be read: {error}") from error
    return RelayTransport(settings.relay, settings.host_name, settings.send_timeout, settings.relay_user, password)
