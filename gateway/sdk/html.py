"""What of foreign HTML can be read without harm: found out in linear time, before or after a parser sees it."""

from __future__ import annotations

import html as entities
import re
from typing import Final

MAX_NESTING: Final = 100
"""Tags inside tags; converters and trees recurse, and their time grows with the square of the depth."""
MAX_WORK: Final = 400_000
"""Elements an HTML5 parser may have to make, at worst; each takes 250 bytes and half a microsecond."""

_VOID_TAGS: Final = frozenset({"br", "hr", "img"})
_SANITISED_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_REOPENED_TAG: Final = re.compile(
    r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/]", re.IGNORECASE | re.ASCII
)
_REOPENED_AT_MOST: Final = 3 * 13
_LONG_NUMBER: Final = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")


def costly(html: str) -> bool:
    """Whether parsing this HTML, of any origin, could take more than `MAX_WORK` elements.

    HTML5 reopens inline tags in the next block, all of them: a thousand unclosed ones and a thousand paragraphs are a
    million elements. Equal tags are reopened three times at most, so only those with attributes count one by one.

    Source: HTML Living Standard, 13.2.4.3 "The list of active formatting elements".
    """
    return html.count("<") * (_REOPENED_AT_MOST + len(_REOPENED_TAG.findall(html))) > MAX_WORK


def too_deep(clean: str) -> bool:
    """Whether sanitised HTML, in which every tag is closed, nests deeper than `MAX_NESTING`."""
    depth = 0
    for tag in _SANITISED_TAG.finditer(clean):
        if tag[1]:
            depth -= 1
        elif tag[2] not in _VOID_TAGS:
            depth += 1
            if depth > MAX_NESTING:
                return True
    return False


def unescape(text: str) -> str:
    """The text with its character references resolved. Never raises."""
    # Python refuses to read numbers of thousands of digits.
    return entities.unescape(_LONG_NUMBER.sub("\ufffd", text))
