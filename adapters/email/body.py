"""Text and files of a mail, chosen from its parts."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import quopri
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Final

from adapters.email.charsets import decode, decode_words, plain_text
from adapters.email.html import html_to_text
from adapters.email.mime import Part
from gateway.sdk import Attachment, file_attachment

MAX_FILE_NAME: Final = 200
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(byte for byte in range(256) if byte not in _BASE64)


@dataclass(frozen=True, slots=True)
class Body:
    """What of a mail people read."""

    text: str
    attachments: tuple[Attachment, ...]


def read_body(parts: Sequence[Part]) -> Body:
    """Choose the text and take everything else as files.

    The text is all plain parts that are shown and, where a branch of the mail has HTML alone, that HTML converted.
    Of a multipart/alternative with a plain part the HTML goes, everything else in it (a calendar) stays as a file.
    """
    plain = {
        number: text for number, part in enumerate(parts) if _is_text(part, "text/plain") and (text := _text(part))
    }
    with_plain = {_alternative(parts[number]) for number in plain} - {None}
    texts: list[str] = []
    files: list[Attachment] = []
    for number, part in enumerate(parts):
        if _is_text(part, "text/plain"):
            texts.append(plain.get(number, ""))
        elif not _is_text(part, "text/html"):
            files.append(_file(part, number + 1))
        elif _alternative(part) not in with_plain:
            texts.append(plain_text(html_to_text(_text(part))))
    return Body("\n\n".join(text for text in texts if text), tuple(files))


def _is_text(part: Part, kind: str) -> bool:
    return part.content_type == kind and part.headers.get_content_disposition() != "attachment" and not _name(part)


def _alternative(part: Part) -> tuple[int, ...] | None:
    """Which multipart/alternative a part is in, the innermost one; None when it is in none."""
    for depth in range(len(part.path), 0, -1):
        if part.path[depth - 1] == "multipart/alternative":
            return part.siblings[: depth - 1]
    return None


def _text(part: Part) -> str:
    charset = _parameter(part.headers, "charset", "Content-Type")
    text = plain_text(decode(transfer_decode(part), charset))
    return text if text.strip() else ""


def _file(part: Part, number: int) -> Attachment:
    kind = part.content_type
    data = part.body if part.headers.get_content_maintype() == "message" else transfer_decode(part)
    name = _name(part) or _made_up_name(kind, number)
    return file_attachment(name, kind, data)


def _made_up_name(kind: str, number: int) -> str:
    if kind == "message/rfc822":
        return f"message-{number}.eml"
    if kind == "text/calendar":
        return f"invitation-{number}.ics"
    return f"part-{number}{mimetypes.guess_extension(kind) or '.bin'}"


def _name(part: Part) -> str:
    for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        raw = _parameter(part.headers, parameter, header)
        if raw:
            return decode_words(raw, MAX_FILE_NAME)
    return ""


def _parameter(headers: Message, name: str, header: str) -> str:
    """A parameter in whichever of the forms of RFC 2231 it is written; "" when it is absent or unreadable."""
    try:
        value = headers.get_param(name, header=header)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    if isinstance(value, tuple):
        charset, _, text = value
        return decode(text.encode("latin-1", "replace"), charset)
    return value if isinstance(value, str) else ""


def transfer_decode(part: Part) -> bytes:
    """The bytes of a part (RFC 2045, section 6); what does not decode comes as it is."""
    encoding = str(part.headers.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding == "base64":
        return _lenient_base64(part.body)
    if encoding == "quoted-printable":
        return quopri.decodestring(part.body)
    return part.body


def _lenient_base64(body: bytes) -> bytes:
    """Base64 as mail programs read it: foreign characters skipped, missing padding forgiven."""
    digits = body.partition(b"=")[0].translate(None, delete=_NOT_BASE64)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4))
    except binascii.Error:
        return body
