"""The answer to commands as a mail: in the same thread, marked as automatic (RFC 3834). Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final

from adapters.email.addresses import CONTROL
from adapters.email.charsets import header_line, one_line, plain_text
from adapters.email.control.order import SUBJECT, Order
from adapters.email.messageid import writable_message_id
from adapters.email.parse import TRACE_HEADER
from adapters.email.render import ASCII_HEADERS, UTF8_HEADERS, RenderedMail, serialise, to_address
from gateway.sdk import FileContent, InvalidInput, NativeId

MAX_TEXT: Final = 200_000
_MAX_SUBJECT: Final = 150
_MAX_TYPED: Final = 200
FOOTER: Final = "-- \nThe gateway at {domain}. Answer with one command a line; `help` lists them."


@dataclass(frozen=True, slots=True)
class Said:
    """What one line was answered."""

    typed: str = field(repr=False)
    text: str = field(repr=False)
    file: FileContent | None = None
    token: str = ""
    """Answering with this confirms what the text asks; "" when it asks nothing."""


def to_text(said: Iterable[Said]) -> str:
    """As it is kept until it is sent."""
    return json.dumps([_kept(each) for each in said])


def from_text(text: str) -> tuple[Said, ...]:
    """Read what `to_text` wrote."""
    return tuple(
        Said(
            typed,
            answer,
            FileContent(file[0], file[1], base64.b64decode(file[2])) if file else None,
            token,
        )
        for typed, answer, file, token in json.loads(text)
    )


def _kept(said: Said) -> tuple[object, ...]:
    file = said.file and (said.file.name, said.file.media_type, base64.b64encode(said.file.data).decode())
    return said.typed, said.text, file, said.token


def answer_mail(order: Order, said: Iterable[Said], domain: str) -> RenderedMail:
    """The mail; the same bytes at every try, so that a receiver can drop what it has.

    Raises InvalidInput when the sender's address cannot be written in a header.
    """
    parts = tuple(said)
    token = next((each.token for each in parts if each.token), "")
    policy = ASCII_HEADERS if order.sender.isascii() else UTF8_HEADERS
    message = EmailMessage(policy=policy)
    message_id = NativeId(f"<dm3.control.{order.key}{f'.{token}' if token else ''}@{domain}>")
    subject = header_line(order.subject, _MAX_SUBJECT) or SUBJECT
    message["From"] = Address("DM3 gateway", username=CONTROL, domain=domain)
    message["To"] = to_address(order.sender)
    message["Subject"] = f"Re: {subject}" + (f" [confirm {token}]" if token else "")
    message["Date"] = datetime.fromtimestamp(order.at / 1000, UTC)
    message["Message-ID"] = message_id
    if (answered := writable_message_id(order.native_id)) is not None:
        before = writable_message_id(order.reference or "")
        message["In-Reply-To"] = answered
        message["References"] = f"{before} {answered}" if before else answered
    message["Auto-Submitted"] = "auto-replied"
    message[TRACE_HEADER] = domain
    text = "\n\n".join(_paragraphs(each) for each in parts)[:MAX_TEXT]
    message.set_content(f"{plain_text(text)}\n\n{FOOTER.format(domain=domain)}\n", charset="utf-8")
    for file in (each.file for each in parts if each.file is not None):
        _attach(message, file)
    if message.is_multipart():
        message.set_boundary(f"control-{order.key}")
    return RenderedMail(message_id, serialise(message), policy is UTF8_HEADERS)


def _paragraphs(said: Said) -> str:
    typed = one_line(said.typed, _MAX_TYPED)
    return f"> {typed}\n\n{said.text}" if typed else said.text


def _attach(message: EmailMessage, file: FileContent) -> None:
    maintype, _, subtype = file.media_type.partition("/")
    try:
        message.add_attachment(file.data, maintype=maintype, subtype=subtype, filename=header_line(file.name, 200))
    except (ValueError, LookupError, UnicodeError) as error:
        raise InvalidInput("file cannot be written into a mail") from error
