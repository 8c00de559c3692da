"""Reactions (RFC 9078): an emoji about an earlier mail, in a part of its own. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Final

DISPOSITION: Final = "reaction"
GMAIL_TYPE: Final = "text/vnd.google.email-reaction+json"
"""What Gmail sends instead: ``{"version": 1, "emoji": "..."}``."""
MAX_BYTES: Final = 1_000
"""Of a part with a reaction; the longest emoji takes 35."""
MAX_EMOJI: Final = 8
_MAX_CHARS: Final = 20
"""Of one emoji with all its joiners and modifiers."""

_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3")
_OTHER_EMOJI: Final = frozenset("‼⁉〰〽↔▶◀◽◾◻◼⤴⤵ℹ")
"""Emoji that are no "other symbol" by their category."""
_KEYCAP: Final = re.compile("[0-9#*]\ufe0f?\u20e3")


def emoji_in(text: str) -> str | None:
    """The emoji of a reaction, with one blank between several; None when the text is anything else.

    Source: RFC 9078, section 2: only emoji sequences (UTS #51), with white space between them.
    """
    words = text[: 4 * MAX_BYTES].split()
    if not 1 <= len(words) <= MAX_EMOJI or not all(map(_is_emoji, words)):
        return None
    return " ".join(words)


def gmail_emoji(text: str) -> str | None:
    """The emoji in Gmail's own form of a reaction, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    emoji = value.get("emoji") if isinstance(value, dict) else None
    return emoji_in(emoji) if isinstance(emoji, str) else None


def set_reaction(message: EmailMessage, emoji: str, fallback: str) -> None:
    """Give a mail the reaction as its last alternative, behind words for programs that know no reactions."""
    message.set_content(fallback, charset="utf-8")
    policy = message.policy
    part = EmailMessage(policy=policy if isinstance(policy, EmailPolicy) else None)
    part.set_content(emoji + "\n", charset="utf-8", disposition=DISPOSITION)
    del part["MIME-Version"]
    message.make_alternative()
    message.attach(part)


def _is_emoji(word: str) -> bool:
    """One or several emoji without blanks between them."""
    if len(word) > _MAX_CHARS * MAX_EMOJI:
        return False
    rest = _KEYCAP.sub("", word)
    if any(not _may_be_in_emoji(char) for char in rest):
        return False
    return rest != word or any(_is_pictograph(char) for char in rest)


def _may_be_in_emoji(char: str) -> bool:
    code = ord(char)
    return _is_pictograph(char) or char in _JOINERS or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F


def _is_pictograph(char: str) -> bool:
    # Younger emoji than Python's tables stand in the planes that are kept for them.
    return unicodedata.category(char) == "So" or char in _OTHER_EMOJI or 0x1F000 <= ord(char) <= 0x1FAFF
