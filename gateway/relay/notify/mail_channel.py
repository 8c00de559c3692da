"""Notifications by mail, handed to whichever adapter can send mail of our own."""

from __future__ import annotations

from typing import Final

from gateway.dm3.canonical import JsonObject
from gateway.ids import CanonicalId, EnsName
from gateway.relay.notify.mail_address import parse_mail_address
from gateway.relay.notify.news import CODE_SUBJECT, MESSAGE_SUBJECT, News, code_text
from gateway.relay.notify.offered import Told
from gateway.sdk.adapter import SendsNotices
from gateway.sdk.delivery import Outcome
from gateway.sdk.notices import MailNotice
from gateway.store.channels import ChannelKind


class MailChannel:
    """Mails to people who proved their address, and the mail by which they prove it."""

    kind: Final = ChannelKind.EMAIL

    def __init__(self, sender: SendsNotices, service: EnsName) -> None:
        self._sender = sender
        self._service = service

    def published(self) -> JsonObject:
        """Nothing: a client needs to know no more than that it is there."""
        return {}

    def check(self, recipient: str) -> None:
        """Raises InvalidInput for what is no mail address."""
        parse_mail_address(recipient)

    async def tell(self, recipient: str, news: News, key: str) -> Told:
        """Send one mail."""
        return await self._send(recipient, key, MESSAGE_SUBJECT, news.mail_text())

    async def send_code(self, recipient: str, code: str, name: EnsName, *, minutes: int, key: str) -> Outcome:
        """Send the code that proves the address for the account of `name`."""
        return await self._send(recipient, key, CODE_SUBJECT, code_text(code, name, self._service, minutes))

    async def _send(self, recipient: str, key: str, subject: str, text: str) -> Outcome:
        notice = MailNotice(key=key, recipient=CanonicalId(recipient), subject=subject, text=text)
        return await self._sender.send_notice(notice)
