"""Sending one mail by SMTP: straight to the recipient's mail servers, or through a relay host."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Final, Protocol

import aiosmtplib
import structlog
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from adapters.email.charsets import one_line
from adapters.email.endpoints import Endpoint
from adapters.email.routes import MailServerAddress, Routes
from gateway.sdk import NotFound, Rejected, Retry, Unavailable

log = structlog.get_logger(__name__)

MAX_REASON: Final = 300
"""Characters of a server's words that are passed on."""
QUIT_TIME: Final = 5.0
"""Seconds for a polite end; the mail is theirs already."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail with its envelope."""

    sender: str
    """Envelope sender; "" for the null sender."""
    recipient: str
    content: bytes = field(repr=False)
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The next server is responsible now."""

    response: str


Result = Accepted | Retry | Rejected


class Transport(Protocol):
    """Hands letters over to some SMTP server."""

    async def send(self, letter: Letter) -> Result:
        """One try; never raises for what a network or a server does."""


@dataclass(frozen=True, slots=True)
class MxTransport:
    """Straight to the mail servers of the recipient's domain, each with TLS where it offers it (RFC 7435)."""

    routes: Routes
    host_name: str
    port: int
    timeout: float

    async def send(self, letter: Letter) -> Result:
        """Try servers in order until one answers for good."""
        domain = letter.recipient.rpartition("@")[2]
        try:
            servers = await self.routes.find(domain)
        except NotFound as error:
            return Rejected(error.detail)
        except Unavailable as error:
            return Retry(error.detail)
        result: Result = Retry(f"no mail server of {domain} can be reached")
        for server in servers:
            result = await self._try(server, letter)
            if not isinstance(result, Retry):
                break
        return result

    async def _try(self, server: MailServerAddress, letter: Letter) -> Result:
        if (result := await self._session(server, letter, tls=True)) is not None:
            return result
        # The handshake failed and took the connection with it. TLS was only on offer: clear text beats no mail.
        log.warning("smtp.tls_failed", host=server.host)
        clear = await self._session(server, letter, tls=False)
        return clear or Retry(f"{server.host} cannot be reached")

    async def _session(self, server: MailServerAddress, letter: Letter, *, tls: bool) -> Result | None:
        """None when the TLS handshake failed."""
        client = aiosmtplib.SMTP(
            hostname=server.address,
            port=self.port,
            local_hostname=self.host_name,
            timeout=self.timeout,
            start_tls=False,
        )
        try:
            await client.connect()
            if tls and await _offers_tls(client):
                try:
                    await client.starttls(server_hostname=server.host, tls_context=_opportunistic_context())
                except (SMTPException, ssl.SSLError, OSError):
                    return None
            return await _transact(client, letter)
        except (SMTPException, OSError, ValueError) as error:
            return result_of(error, server.host)
        finally:
            client.close()


@dataclass(frozen=True, slots=True)
class RelayTransport:
    """Through one host that sends for us; with a log-in only over TLS with a verified certificate."""

    endpoint: Endpoint
    host_name: str
    timeout: float
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    async def send(self, letter: Letter) -> Result:
        """Hand over; trouble with our own relay is always worth another try."""
        client = aiosmtplib.SMTP(
            hostname=self.endpoint.host,
            port=self.endpoint.port,
            local_hostname=self.host_name,
            timeout=self.timeout,
            start_tls=False,
        )
        try:
            await client.connect()
            if self.user is not None and self.password is not None:
                await client.starttls()
                await client.login(self.user, self.password)
            elif await _offers_tls(client):
                await client.starttls(tls_context=_opportunistic_context())
            return await _transact(client, letter)
        except SMTPAuthenticationError:
            log.error("smtp.relay_refused_login", relay=str(self.endpoint))
            return Retry("the relay host does not let us log in")
        except (SMTPException, OSError, ValueError) as error:
            return result_of(error, str(self.endpoint))
        finally:
            client.close()


async def _offers_tls(client: aiosmtplib.SMTP) -> bool:
    await client.ehlo()
    return client.supports_extension("starttls")


def _opportunistic_context() -> ssl.SSLContext:
    """Encryption without authentication: the alternative is clear text, not a better certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _transact(client: aiosmtplib.SMTP, letter: Letter) -> Result:
    options = ["SMTPUTF8"] if letter.utf8 else []
    _, response = await client.sendmail(letter.sender, [letter.recipient], letter.content, mail_options=options)
    with contextlib.suppress(SMTPException, OSError):
        await client.quit(timeout=QUIT_TIME)
    return Accepted(one_line(response, MAX_REASON))


def result_of(error: Exception, host: str) -> Result:
    """What a failure means for the mail: only a 5xx reply about this mail ends it."""
    if isinstance(error, SMTPRecipientsRefused) and error.recipients:
        return result_of(error.recipients[0], host)
    if isinstance(error, SMTPNotSupported):
        return Rejected("the recipient's mail server takes no addresses outside ASCII")
    if isinstance(error, SMTPConnectResponseError | SMTPHeloError):
        # Said before it saw the mail: another server, or the same one later, may say something else.
        return Retry(f"{host} said: {error.code} {one_line(str(error.message), MAX_REASON)}")
    if isinstance(error, SMTPTimeoutError | SMTPServerDisconnected):
        return Retry(f"{host} does not answer")
    if isinstance(error, SMTPResponseException):
        reason = f"{host} said: {error.code} {one_line(str(error.message), MAX_REASON)}"
        return Rejected(reason) if 500 <= error.code < 600 else Retry(reason)
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # a bad certificate is both
        return Rejected("the address cannot be written in SMTP")
    return Retry(f"{host} cannot be reached")
