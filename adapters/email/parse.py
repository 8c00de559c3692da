"""A mail as values: who wrote it, what it says, what hangs on it. Pure, and slow on large mail: see `reading`."""

from __future__ import annotations

import email.utils
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC
from email.errors import UndecodableBytesDefect
from email.message import Message
from typing import Final, NamedTuple

from adapters.email import replies
from adapters.email.body import read_body
from adapters.email.charsets import decode_words, header_text, raw_header
from adapters.email.mailbox import parse_mailbox
from adapters.email.messageid import as_message_id, message_ids_in
from adapters.email.mime import BLOCK, Content, body_start, leaves, read_headers
from adapters.email.quotes import new_part
from adapters.email.replies import MailRefused
from adapters.email.transfer import FilePart
from gateway.sdk import CanonicalId, InvalidInput, NativeId
from gateway.sdk.addresses import canonical_email

MAX_RECEIVED: Final = 50
"""Trace headers of a mail that went through more servers than any honest way has."""
MAX_FROM: Final = 1_000
MAX_SUBJECT: Final = 500
MAX_NAME: Final = 200
MAX_REFERENCES: Final = 20
TRACE_HEADER: Final = "X-DM3-Gateway"
"""Names the gateway that wrote a mail, by its mail domain."""
_ADDRESS: Final = re.compile(r"[^\s@](?:@[^\s@]|\s?@\s?[^\s@.\u3002]{1,63}\s?[.\u3002]\s?[^\s@])")
"""As people read one in a line of a normal form: with single blanks beside its signs, too, where a dot makes it one."""
_DAY_MS: Final = 24 * 3600 * 1000
_BULK: Final = frozenset({"bulk", "list", "junk"})


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """What a mail says, without its files."""

    sender: CanonicalId
    """The one mailbox of the From header. Whether it may be believed, the caller knows."""
    display_name: str
    native_id: NativeId
    """Message-ID with its angle brackets, or a digest of the mail that has none."""
    sent_at: int
    """Milliseconds since the epoch, by the Date header."""
    subject: str
    text: str
    new: int
    """How many characters of the text somebody wrote for this mail; behind them are quotes and a signature."""
    reaction: str | None
    """Emoji about what is answered (RFC 9078); the text besides it is empty or says more."""
    answers: tuple[NativeId, ...]
    """Message-IDs of what may be answered, the likeliest first."""
    references: tuple[NativeId, ...]
    """What came before it in its thread, the oldest first (RFC 5322, section 3.6.4)."""
    automatic: bool

    @property
    def reference(self) -> NativeId | None:
        """Message-ID of what is answered, as far as the mail says so."""
        return next(iter(self.answers), None)


class Parsed(NamedTuple):
    """A mail, and where its files stand in it."""

    mail: ParsedMail
    files: tuple[FilePart, ...]


def parse_mail(data: Content, *, domain: str, now_ms: int) -> Parsed:
    """Read a mail; `domain` is our own, for loops, `now_ms` stands in for a Date that cannot be right.

    Raises MailRefused and nothing else: 554 5.4.6 for a loop, 554 5.6.0 beyond the bounds of `mime`, 550 5.6.0 for
    a From header that does not name one mailbox (RFC 5322 section 3.6.2; RFC 9989 wants the same).
    """
    headers = read_headers(data)
    check_loop(headers, domain)
    sender, display_name = read_from(headers)
    body = read_body(leaves(data))
    mail = ParsedMail(
        sender=sender,
        display_name=display_name,
        native_id=message_id(headers) or _digest_id(headers, data),
        sent_at=sent_at(headers, now_ms),
        subject=header_text(headers, "Subject", MAX_SUBJECT),
        text=body.text,
        new=len(new_part(body.text)),
        reaction=body.reaction,
        answers=answers(headers),
        references=references(headers),
        automatic=is_automatic(headers),
    )
    return Parsed(mail, body.files)


def check_loop(headers: Message, domain: str) -> None:
    """Raise MailRefused for a mail that we wrote ourselves or that was passed on too often (RFC 5321, section 6.3)."""
    traces = headers.get_all(TRACE_HEADER, [])
    own = any(str(trace).strip().lower().partition(";")[0].strip() == domain for trace in traces)
    if own or len(headers.get_all("Received", [])) > MAX_RECEIVED:
        raise MailRefused(replies.LOOP)


def read_from(headers: Message) -> tuple[CanonicalId, str]:
    """Address and display name of the From header; MailRefused unless there is one header with one mailbox."""
    values = headers.get_all("From", [])
    raw = str(values[0]) if len(values) == 1 else ""
    if not raw or len(raw) > MAX_FROM:
        raise MailRefused(replies.FROM_MALFORMED)
    try:
        mailbox = parse_mailbox(raw)
        address = canonical_email(mailbox.address)
    except InvalidInput as error:
        raise MailRefused(replies.FROM_MALFORMED) from error
    if not address.isascii() and any(isinstance(defect, UndecodableBytesDefect) for defect in headers.defects):
        raise MailRefused(replies.FROM_MALFORMED)
    return address, _shown(decode_words(mailbox.name, MAX_NAME), address)


def _shown(name: str, address: CanonicalId) -> str:
    """A display name; none for one that shows an address, because only the other one was proved."""
    # Signs have wide and small forms (U+FF20, U+FE6B, U+FF0E).
    other = _ADDRESS.search(unicodedata.normalize("NFKC", name))
    return name if other is None or name.lower() == address else ""


def message_id(headers: Message) -> NativeId | None:
    """The Message-ID; None when it is missing, doubled or nothing that a reply header could repeat."""
    values = headers.get_all("Message-ID", [])
    return as_message_id(str(values[0])) if len(values) == 1 else None


def _digest_id(headers: Message, data: Content) -> NativeId:
    """An id that a second try of the same mail has too: trace headers, which differ each time, are left out."""
    digest = hashlib.sha256()
    for name in ("From", "To", "Date", "Subject"):
        digest.update(raw_header(headers, name).encode("utf-8", "replace") + b"\0")
    start = body_start(data)
    for begin in range(start, len(data), BLOCK):
        digest.update(data[begin : begin + BLOCK])
    return NativeId(f"sha256:{digest.hexdigest()}")


def answers(headers: Message) -> tuple[NativeId, ...]:
    """What the mail may answer: In-Reply-To, then References from the last one (RFC 5322, section 3.6.4)."""
    answered = message_ids_in(raw_header(headers, "In-Reply-To"))
    thread = message_ids_in(raw_header(headers, "References"))
    return tuple(dict.fromkeys([*answered[:1], *reversed(thread)]))[:MAX_REFERENCES]


def references(headers: Message) -> tuple[NativeId, ...]:
    """References, or In-Reply-To where there are none."""
    ids = message_ids_in(raw_header(headers, "References")) or message_ids_in(raw_header(headers, "In-Reply-To"))[:1]
    return tuple(ids[:1] + ids[1:][1 - MAX_REFERENCES :])


def sent_at(headers: Message, now_ms: int) -> int:
    """The Date header in milliseconds; `now_ms` when it is missing, malformed, before 1990 or over a day ahead."""
    try:
        date = email.utils.parsedate_to_datetime(raw_header(headers, "Date")[:200])
        claimed = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return now_ms
    return claimed if 631_152_000_000 <= claimed <= now_ms + _DAY_MS else now_ms


def is_automatic(headers: Message) -> bool:
    """True for what nobody wrote by hand for this recipient (RFC 3834, RFC 2919, RFC 2369)."""
    submitted = raw_header(headers, "Auto-Submitted").partition(";")[0].strip().lower()
    precedence = raw_header(headers, "Precedence").strip().lower()
    return (
        submitted not in ("", "no") or precedence in _BULK or any(name.lower().startswith("list-") for name in headers)
    )
