"""Reading of JSON from strangers: bounded before it is parsed, and nothing that two parsers read differently.

RFC 8259 leaves duplicate keys, lone surrogates and numbers outside a double to the parser. Those are refused,
because a signature over a text is worth nothing when signer and verifier see different values in it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn, TypeAlias

from gateway.errors import ParseError, TooLarge

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

MAX_DEPTH: Final = 100
"""Levels that are read at the most, whatever a caller asks for: the parser below recurses."""
DEFAULT_MAX_ITEMS: Final = 100_000
"""Values in one document. An empty array costs 3 bytes on the wire and about 60 in memory."""

# Possessive loops (Python 3.11): linear in time, constant in memory, whatever the text.
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])|(,)', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(data: bytes | str, *, max_bytes: int, max_depth: int = 32, max_items: int = DEFAULT_MAX_ITEMS) -> Json:
    """Parse one JSON document of at most ``max_bytes`` UTF-8 bytes, ``max_depth`` levels and ``max_items`` values.

    Raises TooLarge for the size, ParseError for all else: bad syntax, bad UTF-8, depth, count, NaN and Infinity,
    numbers that no double holds, duplicate keys, lone surrogates. No message of an error repeats the input.
    """
    text = _decoded(data, max_bytes)
    _check_structure(text, min(max_depth, MAX_DEPTH), max_items)
    try:
        value: Json = _DECODER.decode(text)
    except ParseError:
        raise
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):
        # int() refuses numbers of more than 4300 digits with a bare ValueError.
        raise ParseError("not JSON that can be read") from None
    if _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(value)
    return value


def parse_object(
    data: bytes | str, *, max_bytes: int, max_depth: int = 32, max_items: int = DEFAULT_MAX_ITEMS
) -> JsonObject:
    """As parse_json, and the document must be an object; raises ParseError when it is not."""
    value = parse_json(data, max_bytes=max_bytes, max_depth=max_depth, max_items=max_items)
    if not isinstance(value, dict):
        raise ParseError("not a JSON object")
    return value


def _decoded(data: bytes | str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise TooLarge(f"more than {max_bytes} bytes")
    if isinstance(data, bytes):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise ParseError("not UTF-8") from None
    if not data.isascii():
        try:
            size = len(data.encode("utf-8"))
        except UnicodeEncodeError:
            raise ParseError("a lone surrogate") from None
        if size > max_bytes:
            raise TooLarge(f"more than {max_bytes} bytes")
    return data


def _check_structure(text: str, max_depth: int, max_items: int) -> None:
    """Refuse depth and count before the parser builds anything; recursion in C cannot be caught on every version."""
    # Most texts have fewer brackets than levels are allowed, and fewer characters than values.
    if _has_at_most(max_depth, text) and (len(text) < max_items or max_depth + text.count(",") < max_items):
        return
    depth = items = 0
    for token in _STRUCTURE.finditer(text):
        kind = token.lastindex
        if kind is None:
            continue
        if kind == 2:
            depth -= 1
            continue
        items += 1
        if kind == 1:
            depth += 1
            if depth > max_depth:
                raise ParseError(f"nested deeper than {max_depth}")
        if items >= max_items:
            raise ParseError(f"more than {max_items} values")


def _has_at_most(limit: int, text: str) -> bool:
    """Whether no more than ``limit`` brackets open; looking for the next one is quicker than counting all."""
    for bracket in "[{":
        position = text.find(bracket)
        while position >= 0:
            limit -= 1
            if limit < 0:
                return False
            position = text.find(bracket, position + 1)
    return True


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ParseError("a key occurs twice in one object")
    return result


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ParseError("a number outside the range of a double")
    return value


def _int(text: str) -> int:
    # 309 digits can still be finite; the exact test is left to float() for those few.
    if len(text) > 308 and math.isinf(_checked_double(text)):
        raise ParseError("a number outside the range of a double")
    return int(text)


def _checked_double(text: str) -> float:
    try:
        return float(text)
    except (ValueError, OverflowError):
        return math.inf


def _constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not JSON")


def _refuse_surrogates(value: Json) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ParseError("a lone surrogate") from None
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_surrogates(key)
            _refuse_surrogates(item)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
)
