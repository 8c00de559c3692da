"""Who may speak: asked at MAIL for as much as the envelope tells, and for good when the whole mail is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

import structlog

from adapters.email import replies
from adapters.email.addresses import NULL_PATH
from adapters.email.authentication.assured import assured
from adapters.email.authentication.authenticator import Authenticator, Evidence, Origin, Trust, read_evidence
from adapters.email.authentication.decision import (
    Assurance,
    Rules,
    Senders,
    WithoutDmarc,
    decide,
    decide_bounce,
)
from adapters.email.authentication.dns import Dns
from adapters.email.authentication.received import received_field
from adapters.email.authentication.results import Results
from adapters.email.authentication.trace import login_field, nothing_field, results_field, traced, words
from adapters.email.dkim.fields import split_content, split_fields
from adapters.email.handler import Client, Role
from adapters.email.mime import Content, read_headers
from adapters.email.parse import check_loop, read_from
from adapters.email.replies import MailRefused, Reply
from adapters.email.settings import EmailSettings
from adapters.email.spool import Spool
from adapters.email.users import User
from gateway.sdk import AdapterContext, CanonicalId, InvalidInput, SenderAssurance
from gateway.sdk.addresses import canonical_email

log = structlog.get_logger(__name__)

_READERS: Final = 4
"""Mails whose signatures are read at once. Nobody waits for the DNS with one."""


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """Whose mail is taken without log-in and without a look at it.

    A sender address proves nothing, so the list counts only for clients in networks where nobody else can write it.
    """

    settings: EmailSettings

    def admits(self, client: Client, address: CanonicalId) -> bool:
        """True when the address or its domain is on the list and the client in one of the networks."""
        return self.near(client.address) and self._listed(address)

    def _listed(self, address: CanonicalId) -> bool:
        return address in self.settings.allowed_senders or address.rpartition("@")[2] in self.settings.allowed_senders

    def near(self, address: str) -> bool:
        """True for an IP address in the networks of the operator."""
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in network for network in self.settings.allowed_networks)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A mail whose sender may speak."""

    assurance: Assurance
    trace: bytes = field(repr=False)
    """Header fields that say where it came from and what was found."""
    server: str
    told: SenderAssurance
    """What the recipient is told of it."""

    @property
    def named(self) -> bool:
        """Whether it speaks for whom From names."""
        return self.assurance is not Assurance.NONE

    def kept(self, data: bytes) -> bytes:
        """The mail as it is kept: with the trace, and without what pretended to be one."""
        return traced(data, self.trace, self.server)


class Admission:
    """Decides by log-in, list or authentication."""

    def __init__(self, settings: EmailSettings, users: Mapping[str, User], ctx: AdapterContext) -> None:
        self._settings = settings
        self._policy = SenderPolicy(settings)
        self._users = users
        self._ctx = ctx
        self._rules = Rules(settings.unverified, settings.without_dmarc)
        trust = Trust(frozenset(settings.trusted_servers), frozenset(settings.trusted_forwarders))
        self._authenticator = Authenticator(Dns(settings.dns_servers), trust)
        self._readers = asyncio.Semaphore(_READERS)

    def begin(self, client: Client, sender: str) -> Reply:
        """What MAIL is answered."""
        submission = client.role is Role.SUBMISSION
        if sender == NULL_PATH:
            return replies.SENDER_NOT_YOURS if submission else replies.OK
        try:
            address = canonical_email(sender)
        except InvalidInput:
            return replies.SENDER_NOT_YOURS if submission else replies.NO_MAIL_DOMAIN
        if self._owns(client, address) if submission else self._may_try(client, address):
            return replies.OK
        return replies.SENDER_NOT_YOURS if submission else replies.SENDER_NOT_ALLOWED

    def _owns(self, client: Client, address: CanonicalId) -> bool:
        user = self._users.get(client.login or "")
        return user is not None and address in user.addresses

    def _may_try(self, client: Client, address: CanonicalId) -> bool:
        return self._settings.senders is Senders.AUTHENTICATED or self._policy.admits(client, address)

    async def admit(self, client: Client, sender: str, spool: Spool) -> Admitted:
        """The right to speak in the name of From, or of nobody (`Assurance.NONE`); raises MailRefused.

        Looks at bounds and loops first: nothing of a mail that would not be taken anyway causes look-ups.
        """

        def look() -> tuple[CanonicalId, Admitted | Evidence]:
            content = spool.content()
            author = self._author(content)
            return author, self._without_proof(client, sender, author) or self._evidence(client, content, author)

        async with self._readers:
            author, found = await asyncio.to_thread(look)
        if isinstance(found, Admitted):
            return found
        results = await self._authenticator.check(found, self._origin(client, str(canonical_email(sender))))
        answer = decide(results, self._rules, known=await self._known(author))
        if isinstance(answer, Reply):
            log.info("mail.not_authenticated", client=client.address, **words(results))
            raise MailRefused(answer)
        return self.admitted(client, answer, results)

    async def check_bounce(self, client: Client, sender: str, spool: Spool) -> None:
        """Bounces are mail, too: one whose From is forged by the DMARC policy of its domain raises MailRefused.

        Those from the operator's own networks are as good as what is on the list, and those of servers that write no
        address in From prove by our return path alone that they are about a mail of ours.
        """
        if client.role is not Role.MX or self._policy.near(client.address):
            return

        def look() -> Evidence:
            content = spool.content()
            return self._evidence(client, content, self._author(content))

        try:
            async with self._readers:
                evidence = await asyncio.to_thread(look)
        except MailRefused as refusal:
            if refusal.reply is replies.FROM_MALFORMED:
                return
            raise
        sender = "" if sender == NULL_PATH else str(canonical_email(sender))
        results = await self._authenticator.check(evidence, self._origin(client, sender))
        if (refused := decide_bounce(results)) is not None:
            log.info("mail.not_authenticated", client=client.address, bounce=True, **words(results))
            raise MailRefused(refused)

    def _author(self, content: Content) -> CanonicalId:
        """The one mailbox of From, of a mail within bounds and on no loop; else MailRefused."""
        headers = read_headers(content)
        check_loop(headers, self._settings.domain)
        author, _ = read_from(headers)
        # The parser stops at a line that is no field. Signatures hold for whatever stands below it, too.
        if sum(field.name == "from" for field in split_fields(split_content(content)[0])) != 1:
            raise MailRefused(replies.FROM_MALFORMED)
        return author

    def _without_proof(self, client: Client, sender: str, author: CanonicalId) -> Admitted | None:
        """Who may speak, or not (MailRefused), whatever the DNS says; None where it has to be asked."""
        if client.role is Role.SUBMISSION:
            if not self._owns(client, author):
                raise MailRefused(replies.FROM_NOT_YOURS)
            return self.admitted(client, Assurance.LOGIN)
        if self._policy.admits(client, author) and self._policy.admits(client, canonical_email(sender)):
            return self.admitted(client, Assurance.LISTED)
        if self._settings.senders is Senders.LISTED or author.rpartition("@")[2] == self._settings.domain:
            raise MailRefused(replies.FROM_NOT_YOURS)
        return None

    def _evidence(self, client: Client, content: Content, author: CanonicalId) -> Evidence:
        trust, near, now = self._authenticator.trust, self._policy.near(client.address), self._ctx.now_ms() // 1000
        return read_evidence(content, author.rpartition("@")[2], trust=trust, near=near, now=now)

    def _origin(self, client: Client, sender: str) -> Origin:
        hidden = client.role is not Role.MX or self._policy.near(client.address)
        return Origin(client.address, client.helo, sender, hidden)

    async def _known(self, author: CanonicalId) -> bool:
        return self._rules.without_dmarc is WithoutDmarc.KNOWN and await self._ctx.person(author) is not None

    def admitted(self, client: Client, why: Assurance, results: Results | None = None) -> Admitted:
        """A mail that may speak; `results` is None for one that was not checked."""
        server = self._settings.host_name
        field = login_field(server) if why is Assurance.LOGIN else nothing_field(server)
        if results is not None:
            field = results_field(results, server)
        # RFC 8601, section 4.1: above what the same server writes of the way.
        trace = field + received_field(client, server, self._ctx.now_ms())
        return Admitted(why, trace, server, assured(why, self._settings.domain, results))
