"""Lists of ``tag=value`` (RFC 6376, section 3.2) as signatures, keys and DMARC records use them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_BLANK: Final = " \t\r\n"


class MalformedTags(ValueError):
    """Not such a list, or a tag that comes twice."""


def parse_tags(text: str) -> Mapping[str, str]:
    """Tags in their order, values without the blanks around them; names keep their case. Raises MalformedTags."""
    tags: dict[str, str] = {}
    parts = text.split(";")
    if not parts[-1].strip(_BLANK):
        parts.pop()
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip(_BLANK)
        if not equals or not _NAME.fullmatch(name) or name in tags:
            raise MalformedTags(f"not a list of tags at its tag {len(tags) + 1}")
        tags[name] = value.strip(_BLANK)
    return tags


def unfolded(value: str) -> str:
    """A value without blanks, as base64 and lists are read."""
    return "".join(value.split())
