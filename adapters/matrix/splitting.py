"""Long texts in parts that fit into events."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BLANKS: Final = (" ", "\t", "\u3000")
_GAP: Final = re.compile(r"[^\S\n]*(?:\n[^\S\n]*)*\n|[^\S\n]+")
_LONGEST_CODE_POINT: Final = 4
_LONGEST_GRAPHEME: Final = 64
_JOINER: Final = "\u200d"
_JOINED_CATEGORIES: Final = frozenset({"Mn", "Me", "Mc", "Cf", "Cs"})


def split_text(text: str, limit: int) -> tuple[str, ...]:
    """Parts of at most `limit` bytes of UTF-8, in order; none for an empty text.

    Cut between paragraphs, else lines, else at a blank, else between characters. Joined, the parts lack only the
    whitespace that was at the cuts: all of it at the end of a part, and at the start of the next one the blank lines,
    while the indentation of a line stays. No code point is cut and, up to 64 code points, no emoji sequence either.

    Raises ValueError when `limit` is below 4, the length of the longest code point.
    """
    if limit < _LONGEST_CODE_POINT:
        raise ValueError("a part must have room for one code point")
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = _end(text, start, limit)
        cut = end if end == len(text) else _cut(text, start, end)
        part = text[start:cut]
        start = cut
        if cut < len(text):
            part = part.rstrip()
            gap = _GAP.match(text, cut)
            start = gap.end() if gap else cut
        if part:
            parts.append(part)
    return tuple(parts)


def _end(text: str, start: int, limit: int) -> int:
    """Where the longest part would end that begins at `start`."""
    data = text[start : start + limit].encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return min(start + limit, len(text))
    while data[limit] & 0xC0 == 0x80:
        limit -= 1
    return start + len(data[:limit].decode("utf-8", "surrogatepass"))


def _cut(text: str, start: int, end: int) -> int:
    """The best place for a cut, after `start` and not after `end`: one in the second half, if there is one."""
    for after in (start + (end - start) // 2, start):
        for separators in (("\n\n",), ("\n",), _BLANKS):
            place = max(text.rfind(separator, after + 1, end + len(separator)) for separator in separators)
            if place > after:
                return place
    for place in range(end, max(start, end - _LONGEST_GRAPHEME), -1):
        if not _joined(text, start, place):
            return place
    return end


def _joined(text: str, start: int, place: int) -> bool:
    """Whether the characters before and after `place` are seen as one."""
    before, after = text[place - 1], text[place]
    if before == _JOINER or unicodedata.category(after) in _JOINED_CATEGORIES or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    if not (_is_flag_letter(before) and _is_flag_letter(after)):
        return False
    letters = 0
    while letters < _LONGEST_GRAPHEME and place - letters > start and _is_flag_letter(text[place - letters - 1]):
        letters += 1
    return letters % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
