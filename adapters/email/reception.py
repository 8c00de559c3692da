"""What happens to a mail at the door: who may send, to whom, and when we say 250."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import structlog

from adapters.email import replies
from adapters.email.addressees import Addressees, tagged
from adapters.email.addresses import NULL_PATH, Special, local_target
from adapters.email.admission import Admission
from adapters.email.bounces import Bounces
from adapters.email.control.desk import Desk
from adapters.email.envelopes import Envelopes
from adapters.email.handler import Client
from adapters.email.incoming import Incoming
from adapters.email.operator_box import OperatorBox
from adapters.email.replies import MailRefused, Reply, reply_to
from adapters.email.returnpath import ReturnPath
from adapters.email.sent import SentMails
from adapters.email.settings import EmailSettings
from adapters.email.spool import Spool
from adapters.email.unverified import unverified
from adapters.email.users import User, check_password
from gateway.sdk import AdapterContext, GatewayError, InvalidInput, UnknownName

log = structlog.get_logger(__name__)

_PARSERS: Final = 4
"""Mails that are parsed and handed over at once; the others wait in their spools."""
_SMALL_PARSERS: Final = 32
"""The same of mails in memory: those that come together share a commit."""
_PASSWORD_CHECKS: Final = 2
"""Password checks at once: each takes a core and 16 MB for tens of milliseconds."""
_LOOKUP_TIME: Final = 60.0
"""Seconds for finding out whether a recipient exists; clients wait five minutes for the reply to RCPT."""


class Reception:
    """The `Handler` of both ports."""

    def __init__(
        self,
        settings: EmailSettings,
        users: Mapping[str, User],
        return_path: ReturnPath,
        ctx: AdapterContext,
        desk: Desk,
        incoming: Incoming,
    ) -> None:
        self._settings = settings
        self._admission = Admission(settings, users, ctx)
        self._operator_box = OperatorBox(self._admission)
        self._addressees = Addressees(settings.domain, settings.operator, ctx)
        self._desk = desk
        self._incoming = incoming
        self._users = users
        self._return_path = return_path
        self._envelopes = Envelopes(ctx.values, ctx.now_ms)
        self._bounces = Bounces(settings.domain, ctx, SentMails(ctx.values, ctx.now_ms))
        self._ctx = ctx
        self._parsers = asyncio.Semaphore(_PARSERS)
        self._small_parsers = asyncio.Semaphore(_SMALL_PARSERS)
        self._password_checks = asyncio.Semaphore(_PASSWORD_CHECKS)

    async def log_in(self, login: str, password: str) -> bool:
        """True for a known log-in with its password."""
        async with self._password_checks:
            return await asyncio.to_thread(check_password, self._users, login, password)

    # --- MAIL ---------------------------------------------------------------------------------------------------

    async def mail(self, client: Client, sender: str) -> Reply:
        """Refuse senders who may not write here before anything else is sent, unless the operator takes their mail."""
        refused = self._admission.begin(client, sender)
        return replies.OK if refused is replies.SENDER_NOT_ALLOWED and self._settings.operator else refused

    # --- RCPT ---------------------------------------------------------------------------------------------------

    async def rcpt(self, client: Client, sender: str, recipients: int, address: str) -> Reply:
        """Only recipients that exist now are accepted: 550 when not, 451 when that cannot be found out."""
        if recipients >= self._settings.max_recipients:
            return replies.TOO_MANY_RECIPIENTS
        if address == NULL_PATH:
            return replies.UNKNOWN_RECIPIENT
        try:
            async with asyncio.timeout(_LOOKUP_TIME):
                await self._check_recipient(client, sender, address)
        except MailRefused as refusal:
            return refusal.reply
        except TimeoutError:
            return replies.DEPENDENCY_DOWN
        except GatewayError as error:
            # A name with a broken profile cannot be written to either; to the client that is the same.
            unknown = isinstance(error, InvalidInput)
            return replies.UNKNOWN_RECIPIENT if unknown else reply_to(error)
        return replies.OK

    async def _check_recipient(self, client: Client, sender: str, address: str) -> None:
        if not self._addressees.is_operator(address):
            if sender == NULL_PATH:
                self._check_bounce(address)
                return
            if self._addressees.special(address) is Special.RETURN_PATH:
                self._check_bounce(address, replies.BOUNCE_ONLY)
                return
            if (refused := self._admission.begin(client, sender)).permanent:
                raise MailRefused(refused)
            if self._addressees.special(address) is Special.CONTROL:
                return
            await self._ctx.check_recipient(await self._addressees.reachable(address))
            return
        await self._ctx.check_recipient(await self._addressees.name(address))

    def _check_bounce(self, address: str, refused: Reply = replies.NULL_SENDER) -> str:
        """The beginning of the hash of the message that bounced; MailRefused unless we signed this return path."""
        local = self._addressees.local_part(address)
        try:
            if local_target(local) is Special.RETURN_PATH:
                return self._return_path.message_prefix(local, self._ctx.now_ms())
        except (InvalidInput, UnknownName):
            pass
        raise MailRefused(refused)

    # --- DATA ---------------------------------------------------------------------------------------------------

    async def data(self, client: Client, sender: str, recipients: tuple[str, ...], spool: Spool) -> Reply:
        """Take the mail for all recipients in one transaction, or for none."""
        try:
            if self._is_bounce(sender, recipients):
                await self._admission.check_bounce(client, sender, spool)
                async with self._parsers:
                    return await self._take_bounce(recipients, spool, null_sender=sender == NULL_PATH)
            return await self._take(client, sender, recipients, spool)
        except GatewayError as error:
            reply = reply_to(error)
            log.info("mail.refused", reply=str(reply), detail=error.detail, client=client.address)
            return reply

    async def _take(self, client: Client, sender: str, recipients: tuple[str, ...], spool: Spool) -> Reply:
        # Not beside the parsers: whoever's DNS is slow keeps nobody else waiting.
        admit = self._operator_box.admit if self._for_operator(recipients) else self._admission.admit
        admitted = await admit(client, sender, spool)
        async with self._parsers if spool.in_file else self._small_parsers, AsyncExitStack() as stack:
            now = self._ctx.now_ms()
            incoming = await stack.enter_async_context(self._incoming.read(spool, now, admitted.kept))
            mail = incoming.mail
            to = await self._addressees.sort(recipients)
            outgoing = tuple(
                replace(tagged(each, to.tags.get(each.recipient, ())), assurance=admitted.told)
                for each in await incoming.messages(to.names, now, proved=admitted.named)
            )
            if to.control:
                self._desk.admit(mail, admitted.assurance)
            if not admitted.named:
                outgoing = tuple(unverified(each, self._settings.domain) for each in outgoing)
            if admitted.named:
                await self._envelopes.keep(mail.native_id, mail.sender, sender)
            submitted = await self._ctx.submit_all(outgoing) if outgoing else ()
            await incoming.taken(submitted)
            if to.control:
                # Should this fail, the mail comes again, and what was submitted is a repeat then.
                await self._desk.take(mail)
        log.info(
            "mail.taken",
            native_id=mail.native_id,
            assurance=str(admitted.assurance),
            recipients=len(submitted),
            repeats=sum(each.repeat for each in submitted),
            traces=" ".join(each.trace for each in submitted),
            **admitted.told.checks,
        )
        return Reply(250, "2.0.0", f"Accepted as {mail.native_id}")

    def _for_operator(self, recipients: tuple[str, ...]) -> bool:
        return all(self._addressees.is_operator(address) for address in recipients)

    def _is_bounce(self, sender: str, recipients: tuple[str, ...]) -> bool:
        """About mail of ours: without a sender, or to return paths alone. Nobody speaks by it."""
        if sender == NULL_PATH:
            return not self._for_operator(recipients)
        return all(self._addressees.special(address) is Special.RETURN_PATH for address in recipients)

    async def _take_bounce(self, recipients: tuple[str, ...], spool: Spool, *, null_sender: bool) -> Reply:
        data = await asyncio.to_thread(spool.read)
        for address in recipients:
            await self._bounces.take(self._check_bounce(address), data, null_sender=null_sender)
        return Reply(250, "2.0.0", "Bounce noted")
