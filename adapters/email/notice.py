"""Failure notices to people whose mail did not arrive: delivery status notifications (RFC 3464). Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from email.policy import SMTP, SMTPUTF8
from typing import Final

from adapters.email.charsets import one_line
from adapters.email.parse import TRACE_HEADER
from adapters.email.render import RenderedMail, address_of, to_address
from gateway.sdk import NativeId, StatusReport

_MAX_REASON: Final = 500
_MESSAGE_ID: Final = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")


def failure_notice(status: StatusReport, *, domain: str, host_name: str, now_ms: int) -> RenderedMail:
    """One mail that says that a message will not arrive and why; its Message-ID is the same at every try."""
    policy = SMTP if status.sender.isascii() else SMTPUTF8
    notice = EmailMessage(policy=policy)
    message_id = _message_id(status, domain)
    recipient = address_of(status.recipient, domain)
    reason = one_line(status.reason, _MAX_REASON) or "The message could not be delivered."
    notice["From"] = f"DM3 gateway <postmaster@{domain}>"
    notice["To"] = to_address(status.sender)
    notice["Subject"] = f"Not delivered: your message to {one_line(status.recipient, 255)}"
    notice["Date"] = datetime.fromtimestamp(now_ms / 1000, UTC)
    notice["Message-ID"] = message_id
    notice["Auto-Submitted"] = "auto-replied"
    notice[TRACE_HEADER] = domain
    known_id = _MESSAGE_ID.fullmatch(status.native_id) is not None
    if known_id:
        notice["In-Reply-To"] = status.native_id
        notice["References"] = status.native_id
    notice["MIME-Version"] = "1.0"
    boundary = "notice-" + _digest(status)
    notice["Content-Type"] = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    notice.set_payload([])
    notice.attach(_explanation(status, reason))
    notice.attach(_status_part(host_name, recipient, reason))
    if known_id:
        notice.attach(_original_headers(status.native_id))
    return RenderedMail(message_id, notice.as_bytes(), policy is SMTPUTF8)


def _digest(status: StatusReport) -> str:
    digest = hashlib.sha256(f"{status.native_id}\0{status.recipient}".encode("utf-8", "replace")).digest()
    return base64.b32encode(digest[:20]).decode().lower()


def _message_id(status: StatusReport, domain: str) -> NativeId:
    return NativeId(f"<dm3.failed.{_digest(status)}@{domain}>")


def _explanation(status: StatusReport, reason: str) -> EmailMessage:
    part = EmailMessage(policy=SMTP)
    part.set_content(
        f"Your message to {one_line(status.recipient, 255)} was not delivered and will not be tried again.\n\n"
        f"Reason: {reason}\n",
        charset="utf-8",
    )
    del part["MIME-Version"]
    return part


def _status_part(host_name: str, recipient: str, reason: str) -> EmailMessage:
    about_message = Message(policy=SMTP)
    about_message["Reporting-MTA"] = f"dns; {host_name}"
    about_recipient = Message(policy=SMTP)
    about_recipient["Final-Recipient"] = f"rfc822; {recipient}"
    about_recipient["Action"] = "failed"
    about_recipient["Status"] = "5.0.0"
    about_recipient["Diagnostic-Code"] = f"x-dm3; {reason.encode('ascii', 'replace').decode()}"
    part = EmailMessage(policy=SMTP)
    part["Content-Type"] = "message/delivery-status"
    part.set_payload([about_message, about_recipient])
    return part


def _original_headers(native_id: NativeId) -> EmailMessage:
    part = EmailMessage(policy=SMTP)
    part["Content-Type"] = "text/rfc822-headers; charset=us-ascii"
    part.set_payload(f"Message-ID: {native_id}\r\n")
    return part
