"""Subjects of threads: what two of them have in common, and the one of an answer. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_SUBJECT: Final = 500
_ROUNDS: Final = 50
"""Prefixes that are taken off one subject."""

_BLOB: Final = r"(?:\[[^\[\]]{0,200}\]\s{0,20})"
_ANSWER: Final = re.compile(r"\s*(?:re|aw|sv|vs|antw|odp|rif|r)\s{0,5}(?:\[\d{1,3}\]|\(\d{1,3}\))?\s?:", re.I)
"""Prefixes of answers: "Re:" by RFC 5322, section 3.6.5, and what programs in other languages make of it."""
_LEADER: Final = re.compile(
    rf"\s*{_BLOB}*(?:re|fwd?|aw|wg|sv|vs|vb|antw|odp|doorst|rif|r|i|rv|tr|enc)\s{{0,5}}{_BLOB}?(?:\(\d{{1,3}}\))?\s?:",
    re.IGNORECASE,
)
_LEADING_BLOB: Final = re.compile(rf"\s*{_BLOB}(?=\S)")
_TRAILER: Final = re.compile(r"\s*\(fwd\)\s*$", re.IGNORECASE)
_WRAPPED: Final = re.compile(r"\s*\[fwd:(.*)\]\s*", re.IGNORECASE)


def base_subject(subject: str) -> str:
    """What all subjects of a thread share, in lower case (RFC 5256, section 2.1, with prefixes of more languages)."""
    text = " ".join(subject[:MAX_SUBJECT].split())
    for _ in range(_ROUNDS):
        before = text
        text = _TRAILER.sub("", text)
        text = _LEADER.sub("", text, count=1) if _LEADER.match(text) else text
        text = _LEADING_BLOB.sub("", text, count=1)
        wrapped = _WRAPPED.fullmatch(text)
        text = (wrapped[1] if wrapped else text).strip()
        if text == before:
            break
    return text.casefold()


def answer_subject(subject: str) -> str:
    """The subject of an answer: "Re: " once, however many were there (RFC 5322, section 3.6.5)."""
    text = " ".join(subject[:MAX_SUBJECT].split())
    for _ in range(_ROUNDS):
        found = _ANSWER.match(text)
        if not found:
            break
        text = text[found.end() :].strip()
    return f"Re: {text}".rstrip()
