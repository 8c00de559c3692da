"""Fallbacks (XEP-0428): text of a body that only clients need which do not know what else is in the message.

Offsets are code points of the body as it stands on the wire (XEP-0426), which is what Python counts.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.xml import Xml, attribute, children, tag

MAX_FALLBACKS: Final = 50
"""Ranges of one message that are looked at."""
_OFFSET: Final = re.compile(r"[0-9]{1,9}")


def read_ranges(message: Element, about: str, length: int) -> tuple[tuple[int, int], ...]:
    """Parts of a body of ``length`` that are there for want of the protocol ``about``: pairs of begin and end.

    An indication without offsets means the whole body; one with offsets that cannot be is ignored, so that nothing of
    a text is lost by a fault of the sender's.
    """
    found = []
    for fallback in children(message, ns.FALLBACK, "fallback")[:MAX_FALLBACKS]:
        if attribute(fallback, "for") != about:
            continue
        if not len(fallback):
            found.append((0, length))
        for part in children(fallback, ns.FALLBACK, "body")[:MAX_FALLBACKS]:
            begin, end = attribute(part, "start"), attribute(part, "end")
            if not begin and not end:
                found.append((0, length))
            elif _OFFSET.fullmatch(begin or "0") and _OFFSET.fullmatch(end or str(length)):
                first, last = int(begin or 0), int(end or length)
                if first < last <= length:
                    found.append((first, last))
    return tuple(found)


def without(body: str, ranges: tuple[tuple[int, int], ...]) -> str:
    """The body without some of its parts, which may overlap."""
    kept, position = [], 0
    for begin, end in sorted(ranges):
        kept.append(body[position:begin])
        position = max(position, end)
    return "".join(kept) + body[position:]


def indication(about: str, begin: int | None = None, end: int | None = None) -> Xml:
    """Marks a part of the body, or all of it, as fallback for the protocol ``about``."""
    whole = begin is None and end is None
    part = tag("body") if whole else tag("body", start=begin, end=end)
    return tag("fallback", part, xmlns=ns.FALLBACK, for_=about)
