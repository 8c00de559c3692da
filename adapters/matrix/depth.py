"""How deep JSON is nested, found out before a parser is let at it: Python's recurses, and may take the process along.

A person can write an event of many levels, and the homeserver passes it on. To refuse the transaction would stop
everything behind it for ever, so what lies too deep is cut out: nothing that we read is there.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Levels that are parsed: a transaction has four around the content of an event."""
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_NOT_BRACKETS: Final = bytes(each for each in range(256) if each not in b"[]{}")
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")


def loads(text: bytes) -> Any:
    """JSON of strangers, without what is nested too deep; raises ValueError for what is none."""
    try:
        return json.loads(bounded(text))
    except RecursionError:
        raise ValueError("nested too deep") from None


def bounded(text: bytes) -> bytes:
    """The same, without what is nested too deep for a parser."""
    return pruned(text) if too_deep(text) else text


def too_deep(text: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether brackets are nested deeper than ``limit``; quick for what is not."""
    if text.count(b"[") + text.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", text).translate(_ALIKE, _NOT_BRACKETS)
    for _ in range(limit):
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            # What is left has no partner, and is no JSON; it is deep when enough of it is open.
            return len(shorter) > limit
        brackets = shorter
    return bool(brackets)


def pruned(text: bytes, limit: int = MAX_DEPTH) -> bytes:
    """The same with ``null`` in place of whatever is nested deeper; what is no JSON stays none."""
    kept: list[bytes] = []
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        kind = token.group()
        if kind in (b"[", b"{"):
            depth += 1
            if depth == limit + 1:
                kept.append(text[begin : token.start()])
        elif kind in (b"]", b"}"):
            if depth == limit + 1:
                kept.append(b"null")
                begin = token.end()
            depth -= 1
    if depth <= limit:
        kept.append(text[begin:])
    return b"".join(kept)
