"""Sending one mail by SMTP: straight to the recipient's mail servers, or through a relay host."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

import aiosmtplib
import structlog
from aiosmtplib import SMTPAuthenticationError, SMTPException

from adapters.email.destinations import Busy, Destinations
from adapters.email.endpoints import Endpoint
from adapters.email.mta_sts.policies import Found
from adapters.email.mta_sts.policy import Mode, Policy
from adapters.email.routes import MailServerAddress, Routes
from adapters.email.session import Letter, Result, Tried, failed, offers_tls, transact
from adapters.email.tls import ResultType, Security, TlsFailed, encrypting_context, result_of_failure, verifying_context
from gateway.sdk import NotFound, Rejected, Retry, Unavailable

log = structlog.get_logger(__name__)

TRY_TIME: Final = 170.0
"""Seconds for all servers of a domain together; the gateway breaks a delivery off soon after."""


class Transport(Protocol):
    """Hands letters over to some SMTP server."""

    async def send(self, letter: Letter) -> Result:
        """One try; never raises for what a network or a server does.

        A Retry without `after` was tried and failed; one with `after` was not tried at all.
        """


class FindsPolicies(Protocol):
    """Knows MTA-STS policies."""

    async def find(self, domain: str) -> Found:
        """The policy in force."""


class CountsTls(Protocol):
    """Hears how TLS went."""

    def succeeded(self, domain: str, policy: Policy | None) -> None:
        """A session with TLS as it should be."""

    def failed(self, domain: str, policy: Policy | None, kind: ResultType) -> None:
        """A session without, or a policy that could not be had."""


class Lenient:
    """For mail about TLS itself: it goes where TLS fails, too, and is not counted (RFC 8460, sections 3 and 5.3)."""

    async def find(self, domain: str) -> Found:
        """No policy."""
        return Found(None)

    def succeeded(self, domain: str, policy: Policy | None) -> None:
        """Nobody hears it."""

    def failed(self, domain: str, policy: Policy | None, kind: ResultType) -> None:
        """Nobody hears it."""


@dataclass(frozen=True)
class MxTransport:
    """Straight to the mail servers of the recipient's domain.

    With TLS where a server offers it (RFC 7435), and with nothing but verified TLS where the domain's MTA-STS policy
    says so (RFC 8461): then a failed handshake, or a server without TLS, is never answered by clear text.
    """

    routes: Routes
    policies: FindsPolicies
    destinations: Destinations
    report: CountsTls
    host_name: str
    port: int
    timeout: float

    async def send(self, letter: Letter) -> Result:
        """Try servers in order until one answers for good."""
        domain = letter.recipient.rpartition("@")[2]
        try:
            async with self.destinations.slot(domain):
                tried = await self._in_time(domain, letter)
        except Busy as busy:
            return Retry(busy.reason, busy.after)
        if tried.spare_it:
            self.destinations.failed(domain)
        elif not isinstance(tried.result, Retry):
            self.destinations.answered(domain)
        return tried.result

    async def _in_time(self, domain: str, letter: Letter) -> Tried:
        try:
            async with asyncio.timeout(TRY_TIME):
                return await self._all_servers(domain, letter)
        except TimeoutError:
            return Tried(Retry(f"the mail servers of {domain} do not answer in time"), spare_it=True)

    async def _all_servers(self, domain: str, letter: Letter) -> Tried:
        try:
            servers = await self.routes.find(domain)
        except NotFound as error:
            return Tried(Rejected(error.detail))
        except Unavailable as error:
            return Tried(Retry(error.detail))
        found = await self.policies.find(domain)
        if found.problem is not None:
            self.report.failed(domain, found.policy, found.problem)
        tried = Tried(Retry(f"no mail server of {domain} can be reached"), spare_it=True)
        for server in servers:
            tried = await self._try(domain, server, found.policy, letter)
            if not isinstance(tried.result, Retry):
                break
        return tried

    async def _try(self, domain: str, server: MailServerAddress, policy: Policy | None, letter: Letter) -> Tried:
        """One server, with what its domain demands, or with less and less of it where nothing is demanded."""
        enforced = policy is not None and policy.mode is Mode.ENFORCE
        ways, counted = _ways(policy), False
        if policy is not None and not policy.covers(server.host):
            self.report.failed(domain, policy, ResultType.FAILED)
            counted = True
            if enforced:
                return Tried(Retry(f"the MTA-STS policy of {domain} does not name its mail server {server.host}"))
            ways = ways[1:]
        failure = ResultType.FAILED
        for security in ways:
            try:
                return await self._session(domain, server, policy, letter, security)
            except TlsFailed as error:
                # The handshake took the connection with it: what comes next is a new one.
                failure = error.kind
                if not counted:
                    self.report.failed(domain, policy, failure)
                    counted = True
                log.warning("smtp.tls_failed", host=server.host, kind=failure.value, enforced=enforced)
        return Tried(Retry(f"{server.host} has no TLS as the MTA-STS policy of {domain} demands it ({failure.value})"))

    async def _session(
        self, domain: str, server: MailServerAddress, policy: Policy | None, letter: Letter, security: Security
    ) -> Tried:
        """One connection; raises TlsFailed when it is not as secure as it must be."""
        client = aiosmtplib.SMTP(
            hostname=server.address,
            port=self.port,
            local_hostname=self.host_name,
            timeout=self.timeout,
            start_tls=False,
        )
        try:
            await client.connect()
            if security is not Security.CLEAR:
                await self._secure(client, domain, server.host, policy, security)
            return await transact(client, letter)
        except (SMTPException, OSError, ValueError) as error:
            return failed(error, server.host)
        finally:
            client.close()

    async def _secure(
        self, client: aiosmtplib.SMTP, domain: str, host: str, policy: Policy | None, security: Security
    ) -> None:
        if not await offers_tls(client):
            if security is Security.VERIFIED:
                raise TlsFailed(ResultType.NOT_OFFERED)
            if policy is None:
                self.report.failed(domain, policy, ResultType.NOT_OFFERED)
            return
        context = await self._verifying() if security is Security.VERIFIED else self._encrypting
        try:
            await client.starttls(server_hostname=host, tls_context=context)
        except (SMTPException, ssl.SSLError, OSError) as error:
            raise TlsFailed(result_of_failure(error)) from error
        if policy is None or security is Security.VERIFIED:
            self.report.succeeded(domain, policy)

    async def _verifying(self) -> ssl.SSLContext:
        return await asyncio.to_thread(lambda: self._trusted)

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        return verifying_context()

    @cached_property
    def _encrypting(self) -> ssl.SSLContext:
        return encrypting_context()


def _ways(policy: Policy | None) -> tuple[Security, ...]:
    if policy is None:
        return (Security.ENCRYPTED, Security.CLEAR)
    if policy.mode is Mode.ENFORCE:
        return (Security.VERIFIED,)
    return (Security.VERIFIED, Security.ENCRYPTED, Security.CLEAR)


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
            elif await offers_tls(client):
                await client.starttls(tls_context=encrypting_context())
            return (await transact(client, letter)).result
        except SMTPAuthenticationError:
            log.error("smtp.relay_refused_login", relay=str(self.endpoint))
            return Retry("the relay host does not let us log in")
        except (SMTPException, OSError, ValueError) as error:
            return failed(error, str(self.endpoint)).result
        finally:
            client.close()
