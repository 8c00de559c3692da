"""What somebody wants of the gateway: the commands in a mail to ``control@``. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

from adapters.email.control.confirmation import WORDS
from adapters.email.parse import ParsedMail
from gateway.sdk import CanonicalId, InvalidInput, NativeId
from gateway.sdk.commands import find

SUBJECT: Final = "DM3 gateway"
"""Of an answer to a mail without a subject; nobody means it as a command."""
MAX_LINES: Final = 20
MAX_LINE: Final = 2_000
_LINES_READ: Final = 200
_REPLY_PREFIX: Final = re.compile(r"(?:re|aw|sv|antw|fwd?|wg)(?:\[\d{1,3}\])?\s*:\s*", re.IGNORECASE)
_TOKEN_IN_SUBJECT: Final = re.compile(r"\[confirm [a-z2-7]{16,64}\]", re.IGNORECASE)
_SIGNATURE: Final = re.compile(r"--\s*|_{5,}|---.*")
"""A signature begins (RFC 3676, section 4.3), or what Outlook puts above the mail that is answered."""
_LINK: Final = re.compile(r"\[([^\[\]]{1,300})\]\([^()\s]{1,2000}\)")
"""What mail programs make of a name in HTML, once it is Markdown."""
_ESCAPED: Final = re.compile(r"\\([*_`])")
_TARGET: Final = re.compile(r"<(?:https?://|mailto:)[^<>\s]{1,2000}>", re.IGNORECASE)
"""The same in plain text."""


@dataclass(frozen=True, slots=True)
class Order:
    """One mail to the gateway, as it is kept until it is answered."""

    sender: CanonicalId
    display_name: str
    native_id: NativeId
    reference: NativeId | None
    """What it answers."""
    subject: str
    """Without what programs put before it, and without a token of ours."""
    lines: tuple[str, ...] = field(repr=False)
    """The commands; one empty line when there is none, which is answered by what there is."""
    tokens: str = field(repr=False)
    """Where a confirmation of ours may stand."""
    at: int
    """Milliseconds since the epoch, when it came."""

    @property
    def key(self) -> str:
        """By which a second copy is recognised: sender and Message-ID, unreadable."""
        return hashlib.sha256(f"{self.sender}\0{self.native_id}".encode("utf-8", "replace")).hexdigest()[:40]

    @property
    def lane(self) -> str:
        """Orders of one sender are carried out one after another."""
        return f"control {self.sender}"

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return json.dumps(asdict(self)).encode()


def read_order(payload: bytes) -> Order:
    """Read what `to_bytes` wrote; raises InvalidInput."""
    try:
        kept = json.loads(payload)
        return Order(**{**kept, "lines": tuple(kept["lines"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput("not an order") from error


def order_of(mail: ParsedMail, now_ms: int) -> Order:
    """The commands of a mail: its first lines, or its subject when it says nothing, or what no command begins with.

    "Sent from my telephone" is all that many a mail with a command in its subject says.
    """
    subject = bare_subject(mail.subject)
    lines = command_lines(mail.text)
    if subject != SUBJECT and (not lines or (is_command(subject) and not is_command(lines[0]))):
        lines = (subject,)
    return Order(
        sender=mail.sender,
        display_name=mail.display_name,
        native_id=mail.native_id,
        reference=mail.reference,
        subject=subject,
        lines=lines or ("",),
        tokens=" ".join((*mail.answers, mail.subject)),
        at=now_ms,
    )


def is_command(line: str) -> bool:
    """Whether a line begins with the name of a command, or confirms."""
    first = line.split(None, 1)[:1]
    return line.lower() in WORDS or any(find(word) is not None for word in first)


def bare_subject(subject: str) -> str:
    """A subject without ``Re:`` and its like, and without a token of ours."""
    text = _TOKEN_IN_SUBJECT.sub("", subject).strip()
    while (found := _REPLY_PREFIX.match(text)) is not None:
        text = text[found.end() :]
    return text.strip()


def command_lines(text: str) -> tuple[str, ...]:
    """The first lines up to an empty one, a quotation or a signature; () when there are none, never over MAX_LINES."""
    return tuple(_commands(text))[:MAX_LINES]


def _commands(text: str) -> Iterator[str]:
    lines = text.lstrip().splitlines()[:_LINES_READ]
    for number, raw in enumerate(lines):
        line = _typed(raw)
        if not line or line.startswith(">") or _SIGNATURE.fullmatch(line) or _introduces(lines, number):
            return
        yield line


def _typed(raw: str) -> str:
    """A line as somebody typed it, without what programs made of the names in it."""
    return _ESCAPED.sub(r"\1", _TARGET.sub("", _LINK.sub(r"\1", raw[:MAX_LINE]))).strip()


def _introduces(lines: list[str], number: int) -> bool:
    """Whether a line is what programs put above a quotation, whatever their language: the quotation follows it.

    It may be broken into two, of which the second one ends in a colon.
    """
    for end in (number, number + 1):
        if end >= len(lines) or (end > number and is_command(lines[number].strip())):
            return False
        if lines[end].rstrip().endswith(":"):
            behind = next((each.lstrip() for each in lines[end + 1 :] if each.strip()), "")
            return behind.startswith(">")
    return False
