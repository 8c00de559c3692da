"""Items of a JSON file one after the other: of an array, or one on each line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from json import JSONDecodeError, JSONDecoder
from typing import Any, Final

from gateway.errors import InvalidInput

MAX_DEPTH: Final = 8
"""Levels of arrays and objects, looked for before anything is parsed: the parser recurses on the stack of C."""
_BLANK: Final = " \t\r\n"
# Possessive loops: linear in time whatever the text.
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Item:
    """What stands at a line: a value, or the sentence that says why there is none."""

    line: int
    value: Any = None
    fault: str = ""


def items_of(lines: Iterator[str]) -> Iterator[Item]:
    """Items of a file given by its lines; it is an array when ``[`` stands at its beginning.

    A line that is no JSON is one fault; an array ends at its first fault, because nobody knows where the next item
    would begin.
    """
    number = 0
    for number, line in enumerate(lines, 1):
        if line.strip(_BLANK):
            rest = chain((line,), lines)
            yield from _array(number, rest) if line.lstrip(_BLANK)[0] == "[" else _each_line(number, rest)
            return


def object_of(item: Item) -> dict[str, Any]:
    """The object that an item is; raises InvalidInput."""
    if item.fault:
        raise InvalidInput(item.fault)
    if not isinstance(item.value, dict):
        raise InvalidInput("not an object")
    return item.value


def _each_line(first: int, lines: Iterator[str]) -> Iterator[Item]:
    for number, line in enumerate(lines, first):
        if line.strip(_BLANK):
            try:
                _check_depth(line)
                value, end = _decode(line, len(line) - len(line.lstrip(_BLANK)))
                if line[end:].strip(_BLANK):
                    raise InvalidInput("not JSON: more than one value in a line")
            except InvalidInput as error:
                yield Item(number, fault=error.detail)
                continue
            yield Item(number, value)


def _array(first: int, lines: Iterator[str]) -> Iterator[Item]:
    text = "".join(lines)
    line, counted = first, 0
    try:
        _check_depth(text)
    except InvalidInput as error:
        yield Item(first, fault=error.detail)
        return
    position = _skip(text, text.index("[") + 1)
    more = False
    while True:
        line, counted = line + text.count("\n", counted, position), position
        if text[position : position + 1] == "]" and not more:
            if text[position + 1 :].strip(_BLANK):
                yield Item(line, fault="not JSON: something stands behind the array")
            return
        try:
            value, position = _decode(text, position)
        except InvalidInput as error:
            yield Item(line, fault=error.detail)
            return
        yield Item(line, value)
        position = _skip(text, position)
        more = text[position : position + 1] == ","
        if more:
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "]":
            yield Item(line, fault="not JSON: a comma or the end of the array is missing")
            return


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def _check_depth(text: str) -> None:
    depth = 0
    for found in _STRUCTURE.finditer(text):
        if found[1]:
            depth += 1
        elif found[2]:
            depth -= 1
        if depth > MAX_DEPTH:
            raise InvalidInput("not JSON: nested too deeply")


def _decode(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error.msg}") from None
    except ValueError:
        raise InvalidInput("not JSON: a number that is too long") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidInput("not JSON: the same member twice")
    return value


def _constant(text: str) -> Any:
    raise InvalidInput(f"not JSON: {text}")


_DECODER: Final[JSONDecoder] = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
