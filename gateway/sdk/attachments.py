"""Attachments as bytes or links: DM3 carries both in one string (data URI or URL)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from gateway.dm3.message import Attachment
from gateway.errors import InvalidInput

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}", re.ASCII)
_UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff/\\]")
MAX_FILE_NAME = 200
"""Characters of a file name that we pass on; far below every file system's limit in bytes."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file that travels inside the message."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """A file that stays where it is."""

    name: str
    url: str


def safe_file_name(name: str | None, fallback: str = "file") -> str:
    """A name without path, control, bidirectional or zero-width characters, never empty and never dots alone."""
    cleaned = _UNSAFE_IN_NAMES.sub("_", name or "").strip(" .")[:MAX_FILE_NAME]
    return cleaned or fallback


def file_attachment(name: str, media_type: str, data: bytes) -> Attachment:
    """A file as DM3 attachment: ``data:<media type>;base64,...`` (DM3-MTP, message attachments)."""
    return encoded_attachment(name, media_type, (base64.b64encode(data).decode("ascii"),))


def encoded_attachment(name: str, media_type: str, pieces: Sequence[str]) -> Attachment:
    """The same of a file that is there in base64 (RFC 4648, section 4): pieces of digits; padding may be missing."""
    kind = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    spare = sum(map(len, pieces)) % 4
    text = "".join((f"data:{kind};base64,", *pieces, "=" * (-spare % 4) if spare != 1 else ""))
    # A digit alone holds no byte.
    return Attachment(text[:-1] if spare == 1 else text, safe_file_name(name))


def attachment_content(attachment: Attachment, *, max_bytes: int) -> FileContent | Link:
    """What an attachment holds.

    Raises InvalidInput for a data URI that does not decode (RFC 2397), for one of more than `max_bytes` decoded
    bytes, and for a link that is not http or https.
    """
    text = attachment.data
    scheme = text[:8].lower()
    if scheme.startswith(("http://", "https://")):
        if any(ord(c) <= 0x20 for c in text) or len(text) > 4096:
            raise InvalidInput("attachment link holds blanks or is too long")
        return Link(safe_file_name(attachment.name, "link"), text)
    if not scheme.startswith("data:"):
        raise InvalidInput("attachment is neither a data URI nor a web link")
    if len(text) > max_bytes * 3 + 1024:
        raise InvalidInput("attachment is too large")
    head, comma, body = text[5:].partition(",")
    if not comma:
        raise InvalidInput("attachment data URI has no comma")
    media_type, *parameters = head.split(";")
    data = _decode_base64(body) if "base64" in (p.strip().lower() for p in parameters) else unquote_to_bytes(body)
    if len(data) > max_bytes:
        raise InvalidInput("attachment is too large")
    kind = media_type.strip().lower() or "text/plain"
    return FileContent(
        safe_file_name(attachment.name), kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream", data
    )


def content_size(attachment: Attachment) -> int:
    """Decoded bytes of the file that travels inside the message, without decoding base64; 0 for a link."""
    if attachment.data[:5].lower() != "data:":
        return 0
    head, _, body = attachment.data[5:].partition(",")
    if "base64" not in (each.strip().lower() for each in head.split(";")[1:]):
        return len(unquote_to_bytes(body))
    digits = body.rstrip("=")
    return len(digits) * 3 // 4


def _decode_base64(body: str) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("attachment is not valid base64") from error
