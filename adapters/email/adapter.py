"""The e-mail adapter: what the gateway sees of this package."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import ClassVar

import structlog
from pydantic import BaseModel

from adapters.email import notice
from adapters.email.gateway_mail import gateway_mail, notice_hash
from adapters.email.handler import Role
from adapters.email.listener import Listener
from adapters.email.reception import Reception
from adapters.email.render import MAX_ATTACHMENT_BYTES, MAX_TEXT, RenderedMail, alias_of, render
from adapters.email.returnpath import KEY_BYTES, ReturnPath, parse_key
from adapters.email.routes import MxRoutes
from adapters.email.sender import Accepted, Letter, MxTransport, RelayTransport, Transport
from adapters.email.settings import EmailSettings
from adapters.email.users import User, load_users
from gateway.sdk import (
    AdapterContext,
    Capabilities,
    ConfigError,
    Delivered,
    Delivery,
    DeliveryState,
    InvalidInput,
    MailNotice,
    MessageType,
    Network,
    Outcome,
    Rejected,
    Retry,
    StatusReport,
    TextFormat,
    Unavailable,
)

log = structlog.get_logger(__name__)


class EmailAdapter:
    """Mail in by SMTP, mail out by SMTP; each ENS name is an address under one mail domain."""

    name: ClassVar[Network] = Network("email")
    capabilities: ClassVar[Capabilities] = Capabilities(
        types=frozenset({MessageType.NEW, MessageType.REPLY}),
        max_text=MAX_TEXT,
        max_attachments=100,
        max_attachment_bytes=MAX_ATTACHMENT_BYTES,
        text_format=TextFormat.PLAIN,
        idempotent=False,
        ordered=False,
    )
    Settings: ClassVar[type[BaseModel]] = EmailSettings

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._ctx: AdapterContext | None = None
        self._listener: Listener | None = None
        self._transport: Transport | None = None
        self._return_path: ReturnPath | None = None

    async def open(self, ctx: AdapterContext) -> None:
        """Read key, password and user files and listen; raises ConfigError or OSError."""
        self._ctx = ctx
        self._return_path = ReturnPath(self._settings.domain, await asyncio.to_thread(_return_path_key, self._settings))
        self._transport = await asyncio.to_thread(_transport, self._settings)
        users = await asyncio.to_thread(_users, self._settings)
        reception = Reception(self._settings, users, self._return_path, ctx)
        self._listener = Listener(self._settings, reception)
        try:
            await self._listener.open()
        except BaseException:
            await self._listener.close()
            raise
        log.info("email.listening", mx_port=self.mx_port, submission_port=self.submission_port)

    @property
    def mx_port(self) -> int | None:
        """The MX port while open."""
        return self._listener.port(Role.MX) if self._listener else None

    @property
    def submission_port(self) -> int | None:
        """The submission port while open; None when there is none."""
        return self._listener.port(Role.SUBMISSION) if self._listener else None

    async def run(self) -> None:
        """Wait for ever: everything happens in connections and in `deliver`."""
        await asyncio.Event().wait()

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Send one mail; Rejected only for what no later try can change."""
        ctx, transport, return_path = self._opened()
        if delivery.recipient.rpartition("@")[2] == self._settings.domain:
            return Rejected("this address belongs to the gateway itself")
        try:
            mail = await asyncio.to_thread(render, delivery, self._settings.domain)
        except InvalidInput as error:
            return Rejected(error.detail)
        if (alias := alias_of(delivery.sender)) is not None:
            await ctx.put_alias(alias, delivery.sender)
        sender = return_path.address(delivery.message_hash, ctx.now_ms())
        result = await transport.send(Letter(sender, delivery.recipient, mail.content, mail.utf8))
        log.info("mail.sent", native_id=mail.message_id, result=type(result).__name__)
        return Delivered(mail.message_id) if isinstance(result, Accepted) else result

    async def report(self, status: StatusReport) -> None:
        """Tell the sender of a mail that it will not arrive; other news are nothing that mail has a form for.

        Only people whose mail we took get this, and they proved who they are: no backscatter. Raises Unavailable
        when the notice could not be sent now.
        """
        if status.state is not DeliveryState.FAILED or status.automatic:
            return
        ctx, transport, _ = self._opened()
        try:
            mail: RenderedMail = await asyncio.to_thread(
                notice.failure_notice,
                status,
                domain=self._settings.domain,
                host_name=self._settings.host_name,
                now_ms=ctx.now_ms(),
            )
        except InvalidInput as error:
            log.warning("notice.not_written", native_id=status.native_id, detail=error.detail)
            return
        result = await transport.send(Letter("", status.sender, mail.content, mail.utf8))
        if isinstance(result, Retry):
            raise Unavailable(f"failure notice was not taken: {result.reason}")
        log.info("notice.sent", native_id=status.native_id, result=type(result).__name__)

    async def send_notice(self, notice: MailNotice) -> Outcome:
        """Send one mail of the gateway's own; bounces come back to our return path, where they are logged."""
        ctx, transport, return_path = self._opened()
        if notice.recipient.rpartition("@")[2] == self._settings.domain:
            return Rejected("this address belongs to the gateway itself")
        now = ctx.now_ms()
        try:
            mail = await asyncio.to_thread(gateway_mail, notice, domain=self._settings.domain, now_ms=now)
        except InvalidInput as error:
            return Rejected(error.detail)
        sender = return_path.address(notice_hash(notice.key), now)
        result = await transport.send(Letter(sender, notice.recipient, mail.content, mail.utf8))
        log.info("notice.sent", native_id=mail.message_id, result=type(result).__name__)
        return Delivered(mail.message_id) if isinstance(result, Accepted) else result

    async def close(self) -> None:
        """Stop listening and let mails on their way in end."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    def _opened(self) -> tuple[AdapterContext, Transport, ReturnPath]:
        if self._ctx is None or self._transport is None or self._return_path is None:
            raise Unavailable("the e-mail adapter is not open")
        return self._ctx, self._transport, self._return_path


def _return_path_key(settings: EmailSettings) -> bytes:
    path = settings.return_path_key_file
    if path is None:
        return secrets.token_bytes(KEY_BYTES)
    try:
        return parse_key(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _users(settings: EmailSettings) -> Mapping[str, User]:
    return load_users(settings.submission_users_file) if settings.submission_users_file else {}


def _transport(settings: EmailSettings) -> Transport:
    if settings.relay is None:
        routes = MxRoutes(settings.dns_servers, allow_private=settings.allow_private_destinations)
        return MxTransport(routes, settings.host_name, settings.mx_port, settings.send_timeout)
    password = None
    if settings.relay_password_file is not None:
        try:
            password = settings.relay_password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{settings.relay_password_file}: cannot be read: {error}") from error
    return RelayTransport(settings.relay, settings.host_name, settings.send_timeout, settings.relay_user, password)
