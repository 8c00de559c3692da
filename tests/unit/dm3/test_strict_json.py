"""The strict parser: everything it must refuse, all it must take, and that nothing else ever comes out of it."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import parse_json, parse_object
from gateway.errors import ParseError, TooLarge

LIMIT = 1 << 20

REFUSED: dict[str, bytes | str] = {
    "empty": b"",
    "blank": b"  \n",
    "cut": b'{"a":',
    "trailing text": b'{"a":1} x',
    "two documents": b"1 2",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "comment": b"[1 /* one */]",
    "unquoted key": b"{a:1}",
    "leading zero": b"[01]",
    "plus sign": b"[+1]",
    "bare point": b"[.5]",
    "hex": b"[0x10]",
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "-Infinity": b'{"a":-Infinity}',
    "1e999": b"[1e999]",
    "-1e999": b"[-1e999]",
    "integer beyond a double": b"[" + b"9" * 400 + b"]",
    "integer beyond int()": b"[" + b"9" * 5000 + b"]",
    "negative integer beyond a double": b"[-" + b"9" * 400 + b"]",
    "duplicate key": b'{"a":1,"a":2}',
    "duplicate key, escaped": b'{"a":1,"\\u0061":2}',
    "duplicate key, deep": b'[{"x":{"k":1,"k":1}}]',
    "lone high surrogate": b'["\\ud800"]',
    "lone low surrogate": b'["\\udfff"]',
    "surrogates the wrong way": b'["\\ude00\\ud83d"]',
    "lone surrogate in a key": b'{"\\ud800":1}',
    "lone surrogate deep": b'[[[{"a":["\\uDBFF"]}]]]',
    "surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "surrogate in str": '["\ud800"]',
    "not UTF-8": b'["\xff"]',
    "overlong UTF-8": b'["\xc0\xaf"]',
    "cut UTF-8": b'["\xe2\x82"]',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "control character": b'["\n"]',
    "NUL": b"[1]\x00",
    "bad escape": b'["\\x"]',
    "cut escape": b'["\\u12"]',
    "33 arrays": b"[" * 33 + b"]" * 33,
    "33 objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "deep and never closed": b"[" * 100_000,
    "deep behind a string": b'["' + b'\\"' * 50 + b'",' + b"[" * 40 + b"]" * 40 + b"]",
    "closers only": b"]" * 50,
    "a million values": b"[" + b"1," * 200_000 + b"1]",
    "a million empty arrays": b"[" + b"[]," * 120_000 + b"[]]",
    "word": b"undefined",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(ParseError):
        parse_json(REFUSED[name], max_bytes=LIMIT)


TAKEN: dict[str, tuple[bytes | str, Any]] = {
    "number": (b"1", 1),
    "null": (b" null ", None),
    "text": ('"é"', "é"),
    "escaped emoji": (b'["\\ud83d\\ude00"]', ["😀"]),
    "great integer": (b"[9007199254740993]", [2**53 + 1]),
    "integer of 309 digits": (b"[1" + b"0" * 308 + b"]", [10**308]),
    "small float": (b"[1e-400]", [0.0]),
    "32 arrays": (b"[" * 32 + b"]" * 32, json.loads("[" * 32 + "]" * 32)),
    "brackets in a text": (b'["' + b"[" * 1000 + b'"]', ["[" * 1000]),
    "commas in a text": (b'["' + b"," * 200_000 + b'"]', ["," * 200_000]),
    "escaped quotes before brackets": (b'["\\"' + b"[{" * 100 + b'\\\\"]', ['"' + "[{" * 100 + "\\"]),
    "same key in two objects": (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    "proto": (b'{"__proto__":1}', {"__proto__": 1}),
    "many siblings": (b"[" + b"[]," * 1000 + b"[]]", [[]] * 1001),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    text, value = TAKEN[name]
    assert parse_json(text, max_bytes=LIMIT) == value


@pytest.mark.parametrize("data", [b"[1234]", "[1234]", '["é"]'])
def test_size_counts_bytes_and_comes_first(data: bytes | str) -> None:
    size = len(data.encode() if isinstance(data, str) else data)
    assert parse_json(data, max_bytes=size)
    with pytest.raises(TooLarge):
        parse_json(data, max_bytes=size - 1)
    with pytest.raises(TooLarge):
        parse_json(b"\xff" * size, max_bytes=size - 1)


@pytest.mark.parametrize("depth", [1, 2, 5, 32])
def test_depth_is_exact(depth: int) -> None:
    inner = b"[" * depth + b"]" * depth
    assert parse_json(inner, max_bytes=LIMIT, max_depth=depth) is not None
    with pytest.raises(ParseError):
        parse_json(b'{"a":' + inner + b"}", max_bytes=LIMIT, max_depth=depth)


def test_depth_counts_levels_and_not_brackets() -> None:
    assert parse_json(b"[[],[],[],[]]", max_bytes=LIMIT, max_depth=2) == [[], [], [], []]


def test_count_is_bounded() -> None:
    assert parse_json(b"[1,2,3]", max_bytes=LIMIT, max_items=4) == [1, 2, 3]
    with pytest.raises(ParseError):
        parse_json(b"[1,2,3,4]", max_bytes=LIMIT, max_items=4)


@pytest.mark.parametrize("data", [b"[]", b"1", b'"a"', b"null"])
def test_parse_object_wants_an_object(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_object(data, max_bytes=LIMIT)
    assert parse_object(b'{"a":null}', max_bytes=LIMIT) == {"a": None}


def test_errors_do_not_repeat_the_input() -> None:
    with pytest.raises(ParseError) as caught:
        parse_json(b'{"secret-canary": tru}', max_bytes=LIMIT)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(ParseError) as caught:
        parse_json(b'{"canary":1,"canary":2}', max_bytes=LIMIT)
    assert "canary" not in str(caught.value)


def test_a_long_hostile_text_takes_little_memory() -> None:
    hostile = b"[" + b'"\\"\\",' * 400_000
    tracemalloc.start()
    try:
        with pytest.raises(ParseError):
            parse_json(hostile, max_bytes=len(hostile))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(hostile)
    finally:
        tracemalloc.stop()


def only_named_errors(data: bytes | str) -> None:
    with contextlib.suppress(ParseError, TooLarge):
        parse_json(data, max_bytes=LIMIT)


@given(st.binary(max_size=200))
def test_garbage_of_bytes(data: bytes) -> None:
    only_named_errors(data)


@given(st.text(st.characters(exclude_categories=[]), max_size=200))
def test_garbage_of_text(data: str) -> None:
    only_named_errors(data)


@given(st.text('[]{}",:\\ue123450dD8-+.EtrufalsnN \n', max_size=120))
def test_garbage_of_json_pieces(data: str) -> None:
    only_named_errors(data)


@given(st.text('[]{}",:\\u0d8 1e-', max_size=60))
def test_what_is_taken_is_what_the_standard_library_reads(data: str) -> None:
    try:
        value = parse_json(data, max_bytes=LIMIT)
    except (ParseError, TooLarge):
        return
    assert value == json.loads(data)


@pytest.mark.parametrize("depth", [101, 5_000, 200_000])
def test_no_depth_reaches_the_recursion_of_the_parser(depth: int) -> None:
    """Other packages raise the interpreter's recursion limit; ours must not depend on it."""
    with pytest.raises(ParseError):
        parse_json(b"[" * depth + b"]" * depth, max_bytes=LIMIT, max_depth=10**6, max_items=10**6)
