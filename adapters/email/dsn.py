"""What a bounce says: delivery status notifications (RFC 3464, RFC 6522) and what programs send instead. Pure.

A bounce is a text of strangers. What is taken from it is a status code, and one line that may be quoted.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from enum import Enum
from typing import Final

from adapters.email.body import read_body
from adapters.email.charsets import decode, one_line, raw_header
from adapters.email.mime import Part, leaves, read_headers
from adapters.email.parse import is_automatic
from adapters.email.transfer import transfer_decode
from gateway.sdk import MessageHash

MAX_QUOTED: Final = 200
"""Characters of the other server's words that people are shown."""
MAX_ANSWER: Final = 500
"""And of what a program answered."""
_FAILED_RECIPIENTS: Final = "X-Failed-Recipients"
"""Of Exim, in its final failures."""
_MAX_REPORT: Final = 64 * 1024
_MAX_BLOCKS: Final = 50
_MAX_TEXT: Final = 32 * 1024
_DELIVERY_STATUS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINALS: Final = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "message/partial"}
)
_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_BASIC: Final = re.compile(r"(?<![\d.\w-])([45])\d\d(?=[ -])")
_DELAYED: Final = re.compile(
    r"delay|warning|will (?:be )?retr|still (?:being )?tr(?:ied|ying)|not yet been", re.IGNORECASE
)
_OF_PROGRAMS: Final = frozenset({"x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-response-suppress"})
_DAEMON: Final = re.compile(r"mailer-?daemon|postmaster@|mail delivery (?:sub)?system", re.IGNORECASE)
_OWN_ID: Final = re.compile(r"<dm3\.([a-z2-7]{52})@([A-Za-z0-9.-]{1,253})>")
_BLANK_LINE: Final = re.compile(r"\r?\n\r?\n")
_PARSER: Final = HeaderParser(policy=compat32)


class Fate(Enum):
    """What became of a mail."""

    FAILED = "failed"
    OPEN = "open"
    """Their server still tries, or has it: nothing that anybody needs to know."""
    ANSWERED = "answered"
    """A program answered: somebody is away."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a mail to our return path says."""

    fate: Fate
    status: str = ""
    """An enhanced status code (RFC 3463), or a basic one such as 550; "" when there is none."""
    words: str = ""
    """One line of the other side, cleaned; it may say anything."""
    about: tuple[MessageHash, ...] = ()
    """Messages of ours whose Message-ID stands in it."""


def read_bounce(data: bytes, domain: str) -> Bounce:
    """Read it; `domain` is ours. Raises MailRefused beyond the bounds of `mime`."""
    headers = read_headers(data)
    parts = leaves(data)
    about = _about(data, domain)
    for part in parts:
        if part.content_type in _DELIVERY_STATUS:
            return _by_report(part, about)
    if headers.get_content_type() == "multipart/report":
        # Of another kind: a receipt (RFC 8098), a complaint (RFC 5965).
        return Bounce(Fate.OPEN, about=about)
    text = _text(parts)
    if not _of_mail_server(headers):
        return Bounce(Fate.ANSWERED, words=one_line(text, MAX_ANSWER), about=about)
    return _by_text(headers, text, about)


def by_program(data: bytes) -> bool:
    """Whether a mail says that a program sent it, be it as RFC 3834 wants it or as programs did before that.

    Raises MailRefused beyond the bounds of `mime`.
    """
    headers = read_headers(data)
    told = headers.get_content_type() == "multipart/report" or any(name.lower() in _OF_PROGRAMS for name in headers)
    return told or is_automatic(headers) or _of_mail_server(headers)


def _by_report(part: Part, about: tuple[MessageHash, ...]) -> Bounce:
    """The worst of what is said about recipients; a mail of ours has one."""
    found = Bounce(Fate.OPEN, about=about)
    for fields in _blocks(part)[1:]:
        action = str(fields.get("Action", "")).strip().lower()
        match = _STATUS.search(str(fields.get("Status", ""))[:100])
        kind, _, said = str(fields.get("Diagnostic-Code", "")).partition(";")
        words = one_line(said or kind, MAX_QUOTED)
        status = match[0] if match else ""
        permanent = match is None or match[1] == "5"
        # Some programs write "failed" with 4.x.x when they gave up: that is as final.
        if action == "failed" or (not action and match is not None and permanent):
            return Bounce(Fate.FAILED, status, words, about)
        found = Bounce(Fate.OPEN, status, words, about)
    return found


def _blocks(part: Part) -> Sequence[Message]:
    """Groups of fields; the first is about the message, the others about one recipient each."""
    text = decode(transfer_decode(part)[:_MAX_REPORT], "utf-8").strip()
    return [_PARSER.parsestr(block.strip()) for block in _BLANK_LINE.split(text, _MAX_BLOCKS)[:_MAX_BLOCKS]]


def _by_text(headers: Message, text: str, about: tuple[MessageHash, ...]) -> Bounce:
    """A bounce of the older kind: its text has the other server's answer somewhere."""
    match = _STATUS.search(text) or _BASIC.search(text)
    status = match[0] if match else ""
    given_up = _FAILED_RECIPIENTS in headers or not status.startswith(("2", "4"))
    delayed = _DELAYED.search(raw_header(headers, "Subject")[:1000]) is not None
    return Bounce(Fate.FAILED if given_up and not delayed else Fate.OPEN, status, _line_around(text, match), about)


def _line_around(text: str, match: re.Match[str] | None) -> str:
    """The line with the status code; nothing where there is none, because any line may be the wrong one."""
    if match is None:
        return ""
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return one_line(text[start : end if end >= 0 else len(text)], MAX_QUOTED)


def _of_mail_server(headers: Message) -> bool:
    """Whether a mail without a delivery status is from a mail server all the same, and not from somebody's program."""
    return _FAILED_RECIPIENTS in headers or _DAEMON.search(raw_header(headers, "From")[:1000]) is not None


def _text(parts: Sequence[Part]) -> str:
    """What people read in it, without the mail that came back."""
    return read_body([part for part in parts if part.content_type not in _ORIGINALS]).text[:_MAX_TEXT]


def _about(data: bytes, domain: str) -> tuple[MessageHash, ...]:
    """Message-IDs of ours anywhere in it, however the mail that came back was attached or quoted."""
    found = _OWN_ID.findall(data.decode("latin-1"))
    hashes = (_hash_of(digest) for digest, host in found[:20] if host.lower() == domain)
    return tuple(dict.fromkeys(each for each in hashes if each is not None))


def _hash_of(digest: str) -> MessageHash | None:
    try:
        return MessageHash("0x" + base64.b32decode(digest.upper() + "====").hex())
    except ValueError:
        return None


_CLASSES: Final = {
    "1.1": "there is no such mailbox",
    "1.2": "their mail domain does not exist",
    "1.3": "their mail address is not valid",
    "1.10": "their mail domain takes no mail",
    "2.1": "their mailbox is disabled",
    "2.2": "their mailbox is full",
    "2.3": "it is longer than their mailbox takes",
    "3.4": "it is larger than their mail server takes",
    "4.6": "their mail servers send it round in a loop",
    "4.7": "their mail server tried for days in vain",
}
_SUBJECTS: Final = {
    "1": "their mail address was not accepted",
    "2": "their mailbox did not take it",
    "3": "their mail server could not take it",
    "4": "it could not be brought to their mail server",
    "5": "their mail server and another one did not understand each other",
    "6": "their mail server does not take such content",
    "7": "their mail server refused it by its rules",
}


def explained(status: str) -> str:
    """What an enhanced status code means, in our words (RFC 3463; RFC 7505 for 1.10)."""
    match = _STATUS.fullmatch(status)
    if match is None:
        return "their mail server sent it back"
    specific = _CLASSES.get(f"{match[2]}.{match[3]}")
    return specific or _SUBJECTS.get(match[2], "their mail server sent it back")
