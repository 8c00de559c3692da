"""Reply fallbacks: the quotation that clients once put before the text of a reply."""

from __future__ import annotations

import re
from typing import Final

_FIRST_LINE: Final = re.compile(r"> (?:\* )?<[^<>\n]+>")
_PREFIX: Final = "> "


def strip_reply_fallback(body: str) -> str:
    """The body of a reply without its fallback: the leading lines that begin with "> ", and the blank line after them.

    Only for events with `m.in_reply_to`. The first line of a fallback names the sender in angle brackets; a body that
    begins otherwise quotes for itself and stays whole. A body that is nothing but fallback becomes "".

    Source: Matrix client-server specification before version 1.13, "Fallbacks for rich replies".
    """
    if not _FIRST_LINE.match(body):
        return body
    lines = body.split("\n")
    first = next((number for number, line in enumerate(lines) if not line.startswith(_PREFIX)), len(lines))
    if first < len(lines) and not lines[first].strip():
        first += 1
    return "\n".join(lines[first:])
