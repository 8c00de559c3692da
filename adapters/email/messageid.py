"""Message-IDs (RFC 5322, section 3.6.4): which ones we read, and the one of a DM3 message."""

from __future__ import annotations

import base64
import re
from typing import Final

from gateway.sdk import MessageHash, NativeId

_FORM: Final = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,400}>")


def message_id_of(message_hash: MessageHash, domain: str) -> NativeId:
    """The Message-ID of a DM3 message: the same at every try, so that receivers can drop what they have."""
    digest = base64.b32encode(bytes.fromhex(message_hash[2:])).decode().rstrip("=").lower()
    return NativeId(f"<dm3.{digest}@{domain}>")


def as_message_id(text: str) -> NativeId | None:
    """The text when it is one id in angle brackets, with blanks around it or none; else None."""
    stripped = text.strip()
    return NativeId(stripped) if _FORM.fullmatch(stripped) else None


def writable_message_id(text: str) -> NativeId | None:
    """As `as_message_id`, for an id that goes into a header: None also for one in which an encoded word begins."""
    found = as_message_id(text)
    return None if found is None or "=?" in found else found


def message_ids_in(text: str) -> list[NativeId]:
    """All ids in a header such as References, in order; whatever stands between them is skipped."""
    return [NativeId(found) for found in _FORM.findall(text)]
