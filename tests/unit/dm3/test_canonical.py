"""Canonical JSON: vectors of safe-stable-stringify, an independent Python oracle, and properties."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import Json, members, object_of, parse_json, sha256_hex, stringify
from tests.unit.dm3.vectors import ids, load

VECTORS = load("stringify")["vectors"]

VALUES: dict[str, Any] = {
    "key_order": {"b": 2, "a": 1, "10": 3, "9": 4, "A": 5, "": 6, "ä": 7, "é": 8, "Z": 9},
    "nested": {"z": {"y": [{"b": 1, "a": 2}, 3, None]}, "a": {}},
    "undefined_dropped": {"b": None, "c": [None, 1]},
    "numbers": [
        *(0, -0.0, 1.0, 1e21, 1e-7, 123456789012345680000, 0.1, 1.7976931348623157e308),
        *(math.nan, math.inf, 9007199254740993),
    ],
    "unicode": {"s": 'Grüße 👋 \u2028\u2029 \ud800 \u0000\u001f " \\ / <>'},
    "string": 'plain "quoted"',
    "booleans_arrays": [True, False, None, [], {}],
    "date": {"d": "1970-01-01T00:00:00.000Z"},
    "bigint": {"n": 10},
    "function_symbol": {"g": 1},
    "tojson": {"x": {"b": 1, "a": 2}},
    "circular": {"a": 1, "self": "[Circular]"},
    "empty_attachments": {"attachments": [], "metadata": {}},
    "emoji_keys": {"👋": 1, "a": 2, "ﬀ": 3},
    "surrogate_order": {"\uff5e": 1, "\U0001f600": 2},
}
"""What each expression of the vectors is once JavaScript has turned it into JSON."""

texts = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.parametrize("vector", VECTORS, ids=ids(VECTORS))
def test_reference_vectors(vector: dict[str, Any]) -> None:
    text = stringify(VALUES[vector["id"]])
    assert text == vector["expected"]["output"]
    assert len(text.encode("utf-8")) == vector["expected"]["utf8Bytes"]
    assert sha256_hex(text) == vector["expected"]["sha256"]


@given(st.dictionaries(texts, json_values, max_size=6))
def test_an_object_is_its_members(value: dict[str, Any]) -> None:
    found = members(value)
    assert object_of(found.values()) == stringify(value)
    assert found.keys() == value.keys()
    assert all(object_of([text]) == stringify({key: value[key]}) for key, text in found.items())


def test_every_vector_has_its_value() -> None:
    assert set(VALUES) == {vector["id"] for vector in VECTORS}


def utf16_units(text: str) -> list[int]:
    """Code units by the arithmetic of RFC 2781, not by a codec."""
    units: list[int] = []
    for character in text:
        code = ord(character)
        units += [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)]
    return units


def by_unit(left: str, right: str) -> int:
    a, b = utf16_units(left), utf16_units(right)
    return (a > b) - (a < b)


def oracle(value: Json) -> str:
    """Canonical JSON once more, character by character; numbers only as integers."""
    if isinstance(value, str):
        return '"' + "".join(oracle_character(character) for character in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(oracle, value)) + "]"
    if isinstance(value, dict):
        keys = sorted(value, key=functools.cmp_to_key(by_unit))
        return "{" + ",".join(f"{oracle(key)}:{oracle(value[key])}" for key in keys) + "}"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def oracle_character(character: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if character in short:
        return short[character]
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or 0xD800 <= code <= 0xDFFF else character


integer_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=6),
    max_leaves=16,
)


@given(integer_values)
def test_agrees_with_an_independent_oracle(value: Json) -> None:
    assert stringify(value) == oracle(value)


@given(json_values)
def test_reading_the_text_back_and_writing_it_again_changes_nothing(value: Json) -> None:
    text = stringify(value)
    assert stringify(parse_json(text, max_bytes=2**20)) == text


@given(st.dictionaries(texts, st.integers(0, 9), min_size=2, max_size=6))
def test_order_of_insertion_does_not_matter(value: dict[str, Json]) -> None:
    turned: Json = {key: value[key] for key in reversed(value)}
    assert stringify(turned) == stringify(value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["\U0001f600", "\uff5e"], '{"😀":0,"～":0}'),
        (["\ue000", "\U0010ffff"], '{"\U0010ffff":0,"\ue000":0}'),
        (["\ud7ff", "\U00010000"], '{"\ud7ff":0,"\U00010000":0}'),
        (["aa", "a", "b", ""], '{"":0,"a":0,"aa":0,"b":0}'),
        (["é", "z", "E"], '{"E":0,"z":0,"é":0}'),
    ],
)
def test_keys_sort_by_utf16_code_unit(keys: list[str], expected: str) -> None:
    assert stringify(dict.fromkeys(keys, 0)) == expected


def test_python_order_would_be_wrong() -> None:
    keys = ["\uff5e", "\U0001f600"]
    assert sorted(keys) != sorted(keys, key=functools.cmp_to_key(by_unit))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ud800", '"\\ud800"'),
        ("a\udfffb", '"a\\udfffb"'),
        ("\ud83d\ude00", '"😀"'),
        ("\ude00\ud83d", '"\\ude00\\ud83d"'),
        ("\ud83d\ud83d\ude00", '"\\ud83d😀"'),
        ("\x7f", '"\x7f"'),
        ("\u2028", '"\u2028"'),
    ],
)
def test_halves_of_surrogates_are_escaped_and_pairs_joined(text: str, expected: str) -> None:
    assert stringify(text) == expected


@pytest.mark.parametrize(("value", "text"), [({}, "{}"), ([], "[]"), ({"a": []}, '{"a":[]}'), ([{}, []], "[{},[]]")])
def test_empty_containers(value: Json, text: str) -> None:
    assert stringify(value) == text


def test_sha256_of_known_text() -> None:
    assert sha256_hex("abc") == "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_sha256_is_over_utf8() -> None:
    assert sha256_hex("é") != sha256_hex("e\u0301")
