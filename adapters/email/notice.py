"""Failure notices to people whose mail did not arrive: delivery status notifications (RFC 3464). Pure."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from typing import Final

from adapters.email.charsets import header_line, one_line
from adapters.email.messageid import writable_message_id
from adapters.email.parse import TRACE_HEADER
from adapters.email.render import ASCII_HEADERS, UTF8_HEADERS, RenderedMail, address_of, serialise, to_address
from gateway.sdk import NativeId, StatusReport

_MAX_REASON: Final = 500


def failure_notice(status: StatusReport, *, domain: str, host_name: str, now_ms: int) -> RenderedMail:
    """One mail that says that a message will not arrive and why; its Message-ID is the same at every try.

    Raises InvalidInput when the sender's address cannot be written in a header.
    """
    policy = ASCII_HEADERS if status.sender.isascii() else UTF8_HEADERS
    notice = EmailMessage(policy=policy)
    message_id = _message_id(status, domain)
    recipient = address_of(status.recipient, domain)
    reason = header_line(status.reason, _MAX_REASON) or "The message could not be delivered."
    notice["From"] = f"DM3 gateway <postmaster@{domain}>"
    notice["To"] = to_address(status.sender)
    notice["Subject"] = f"Not delivered: your message to {header_line(status.recipient, 255)}"
    notice["Date"] = datetime.fromtimestamp(now_ms / 1000, UTC)
    notice["Message-ID"] = message_id
    notice["Auto-Submitted"] = "auto-replied"
    notice[TRACE_HEADER] = domain
    original = writable_message_id(status.native_id)
    if original is not None:
        notice["In-Reply-To"] = original
        notice["References"] = original
    notice["MIME-Version"] = "1.0"
    boundary = "notice-" + _digest(status)
    notice["Content-Type"] = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    notice.set_payload([])
    notice.attach(_explanation(status, reason))
    notice.attach(_status_part(host_name, recipient, reason))
    if original is not None:
        notice.attach(_original_headers(original))
    return RenderedMail(message_id, serialise(notice), policy is UTF8_HEADERS)


def _digest(status: StatusReport) -> str:
    digest = hashlib.sha256(f"{status.native_id}\0{status.recipient}".encode("utf-8", "replace")).digest()
    return base64.b32encode(digest[:20]).decode().lower()


def _message_id(status: StatusReport, domain: str) -> NativeId:
    return NativeId(f"<dm3.failed.{_digest(status)}@{domain}>")


def _explanation(status: StatusReport, reason: str) -> EmailMessage:
    part = EmailMessage(policy=ASCII_HEADERS)
    part.set_content(
        f"Your message to {one_line(status.recipient, 255)} was not delivered and will not be tried again.\n\n"
        f"Reason: {reason}\n",
        charset="utf-8",
    )
    del part["MIME-Version"]
    return part


def _status_part(host_name: str, recipient: str, reason: str) -> EmailMessage:
    about_message = Message(policy=ASCII_HEADERS)
    about_message["Reporting-MTA"] = f"dns; {host_name}"
    about_recipient = Message(policy=ASCII_HEADERS)
    about_recipient["Final-Recipient"] = f"rfc822; {recipient}"
    about_recipient["Action"] = "failed"
    about_recipient["Status"] = "5.0.0"
    about_recipient["Diagnostic-Code"] = f"x-dm3; {reason.encode('ascii', 'replace').decode()}"
    part = EmailMessage(policy=ASCII_HEADERS)
    part["Content-Type"] = "message/delivery-status"
    part.set_payload([about_message, about_recipient])
    return part


def _original_headers(native_id: NativeId) -> EmailMessage:
    part = EmailMessage(policy=ASCII_HEADERS)
    part["Content-Type"] = "text/rfc822-headers; charset=us-ascii"
    part.set_payload(f"Message-ID: {native_id}\r\n")
    return part
