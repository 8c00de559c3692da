"""Messages of ENS names on their way to mail: written, signed, sent, tried again, and given up with a reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from adapters.email import notice
from adapters.email.addresses import shown_address
from adapters.email.cold import ColdMail
from adapters.email.dkim.signing import Signer
from adapters.email.envelopes import Envelopes
from adapters.email.gateway_mail import gateway_mail, notice_hash
from adapters.email.large_files import LargeFiles
from adapters.email.messageid import message_id_of
from adapters.email.render import RenderedMail, alias_of, render
from adapters.email.returnpath import ReturnPath, message_prefix
from adapters.email.sender import Transport
from adapters.email.sent import SentMail, SentMails
from adapters.email.session import Accepted, Letter, Result
from adapters.email.settings import EmailSettings
from adapters.email.threads import ThreadMail, Threads
from adapters.email.unsubscribe import WayOut
from gateway.sdk import (
    NOTICE_MARK,
    AdapterContext,
    CanonicalId,
    Delivered,
    Delivery,
    DeliveryState,
    EnsName,
    InvalidInput,
    LimitExceeded,
    MailNotice,
    NativeId,
    Outcome,
    Outgoing,
    Person,
    Rate,
    Rejected,
    Retry,
    StatusReport,
    Unavailable,
)

log = structlog.get_logger(__name__)

OWN_ADDRESS: Final = "this address belongs to the gateway itself"
MAIL_TO_MAIL: Final = "this is somebody with a mailbox: write to their mail address"
_TOO_FAST: Final = 60.0


class Outward:
    """Everything that the adapter sends."""

    def __init__(
        self,
        settings: EmailSettings,
        ctx: AdapterContext,
        *,
        transport: Transport,
        return_path: ReturnPath,
        signer: Signer,
        sent: SentMails,
        cold: ColdMail,
        envelopes: Envelopes,
        files: LargeFiles,
        threads: Threads,
    ) -> None:
        self._domain = settings.domain
        self._host_name = settings.host_name
        self._ctx = ctx
        self._transport = transport
        self._return_path = return_path
        self._signer = signer
        self._sent = sent
        self._cold = cold
        self._envelopes = envelopes
        self._files = files
        self._threads = threads
        self._pace = Rate(settings.mails_per_minute, burst=settings.mails_at_once)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """One try of one mail; Rejected for what no later try can change, and after five days of tries."""
        if self._is_ours(delivery.recipient):
            return Rejected(OWN_ADDRESS)
        if await self._came_by_mail(delivery.sender):
            return Rejected(MAIL_TO_MAIL)
        way_out = await self._cold.admit(delivery)
        if isinstance(way_out, Retry):
            return way_out
        return await self._try(delivery, way_out)

    async def _came_by_mail(self, name: EnsName) -> bool:
        """Whether this is somebody's mail that would go out as mail again: two forwarding mailboxes make it a loop.

        A name that was moved away is its owner's, who writes by DM3 now.
        """
        writer = await self._ctx.person_named(name)
        if writer is None or writer.network != self._ctx.network:
            return False
        return writer.name == name or name.endswith(f".{self._ctx.parent}")

    async def _try(self, delivery: Delivery, way_out: WayOut | None) -> Outcome:
        key = message_prefix(bytes.fromhex(delivery.message_hash[2:]))
        message_id = message_id_of(delivery.message_hash, self._domain)
        fresh = SentMail(delivery.recipient, delivery.sender, message_id, self._ctx.now_ms())
        sent = await self._sent.begin(key, fresh)
        try:
            if not sent.tries:
                self._pace.take(f"{delivery.sender} {delivery.recipient}")
        except LimitExceeded:
            return Retry(f"{delivery.sender} sends mail to this address too fast", _TOO_FAST)
        answered = delivery.reference.native_id if delivery.reference else None
        thread = await self._threads.find(delivery.recipient, [answered]) if answered else None
        try:
            light = await self._files.linked(delivery, sent.first_try)
            mail = await asyncio.to_thread(self._written, light, way_out, thread)
        except InvalidInput as error:
            return Rejected(error.detail)
        if (alias := alias_of(delivery.sender)) is not None:
            await self._ctx.put_alias(alias, delivery.sender)
        if mail.thread is not None:
            await self._threads.remember(delivery.recipient, mail.thread)
        sender = self._return_path.address(delivery.message_hash, sent.first_try)
        result = await self._transport.send(Letter(sender, delivery.recipient, mail.content, mail.utf8))
        log.info("mail.sent", native_id=mail.message_id, tries=sent.tries + 1, result=type(result).__name__)
        if isinstance(result, Accepted):
            return Delivered(mail.message_id)
        return await self._again(key, sent, result, quiet=delivery.automatic) if isinstance(result, Retry) else result

    async def _again(self, key: str, sent: SentMail, result: Retry, *, quiet: bool) -> Outcome:
        if sent.given_up(self._ctx.now_ms()):
            return Rejected(f"it was tried for five days; at last: {result.reason}")
        if result.after is not None:
            return result
        if sent.is_late(self._ctx.now_ms()) and not quiet:
            await self._ctx.submit(_late(key, sent, result.reason, self._ctx.now_ms()))
            sent = replace(sent, warned=True)
        return replace(result, after=await self._sent.failed(key, sent))

    def _is_ours(self, address: CanonicalId) -> bool:
        return address.rpartition("@")[2] == self._domain

    def _written(self, delivery: Delivery, way_out: WayOut | None, thread: ThreadMail | None) -> RenderedMail:
        return self._signed(render(delivery, self._domain, way_out, thread))

    def _signed(self, mail: RenderedMail) -> RenderedMail:
        return replace(mail, content=self._signer.sign(mail.content))

    async def report(self, status: StatusReport) -> None:
        """Tell the sender of a mail that it will not arrive; other news are nothing that mail has a form for.

        Only people whose mail we took get this, and they proved who they are: no backscatter. It goes to the envelope
        sender where that was proved as well. Raises Unavailable when the notice could not be sent now.
        """
        if status.state is not DeliveryState.FAILED or status.automatic or self._is_ours(status.sender):
            return
        try:
            mail = await asyncio.to_thread(
                lambda: self._signed(
                    notice.failure_notice(
                        status, domain=self._domain, host_name=self._host_name, now_ms=self._ctx.now_ms()
                    )
                )
            )
        except InvalidInput as error:
            log.warning("notice.not_written", native_id=status.native_id, detail=error.detail)
            return
        recipient = await self._envelopes.find(status.native_id, status.sender)
        result = await self._transport.send(Letter("", recipient, mail.content, mail.utf8))
        if isinstance(result, Retry):
            raise Unavailable(f"failure notice was not taken: {result.reason}")
        log.info("notice.sent", native_id=status.native_id, result=type(result).__name__)

    async def send_answer(self, mail: RenderedMail, recipient: CanonicalId) -> Result:
        """One try of a mail that answers commands; from the null sender, as RFC 3834 section 3.3 wants it."""
        signed = await asyncio.to_thread(self._signed, mail)
        return await self._transport.send(Letter("", recipient, signed.content, signed.utf8))

    async def send_notice(self, notice: MailNotice) -> Outcome:
        """Send one mail of the gateway's own; bounces come back to our return path, where they are logged."""
        if self._is_ours(notice.recipient):
            return Rejected(OWN_ADDRESS)
        now = self._ctx.now_ms()
        try:
            mail = await asyncio.to_thread(lambda: self._signed(gateway_mail(notice, domain=self._domain, now_ms=now)))
        except InvalidInput as error:
            return Rejected(error.detail)
        sender = self._return_path.address(notice_hash(notice.key), now)
        result: Result = await self._transport.send(Letter(sender, notice.recipient, mail.content, mail.utf8))
        log.info("notice.sent", native_id=mail.message_id, result=type(result).__name__)
        return Delivered(mail.message_id) if isinstance(result, Accepted) else result


def _late(key: str, mail: SentMail, reason: str, now_ms: int) -> Outgoing:
    """Told to the DM3 sender once (RFC 5321, section 4.5.4.1, has servers wait for days)."""
    person = shown_address(mail.person)
    return Outgoing(
        sender=Person(mail.person),
        recipient=mail.name,
        native_id=NativeId(f"late {key}"),
        sent_at=now_ms,
        text=f"{NOTICE_MARK}Your message to {person} has not arrived yet and is tried for five days: {reason}",
        automatic=True,
    )
