"""Subjects of threads: what two of them have in common, and the one of an answer. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_SUBJECT: Final = 500
_ROUNDS: Final = 50
"""Prefixes that are taken off one subject."""

_BLOB: Final = r"\[[^\[\]]{0,200}\]\s{0,20}"
_ANSWER: Final = re.compile(r"(?:re|aw|sv|vs|antw|odp|rif|r)\s{0,5}(?:\[\d{1,3}\]|\(\d{1,3}\))?\s?:", re.IGNORECASE)
"""Prefixes of answers: "Re:" by RFC 5322, section 3.6.5, and what programs in other languages make of it."""
_LEADER: Final = re.compile(
    rf"(?:{_BLOB}){{0,3}}(?:re|fwd?|aw|wg|sv|vs|vb|antw|odp|doorst|rif|r|i|rv|tr|enc)\s{{0,5}}(?:{_BLOB})?"
    r"(?:\(\d{1,3}\))?\s?:",
    re.IGNORECASE,
)
_LEADING_BLOB: Final = re.compile(rf"{_BLOB}(?=\S)")
_TRAILER: Final = "(fwd)"
_WRAPPED: Final = ("[fwd:", "]")


def base_subject(subject: str) -> str:
    """What all subjects of a thread share, in lower case (RFC 5256, section 2.1, with prefixes of more languages)."""
    text = _line(subject).casefold()
    for _ in range(_ROUNDS):
        before = text
        text = text.removesuffix(_TRAILER).rstrip()
        text = _without(_LEADER, text)
        text = _without(_LEADING_BLOB, text)
        if text.startswith(_WRAPPED[0]) and text.endswith(_WRAPPED[1]):
            text = text[len(_WRAPPED[0]) : -len(_WRAPPED[1])].strip()
        if text == before:
            break
    return text


def answer_subject(subject: str) -> str:
    """The subject of an answer: "Re: " once, however many were there (RFC 5322, section 3.6.5)."""
    text = _line(subject)
    for _ in range(_ROUNDS):
        before, text = text, _without(_ANSWER, text)
        if text == before:
            break
    return f"Re: {text}".rstrip()


def _line(subject: str) -> str:
    return " ".join(subject[:MAX_SUBJECT].split())


def _without(prefix: re.Pattern[str], text: str) -> str:
    found = prefix.match(text)
    return text[found.end() :].lstrip() if found else text
