"""One SMTP connection: aiosmtpd's state machine with the rules that it leaves to its users.

What is added to aiosmtpd 1.4: our own address grammar, content read in blocks and spooled, bare CR and LF refused,
limits on connections, recipients, log-ins and time, log-in on the submission port only, no text of an exception
on the wire. It touches a few of aiosmtpd's internals, so the version is pinned and the tests hold each of them.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Awaitable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import structlog
from aiosmtpd.proxy_protocol import ProxyData
from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException, syntax

from adapters.email import replies
from adapters.email.addresses import parse_path
from adapters.email.data import DataDecoder
from adapters.email.handler import Client, Gate, Handler, Role, ServerOptions
from adapters.email.replies import Reply
from adapters.email.sasl import read_login, read_plain
from adapters.email.spool import Spool

log = structlog.get_logger(__name__)
# Of libraries only warnings are written; aiosmtpd makes five lines for each mail, and each takes its time.
logging.getLogger("mail.log").setLevel(logging.WARNING)

BLOCK: Final = 256 * 1024
"""Bytes read at once while a mail comes in."""
LINE_LIMIT: Final = 16 * 1024
"""Bytes of one line of a mail. RFC 5321 says 998; senders that break it are many and harmless."""
MAX_LOGIN_ATTEMPTS: Final = 3
DATA_GRACE: Final = 300.0
"""Seconds that a mail may take whatever its size; beyond that it must keep up MIN_RATE."""
MIN_RATE: Final = 1024
"""Bytes per second."""
HANDLING_TIME: Final = 600.0
"""Seconds for parsing and storing: what RFC 5321, section 4.5.3.2.6, makes clients wait for the last reply."""
PROXY_SECONDS: Final = 10.0
"""For the first line of a connection through a proxy."""
COMMAND_LIMITS: Final = {
    "EHLO": 20,
    "LHLO": 20,
    "HELO": 20,
    "MAIL": 1000,
    "RCPT": 10_000,
    "DATA": 1000,
    "RSET": 1000,
    "*": 100,
}
"""Calls of each command in one connection."""
_ROOM_FOR: Final = {"AUTH": 12_288, "MAIL": 1024, "RCPT": 1024}


class MailSession(Session):
    """State of a connection; `login` is set by a successful AUTH and forgotten by STARTTLS."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.login: str | None = None
        self.behind = ""
        """Address of the client, where a proxy told it."""
        self.failed_logins = 0


class Transaction(Envelope):
    """The envelope of one mail."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted = 0
        """RCPT commands that were taken; ``rcpt_tos`` has a recipient who was named twice once."""


class MailServer(SMTP):
    """The server's end of one connection."""

    line_length_limit = LINE_LIMIT

    def __init__(self, handler: Handler, gate: Gate, options: ServerOptions) -> None:
        self._handler = handler
        self._gate = gate
        self._options = options
        self.busy = False
        """True while a mail is received or stored."""
        self._counted_as: str | None = None
        """The address under which the connection was let in."""
        super().__init__(
            self,  # its hooks are the handle_ methods below
            data_size_limit=options.size_limit,
            enable_SMTPUTF8=True,
            hostname=options.host_name,
            ident="ESMTP",
            tls_context=options.tls,
            timeout=options.command_timeout,
            command_call_limit=dict(COMMAND_LIMITS),
            proxy_protocol_timeout=PROXY_SECONDS if options.proxies else None,
            loop=asyncio.get_running_loop(),
        )
        self._set_command_limits()

    def _set_command_limits(self) -> None:
        # aiosmtpd keeps this table on the class, where every EHLO of every connection raises the limits.
        self.command_size_limits = collections.defaultdict(lambda: 512, _ROOM_FOR)

    # --- life of the connection ---------------------------------------------------------------------------------

    async def _handle_client(self) -> None:
        peer = self._client().address
        if self._options.proxies:
            # Who it is comes first, from somebody who may say so (`handle_PROXY`).
            if not self._options.is_proxy(peer):
                log.warning("smtp.not_a_proxy", client=peer)
                self.hang_up(replies.NO_PROXY)
                return
        elif not await self._let_in(peer):
            return
        try:
            await super()._handle_client()
        except ConnectionError:
            log.debug("smtp.connection_lost", client=peer)
        finally:
            if self._counted_as is not None:
                self._gate.leave(self, self._counted_as)

    async def _let_in(self, address: str) -> bool:
        if not self._gate.enter(self, address):
            await self._finish(replies.BUSY)
            return False
        self._counted_as = address
        return True

    async def handle_PROXY(self, server: SMTP, session: MailSession, envelope: Envelope, proxy_data: ProxyData) -> bool:
        """Who is behind the proxy; without an address (a health check of its own) it is the proxy itself."""
        source = proxy_data.src_addr
        session.behind = str(source) if isinstance(source, IPv4Address | IPv6Address) else ""
        return await self._let_in(self._client().address)

    def _create_session(self) -> MailSession:
        return MailSession(self.loop)

    def _create_envelope(self) -> Transaction:
        return Transaction()

    async def _finish(self, reply: Reply) -> None:
        await self.push(str(reply))
        if self.transport is not None:
            self.transport.close()

    def hang_up(self, reply: Reply) -> None:
        """Say why and close, from outside of the conversation."""
        if self.transport is not None and not self.transport.is_closing():
            self._writer.write(f"{reply}\r\n".encode("ascii"))
            self.transport.close()

    def _timeout_cb(self) -> None:
        self.hang_up(replies.TIMED_OUT)

    async def handle_exception(self, error: Exception) -> str:
        """Nothing of what went wrong inside goes out, and the client is to try again."""
        if isinstance(error, TLSSetupException):
            log.info("smtp.tls_failed", client=self._client().address)
        else:
            log.error("smtp.fault", exc_info=error, client=self._client().address)
        self.envelope = self._create_envelope()
        return str(replies.FAULT)

    # Methods and no properties: aiosmtpd reads every property of its hooks when it is made.
    def _state(self) -> MailSession:
        if not isinstance(self.session, MailSession):
            raise TypeError("no session before the connection is made")
        return self.session

    def _transaction(self) -> Transaction:
        if not isinstance(self.envelope, Transaction):
            raise TypeError("no transaction before the connection is made")
        return self.envelope

    def _client(self) -> Client:
        session = self._state()
        # Clients that are gone already have no peer name.
        address = session.behind or (session.peer[0] if session.peer else "")
        utf8 = self._transaction().smtp_utf8
        greeting, tls = session.host_name or "", session.ssl is not None
        return Client(self._options.role, address.partition("%")[0], session.login, utf8, greeting, tls)

    # --- commands -----------------------------------------------------------------------------------------------

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        return parse_path(arg, own_domain=self._options.domain) or (None, None)

    async def handle_EHLO(
        self, server: SMTP, session: MailSession, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """What we can do (RFC 5321, section 4.1.1.1); aiosmtpd announces AUTH on every port."""
        session.host_name = hostname
        self._set_command_limits()
        kept = [each for each in responses[:-1] if not each.startswith("250-AUTH")]
        if self._may_log_in() and session.login is None and self._tls_protocol is not None:
            kept.append("250-AUTH PLAIN LOGIN")
        return [*kept, "250-PIPELINING", responses[-1]]

    def _may_log_in(self) -> bool:
        return self._options.role is Role.SUBMISSION

    async def smtp_VRFY(self, arg: str) -> None:
        """No names are given away (RFC 5321, section 7.3)."""
        await self.push("252 2.5.0 Send some mail, it will be accepted or refused at once")

    async def smtp_AUTH(self, arg: str) -> None:
        """PLAIN and LOGIN over TLS on the submission port (RFC 4954, RFC 4616)."""
        session = self._state()
        if not self._may_log_in():
            await self.push(str(replies.NO_SUCH_COMMAND))
        elif self._tls_protocol is None:
            await self.push(str(replies.AUTH_NEEDS_TLS))
        elif session.login is not None or not session.extended_smtp:
            await self.push(str(replies.BAD_SEQUENCE))
        else:
            await self._authenticate_client(session, arg or "")

    async def _authenticate_client(self, session: MailSession, arg: str) -> None:
        mechanism, _, initial = arg.partition(" ")
        reader = {"PLAIN": read_plain, "LOGIN": read_login}.get(mechanism.upper())
        if reader is None:
            await self.push(str(replies.AUTH_MECHANISM))
            return
        credentials = await reader(initial, self._challenge)
        if not self._gate.may_log_in(self._client().address):
            await self._finish(replies.TOO_MANY_LOGINS)
        elif credentials is None:
            await self.push(str(replies.AUTH_MALFORMED))
        elif await self._handler.log_in(*credentials):
            session.login = credentials[0]
            await self.push(str(replies.LOGGED_IN))
        else:
            session.failed_logins += 1
            self._gate.log_in_failed(self._client().address)
            log.warning("smtp.login_failed", client=self._client().address)
            over = session.failed_logins >= MAX_LOGIN_ATTEMPTS
            await (self._finish(replies.TOO_MANY_LOGINS) if over else self.push(str(replies.AUTH_FAILED)))

    async def _challenge(self, text: str) -> bytes:
        await self.push(f"334 {text}")
        self._reset_timeout()
        line: bytes = await self._reader.readuntil(b"\n")
        return line.strip(b"\r\n")

    async def handle_MAIL(
        self, server: SMTP, session: MailSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Sender of a transaction."""
        client = self._client()
        if not address.isascii() and not client.smtp_utf8:
            return str(replies.UTF8_NOT_ANNOUNCED)
        if client.role is Role.SUBMISSION and client.login is None:
            return str(replies.AUTH_NEEDED)
        reply = await self._handler.mail(client, address)
        if not reply.permanent and reply.code < 400:
            envelope.mail_from = address
        return str(reply)

    async def handle_RCPT(
        self, server: SMTP, session: MailSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """One recipient; the mail comes once to one who is named twice."""
        client = self._client()
        if not address.isascii() and not client.smtp_utf8:
            return str(replies.UTF8_NOT_ANNOUNCED)
        reply = await self._handler.rcpt(client, envelope.mail_from or "", len(envelope.rcpt_tos), address)
        if reply.code < 400:
            self._transaction().accepted += 1
            if address not in envelope.rcpt_tos:
                envelope.rcpt_tos.append(address)
        return str(reply)

    # --- the mail itself ----------------------------------------------------------------------------------------

    async def smtp_DATA(self, arg: str) -> None:
        """Read the mail to its end, then let the handler decide; the transaction is over in every case."""
        if await self.check_helo_needed():
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        if not self._transaction().rcpt_tos:
            await self.push(str(replies.BAD_SEQUENCE))
            return
        self.busy = True
        try:
            with Spool() as spool:
                await self.push("354 End data with <CR><LF>.<CR><LF>")
                refusal = await self._receive(spool)
                self._reset_timeout(HANDLING_TIME + 30)
                reply = refusal or await self._hand_over(spool)
        finally:
            self.busy = False
        accepted = self._transaction().accepted
        self.envelope = self._create_envelope()
        self._reset_timeout()
        await self._tell(reply, accepted)

    async def _tell(self, reply: Reply, accepted: int) -> None:
        await self.push(str(reply))

    async def _hand_over(self, spool: Spool) -> Reply:
        envelope = self._transaction()
        try:
            async with asyncio.timeout(HANDLING_TIME):
                return await self._handler.data(
                    self._client(), envelope.mail_from or "", tuple(envelope.rcpt_tos), spool
                )
        except TimeoutError:
            log.error("smtp.handling_timed_out", client=self._client().address)
            return replies.FAULT

    async def _receive(self, spool: Spool) -> Reply | None:
        """Read up to the end of the data; a reply when the mail must be refused, after all of it was read."""
        decoder = DataDecoder(size_limit=self._options.size_limit, line_limit=LINE_LIMIT)
        clock = self.loop.time
        begin, received, kept = clock(), 0, 0
        failure: Reply | None = None
        try:
            while decoder.rest is None:
                allowance = begin + DATA_GRACE + received / MIN_RATE - clock()
                self._reset_timeout(max(0.001, min(self._options.data_timeout, allowance)))
                block: bytes = await self._reader.read(BLOCK)
                if not block:
                    raise ConnectionResetError("client left in the middle of a mail")
                received += len(block)
                content = decoder.feed(block)
                if not content or failure is not None:
                    continue
                if not self._gate.reserve(len(content)):
                    failure = replies.NO_ROOM
                    continue
                kept += len(content)
                failure = await _spooled(spool.write(content))
            failure = failure or await _spooled(spool.flush())
        finally:
            spool.on_close(lambda: self._gate.release(kept))
        # Commands behind the data (RFC 2920) belong in front of whatever arrived since.
        self._reader._buffer[:0] = decoder.rest  # type: ignore[attr-defined]
        return failure or _line_rules(decoder)


async def _spooled(writing: Awaitable[None]) -> Reply | None:
    """Write to a spool; what to say when the disk is full."""
    try:
        await writing
    except OSError:
        log.exception("smtp.spool_failed")
        return replies.FAULT
    return None


class LmtpServer(MailServer):
    """The same for a mail server that stands in front of us: it greets otherwise, and hears of each recipient."""

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, hostname: str) -> None:
        """The greeting (RFC 2033, section 4.1)."""
        await super().smtp_EHLO(hostname)

    async def smtp_HELO(self, hostname: str) -> None:
        """Not in this protocol."""
        await self.push(str(replies.SAY_LHLO))

    async def smtp_EHLO(self, hostname: str) -> None:
        """Not in this protocol."""
        await self.push(str(replies.SAY_LHLO))

    async def handle_exception(self, error: Exception) -> str:
        """Nobody knows then how many replies the other side waits for."""
        await super().handle_exception(error)
        self.hang_up(replies.CLOSING)
        return str(replies.CLOSING)

    async def _tell(self, reply: Reply, accepted: int) -> None:
        """One reply for each RCPT that was taken (section 4.2); a mail is taken for all or for none."""
        for _ in range(accepted):
            await self.push(str(reply))


def _line_rules(decoder: DataDecoder) -> Reply | None:
    if decoder.too_big:
        return replies.TOO_BIG
    if decoder.bare_line_ends:
        return replies.BAD_LINE_ENDS
    return replies.LINE_TOO_LONG if decoder.line_too_long else None
