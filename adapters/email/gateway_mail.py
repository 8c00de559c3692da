"""Mail by the gateway itself to somebody with an account at its relay: codes and notifications. Pure.

Built with `email.policy`; subject and text may hold what strangers wrote, so neither is trusted.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final

from adapters.email.charsets import header_line, plain_text
from adapters.email.parse import TRACE_HEADER
from adapters.email.render import ASCII_HEADERS, UTF8_HEADERS, RenderedMail, serialise, to_address
from gateway.sdk import MailNotice, MessageHash, NativeId

LOCAL_PART: Final = "noreply"
"""No ENS name stands behind it: mail to it is refused at the door."""
_MAX_SUBJECT: Final = 200
_MAX_TEXT: Final = 10_000


def gateway_mail(notice: MailNotice, *, domain: str, now_ms: int) -> RenderedMail:
    """One mail of text alone, marked as automatic (RFC 3834); its Message-ID is the same at every try.

    Raises InvalidInput when the recipient's address cannot be written in a header.
    """
    policy = ASCII_HEADERS if notice.recipient.isascii() else UTF8_HEADERS
    message = EmailMessage(policy=policy)
    message_id = _message_id(notice.key, domain)
    message["From"] = Address("DM3 gateway", username=LOCAL_PART, domain=domain)
    message["To"] = to_address(notice.recipient)
    message["Subject"] = header_line(notice.subject, _MAX_SUBJECT)
    message["Date"] = datetime.fromtimestamp(now_ms / 1000, UTC)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message[TRACE_HEADER] = domain
    message.set_content(plain_text(notice.text[:_MAX_TEXT]) + "\n", charset="utf-8")
    return RenderedMail(message_id, serialise(message), policy is UTF8_HEADERS)


def notice_hash(key: str) -> MessageHash:
    """What stands for a notice where a message's hash is wanted, as in the return path."""
    return MessageHash("0x" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest())


def _message_id(key: str, domain: str) -> NativeId:
    digest = base64.b32encode(bytes.fromhex(notice_hash(key)[2:])[:20]).decode().lower()
    return NativeId(f"<dm3.notice.{digest}@{domain}>")
