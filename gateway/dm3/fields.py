"""Reading the fields of a JSON object from a stranger: the right type and length, or a named refusal."""

from __future__ import annotations

import re
from typing import Final

from gateway.dm3.canonical import Json, JsonObject
from gateway.errors import InvalidInput

MAX_NAME_BYTES: Final = 255
"""Of an ENS name as it is written in DNS wire form, and so of any name in a message."""
_BLANK_OR_CONTROL: Final = re.compile("[\x00-\x20\x7f]")
MAX_TIMESTAMP: Final = 2**53
"""Milliseconds; the greatest integer that JavaScript holds exactly."""


def required_object(value: Json, what: str) -> JsonObject:
    """The value as an object; raises InvalidInput naming ``what``."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} is not an object")
    return value


def required_text(fields: JsonObject, key: str, *, max_length: int | None = None) -> str:
    """The text under ``key``, at most ``max_length`` characters; raises InvalidInput."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise InvalidInput(f"{key} is missing or not a text")
    if max_length is not None and len(value) > max_length:
        raise InvalidInput(f"{key} is longer than {max_length} characters")
    return value


def optional_text(fields: JsonObject, key: str, *, max_length: int | None = None) -> str | None:
    """As required_text, but None when the key is absent or null."""
    if fields.get(key) is None:
        return None
    return required_text(fields, key, max_length=max_length)


def name_text(fields: JsonObject, key: str) -> str:
    """A name as its writer spelt it, bounded and without control characters or blanks, not yet normalised."""
    name = required_text(fields, key, max_length=MAX_NAME_BYTES)
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise InvalidInput(f"{key} is no name: empty, or longer than {MAX_NAME_BYTES} bytes")
    if _BLANK_OR_CONTROL.search(name):
        raise InvalidInput(f"{key} is no name: it has a blank or a control character")
    return name


def timestamp_ms(fields: JsonObject, key: str) -> int:
    """Milliseconds since the epoch, a whole number that JavaScript holds exactly; raises InvalidInput."""
    value = fields.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TIMESTAMP:
        raise InvalidInput(f"{key} is not a time in milliseconds")
    return value
