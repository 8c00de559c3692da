"""Canonical JSON against JavaScript itself: its own printer, safe-stable-stringify, and the reference's stringify."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dm3.canonical import Json, parse_json, sha256_hex, stringify
from gateway.dm3.js_number import js_number
from tests.support.node import JS_FOLDER, NodeScript
from tests.unit.dm3.vectors import load


@pytest.fixture(scope="module")
def oracle() -> Iterator[NodeScript]:
    script = NodeScript(JS_FOLDER / "dm3" / "canonical.cjs")
    yield script
    script.close()


# JavaScript takes "__proto__" in a literal for the prototype in some printers; no DM3 structure has such a key.
texts = st.text(max_size=10).filter(lambda text: text != "__proto__")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(values, min_size=1, max_size=8))
def test_random_values(oracle: NodeScript, batch: list[Json]) -> None:
    wire = [json.dumps(value) for value in batch]
    ours = [stringify(parse_json(text, max_bytes=2**20)) for text in wire]
    for text, answers in zip(ours, oracle.call("texts", texts=wire), strict=True):
        assert answers == [text, text, text, sha256_hex(text)]


KEYS = ["\uff5e", "\U0001f600", "\ue000", "\ud7ff", "\U0010ffff", "a", "Z", "é", "10", "9", "", "ß", "\u2028"]


@pytest.mark.parametrize("turn", range(20))
def test_key_order_by_utf16_code_unit(oracle: NodeScript, turn: int) -> None:
    keys = random.Random(turn).sample(KEYS, len(KEYS))
    value: Json = {key: index for index, key in enumerate(keys)}
    assert set(oracle.call("texts", texts=[json.dumps(value)])[0][:3]) == {stringify(value)}


def random_doubles(count: int) -> list[float]:
    """Every exponent alike, and the neighbourhoods of powers of ten where the format changes."""
    source = random.Random(20240920)
    doubles: list[float] = [struct.unpack(">d", source.randbytes(8))[0] for _ in range(count)]
    for exponent in range(-25, 25):
        for neighbour in (-2, -1, 0, 1, 2):
            value = 10.0**exponent
            for _ in range(abs(neighbour)):
                value = math.nextafter(value, math.inf if neighbour > 0 else 0.0)
            doubles += [value, -value]
    doubles += [source.uniform(-1e9, 1e9) for _ in range(count // 4)]
    doubles += [round(source.uniform(0, 1e6), source.randrange(8)) for _ in range(count // 4)]
    return doubles


def test_number_format_over_random_doubles(oracle: NodeScript) -> None:
    doubles = random_doubles(20_000)
    answers = oracle.call("numbers", bits=[struct.pack(">d", value).hex() for value in doubles])
    wrong = [(value, text) for value, text in zip(doubles, answers, strict=True) if js_number(value) != text]
    assert wrong == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(10**330), 10**330), min_size=1, max_size=20))
def test_great_integers_are_read_as_doubles(oracle: NodeScript, numbers: list[int]) -> None:
    answers = oracle.call("texts", texts=[str(number) for number in numbers])
    assert [answer[0] for answer in answers] == [js_number(number) for number in numbers]


def test_the_vectors_are_what_javascript_says(oracle: NodeScript) -> None:
    vectors: list[dict[str, Any]] = load("stringify")["vectors"]
    answers = oracle.call("expressions", expressions=[vector["inputs"]["javascript"] for vector in vectors])
    assert answers == [vector["expected"]["output"] for vector in vectors]
