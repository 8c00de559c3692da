"""Text, files and a reaction of a mail, chosen from its parts."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Final

from adapters.email.charsets import decode, decode_words, plain_text
from adapters.email.flowed import unflow
from adapters.email.html import MAX_MARKDOWN, html_to_text
from adapters.email.mime import Part
from adapters.email.reactions import DISPOSITION, GMAIL_TYPE, MAX_BYTES, emoji_in, gmail_emoji
from adapters.email.transfer import FilePart, file_part, transfer_decode

MAX_FILE_NAME: Final = 200
MAX_TEXT_BYTES: Final = 1_000_000
"""Of all parts that are shown as text; one that is too much becomes a file."""


@dataclass(frozen=True, slots=True)
class Body:
    """What of a mail people read."""

    text: str
    files: tuple[FilePart, ...]
    reaction: str | None = None
    """Emoji about what the mail answers (RFC 9078)."""


def read_body(parts: Sequence[Part]) -> Body:
    """Choose the text and take everything else as files.

    The text is all plain parts that are shown and, where a branch of the mail has HTML alone, that HTML converted.
    Of a multipart/alternative with a plain part the HTML goes, everything else in it (a calendar) stays as a file; of
    one with a reaction everything else goes, because it says the same in words.
    """
    reactions = {number: emoji for number, part in enumerate(parts) if (emoji := _reaction(part))}
    said_in_words = {_alternative(parts[number]) for number in reactions} - {None}
    left = [
        number
        for number in range(len(parts))
        if number not in reactions and _alternative(parts[number]) not in said_in_words
    ]
    shown = _shown(parts, left)
    plain = {
        number: text
        for number in shown
        if parts[number].content_type == "text/plain" and (text := _text(parts[number]))
    }
    with_plain = {_alternative(parts[number]) for number in plain} - {None}
    texts: list[str] = []
    files: list[FilePart] = []
    room = MAX_MARKDOWN
    for number in left:
        part = parts[number]
        if number not in shown:
            files.append(_file(part, number + 1))
        elif part.content_type == "text/plain":
            texts.append(plain.get(number, ""))
        elif _alternative(part) not in with_plain:
            html = _text(part)
            texts.append(plain_text(html_to_text(html, room)))
            room -= len(html)
    return Body("\n\n".join(text for text in texts if text), tuple(files), next(iter(reactions.values()), None))


def _shown(parts: Sequence[Part], numbers: Sequence[int]) -> frozenset[int]:
    """Parts that are read as text."""
    shown: set[int] = set()
    room = MAX_TEXT_BYTES
    for number in numbers:
        part = parts[number]
        if (_is_text(part, "text/plain") or _is_text(part, "text/html")) and part.size <= room:
            room -= part.size
            shown.add(number)
    return frozenset(shown)


def _is_text(part: Part, kind: str) -> bool:
    return part.content_type == kind and part.headers.get_content_disposition() != "attachment" and not _name(part)


def _reaction(part: Part) -> str | None:
    if part.size > MAX_BYTES:
        return None
    if part.content_type == GMAIL_TYPE:
        return gmail_emoji(_text(part))
    if part.content_type == "text/plain" and part.headers.get_content_disposition() == DISPOSITION:
        return emoji_in(_text(part))
    return None


def _alternative(part: Part) -> tuple[int, ...] | None:
    """Which multipart/alternative a part is in, the innermost one; None when it is in none."""
    for depth in range(len(part.path), 0, -1):
        if part.path[depth - 1] == "multipart/alternative":
            return part.siblings[: depth - 1]
    return None


def _text(part: Part) -> str:
    text = plain_text(decode(transfer_decode(part), _parameter(part.headers, "charset", "Content-Type")))
    if part.content_type == "text/plain" and _parameter(part.headers, "format", "Content-Type").lower() == "flowed":
        text = unflow(text, delsp=_parameter(part.headers, "delsp", "Content-Type").lower() == "yes")
    return text if text.strip() else ""


def _file(part: Part, number: int) -> FilePart:
    kind = part.content_type
    return file_part(_name(part) or _made_up_name(kind, number), part)


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
