"""The HTML of a Matrix message as text: sanitised first, then a Markdown that reads well unrendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bs4 import BeautifulSoup

from adapters.matrix.blocks import write
from adapters.matrix.subset import MAX_HTML, sanitise, scrub
from gateway.sdk.html import costly, too_deep, unescape

_DROPPED: Final = re.compile(r"<(/?)(script|style|mx-reply)\b[^<>]*>", re.IGNORECASE)
_NESTS: Final = "mx-reply"
_BREAKS: Final = re.compile(r"<(?:br|hr|/p|/div|/tr|/li|/pre|/blockquote|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_ANY_TAG: Final = re.compile(r"<[/!?a-z][^<>]*>", re.IGNORECASE)
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def to_text(html: str) -> str:
    """Markdown-like text of a `formatted_body`; "" when nothing of it is to be read. Never raises.

    Nothing in the words is escaped, so `2*3*4` stays as it was written. Reply fallbacks are left out, pills are the
    names they show, spoilers stand between `||`. HTML that is too long, too deep or too costly to parse becomes its
    words alone.

    Source: Matrix client-server specification, "m.room.message msgtypes", "Spoiler messages", "User and room mentions".
    """
    html = scrub(html)
    if len(html) > MAX_HTML or costly(html):
        return _bare_text(html)
    clean = sanitise(html)
    if too_deep(clean):
        return _bare_text(clean)
    # In an element of its own: BeautifulSoup warns about short input that resembles a file name.
    body = BeautifulSoup(f"<div>{clean}</div>", "html.parser")
    return _without_trailing(write(body))


def _bare_text(html: str) -> str:
    """The words of any HTML, in linear time and without a parser."""
    words = _ANY_TAG.sub("", _BREAKS.sub("\n", "".join(_kept(html))))
    words = scrub(unescape(words))
    return _BLANK_LINES.sub("\n\n", _without_trailing(words)).strip()


def _without_trailing(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _kept(html: str) -> Iterator[str]:
    """What is not between the tags whose content goes; after one that is never closed nothing is kept."""
    dropping = ""
    depth = start = 0
    for tag in _DROPPED.finditer(html):
        name = tag[2].lower()
        if not dropping:
            yield html[start : tag.start()]
            if not tag[1]:
                dropping, depth = name, 1
        elif name == dropping:
            depth += -1 if tag[1] else name == _NESTS
            dropping = dropping if depth else ""
        start = tag.end()
    if not dropping:
        yield html[start:]
