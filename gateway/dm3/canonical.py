"""The one text of a JSON value that DM3 signs and hashes.

DM3-MTP says "stringified with sorted keys"; what that means byte for byte is set by the reference, which uses
safe-stable-stringify: no blanks, keys by UTF-16 code unit, raw UTF-8, JavaScript's numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Final

from gateway.dm3.js_number import js_number
from gateway.dm3.strict_json import DEFAULT_MAX_ITEMS, Json, JsonObject, parse_json, parse_object

__all__ = [
    "DEFAULT_MAX_ITEMS",
    "Json",
    "JsonObject",
    "members",
    "object_of",
    "parse_json",
    "parse_object",
    "sha256_hex",
    "stringify",
]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def stringify(value: Json) -> str:
    """Canonical JSON of ``value``; the same bytes as the reference's ``stringify``."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def members(value: JsonObject) -> dict[str, str]:
    """The canonical text of each member of an object, ``"key":value`` by its key, in canonical order."""
    return {key: f"{_quoted(key)}:{stringify(value[key])}" for key in _sorted_keys(value)}


def object_of(texts: Iterable[str]) -> str:
    """The canonical text of an object that has members with these texts, which must stand in canonical order."""
    return f"{{{','.join(texts)}}}"


def sha256_hex(text: str) -> str:
    """0x and the SHA-256 of the text's UTF-8 form."""
    return "0x" + hashlib.sha256(text.encode("utf-8")).hexdigest()


def _write(value: Json, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_quoted(value))
    elif value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, int | float):
        parts.append(js_number(value))
    elif isinstance(value, dict):
        _write_object(value, parts)
    else:
        separator = "["
        for item in value:
            parts.append(separator)
            _write(item, parts)
            separator = ","
        parts.append("]" if value else "[]")


def _write_object(value: JsonObject, parts: list[str]) -> None:
    separator = "{"
    for key in _sorted_keys(value):
        parts.append(f"{separator}{_quoted(key)}:")
        _write(value[key], parts)
        separator = ","
    parts.append("}" if value else "{}")


def _sorted_keys(value: JsonObject) -> list[str]:
    """By UTF-16 code unit: a surrogate pair sorts below U+E000..U+FFFF, other than in Python."""
    if "".join(value).isascii():
        return sorted(value)
    return sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))


def _quoted(text: str) -> str:
    quoted = encode_basestring(text)
    if quoted.isascii() or not _SURROGATE.search(quoted):
        return quoted
    # Two halves side by side are one character to JavaScript; only a half that stands alone is escaped.
    joined = quoted.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", joined)
