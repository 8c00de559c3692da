"""What happens to a mail at the door: who may send, to whom, and when we say 250."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from adapters.email import replies
from adapters.email.addresses import NULL_PATH, Special, local_target, resolve_alias, split_address
from adapters.email.admission import Admission, Admitted
from adapters.email.authentication.decision import Assurance
from adapters.email.bounces import Bounces
from adapters.email.envelopes import Envelopes
from adapters.email.handler import Client
from adapters.email.intake import outgoing_messages
from adapters.email.parse import ParsedMail, parse_mail
from adapters.email.replies import MailRefused, Reply, reply_to
from adapters.email.returnpath import ReturnPath
from adapters.email.sent import SentMails
from adapters.email.settings import EmailSettings
from adapters.email.spool import Spool
from adapters.email.unverified import unverified
from adapters.email.users import User, check_password
from gateway.sdk import AdapterContext, EnsName, GatewayError, InvalidInput, UnknownName
from gateway.sdk.addresses import normalise

log = structlog.get_logger(__name__)

_PARSERS: Final = 4
"""Mails that are parsed and handed over at once; the others wait in their spools."""
_PASSWORD_CHECKS: Final = 2
"""Password checks at once: each takes a core and 16 MB for tens of milliseconds."""
_LOOKUP_TIME: Final = 60.0
"""Seconds for finding out whether a recipient exists; clients wait five minutes for the reply to RCPT."""


class Reception:
    """The `Handler` of both ports."""

    def __init__(
        self, settings: EmailSettings, users: Mapping[str, User], return_path: ReturnPath, ctx: AdapterContext
    ) -> None:
        self._settings = settings
        self._admission = Admission(settings, users, ctx)
        self._users = users
        self._return_path = return_path
        self._envelopes = Envelopes(ctx.values, ctx.now_ms)
        self._bounces = Bounces(settings.domain, ctx, SentMails(ctx.values, ctx.now_ms))
        self._ctx = ctx
        self._parsers = asyncio.Semaphore(_PARSERS)
        self._password_checks = asyncio.Semaphore(_PASSWORD_CHECKS)

    async def log_in(self, login: str, password: str) -> bool:
        """True for a known log-in with its password."""
        async with self._password_checks:
            return await asyncio.to_thread(check_password, self._users, login, password)

    # --- MAIL ---------------------------------------------------------------------------------------------------

    async def mail(self, client: Client, sender: str) -> Reply:
        """Refuse senders who may not write here before anything else is sent."""
        return self._admission.begin(client, sender)

    # --- RCPT ---------------------------------------------------------------------------------------------------

    async def rcpt(self, client: Client, sender: str, recipients: int, address: str) -> Reply:
        """Only recipients that exist now are accepted: 550 when not, 451 when that cannot be found out."""
        if recipients >= self._settings.max_recipients:
            return replies.TOO_MANY_RECIPIENTS
        if address == NULL_PATH:
            return replies.UNKNOWN_RECIPIENT
        try:
            async with asyncio.timeout(_LOOKUP_TIME):
                if sender == NULL_PATH:
                    self._check_bounce(address)
                else:
                    await self._ctx.check_recipient(await self._ens_name(address))
        except MailRefused as refusal:
            return refusal.reply
        except TimeoutError:
            return replies.DEPENDENCY_DOWN
        except GatewayError as error:
            # A name with a broken profile cannot be written to either; to the client that is the same.
            unknown = isinstance(error, InvalidInput)
            return replies.UNKNOWN_RECIPIENT if unknown else reply_to(error)
        return replies.OK

    def _own_local(self, address: str) -> str:
        mailbox = split_address(address)
        if mailbox.canonical_domain() != self._settings.domain:
            raise MailRefused(replies.NO_RELAY)
        return mailbox.local

    async def _ens_name(self, address: str) -> EnsName:
        target = local_target(self._own_local(address))
        if target is Special.RETURN_PATH:
            raise MailRefused(replies.BOUNCE_ONLY)
        if isinstance(target, Special):
            if self._settings.operator is None:
                raise MailRefused(replies.NO_OPERATOR)
            return normalise(self._settings.operator)
        return await resolve_alias(target, self._ctx)

    def _check_bounce(self, address: str) -> str:
        """The beginning of the hash of the message that bounced; MailRefused unless we signed this return path."""
        local = self._own_local(address)
        try:
            if local_target(local) is Special.RETURN_PATH:
                return self._return_path.message_prefix(local, self._ctx.now_ms())
        except (InvalidInput, UnknownName):
            pass
        raise MailRefused(replies.NULL_SENDER)

    # --- DATA ---------------------------------------------------------------------------------------------------

    async def data(self, client: Client, sender: str, recipients: tuple[str, ...], spool: Spool) -> Reply:
        """Take the mail for all recipients in one transaction, or for none."""
        try:
            if sender == NULL_PATH:
                await self._admission.check_bounce(client, spool)
                async with self._parsers:
                    return await self._take_bounce(recipients, spool)
            return await self._take(client, sender, recipients, spool)
        except GatewayError as error:
            reply = reply_to(error)
            log.info("mail.refused", reply=str(reply), detail=error.detail, client=client.address)
            return reply

    async def _take(self, client: Client, sender: str, recipients: tuple[str, ...], spool: Spool) -> Reply:
        # Not beside the parsers: whoever's DNS is slow keeps nobody else waiting.
        admitted = await self._admission.admit(client, sender, spool)
        async with self._parsers:
            mail = await asyncio.to_thread(self._parse, admitted, spool)
            names = tuple([await self._ens_name(address) for address in recipients])
            outgoing = outgoing_messages(mail, names)
            if admitted.assurance is Assurance.NONE:
                outgoing = tuple(unverified(each, self._settings.domain) for each in outgoing)
            await self._envelopes.keep(mail.native_id, mail.sender, sender)
            submitted = await self._ctx.submit_all(outgoing)
        log.info(
            "mail.taken",
            native_id=mail.native_id,
            assurance=str(admitted.assurance),
            recipients=len(submitted),
            repeats=sum(each.repeat for each in submitted),
        )
        return Reply(250, "2.0.0", f"Accepted as {mail.native_id}")

    def _parse(self, admitted: Admitted, spool: Spool) -> ParsedMail:
        kept = admitted.kept(spool.read())
        return parse_mail(kept, domain=self._settings.domain, now_ms=self._ctx.now_ms())

    async def _take_bounce(self, recipients: tuple[str, ...], spool: Spool) -> Reply:
        data = await asyncio.to_thread(spool.read)
        for address in recipients:
            await self._bounces.take(self._check_bounce(address), data)
        return Reply(250, "2.0.0", "Bounce noted")
