"""JavaScript's number format: tables from ECMA-262 and properties of the shortest form."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.js_number import js_number

TABLE: list[tuple[int | float, str]] = [
    (0, "0"),
    (0.0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (-1, "-1"),
    (1.5, "1.5"),
    (100.0, "100"),
    (0.1, "0.1"),
    (0.000001, "0.000001"),
    (0.0000001, "1e-7"),
    (1.5e-7, "1.5e-7"),
    (123e-20, "1.23e-18"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (1.2e21, "1.2e+21"),
    (123456789012345680000.0, "123456789012345680000"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (5e-324, "5e-324"),
    (2.2250738585072014e-308, "2.2250738585072014e-308"),
    (4.35, "4.35"),
    (0.1 + 0.2, "0.30000000000000004"),
    (-1e-7, "-1e-7"),
    (1 / 3, "0.3333333333333333"),
    (2**53, "9007199254740992"),
    (2**53 + 1, "9007199254740992"),
    (2**53 + 2, "9007199254740994"),
    (-(2**53) - 1, "-9007199254740992"),
    (10**22, "1e+22"),
    (1727000000123, "1727000000123"),
    (1727000000123.0, "1727000000123"),
    (10**400, "null"),
    (math.nan, "null"),
    (math.inf, "null"),
    (-math.inf, "null"),
]


@pytest.mark.parametrize(("value", "text"), TABLE)
def test_table(value: int | float, text: str) -> None:
    assert js_number(value) == text


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_reads_back_as_the_same_double(value: float) -> None:
    assert float(js_number(value)) == value


@given(st.integers(0, 2**64 - 1))
def test_every_bit_pattern_has_a_text(bits: int) -> None:
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    text = js_number(value)
    assert (text == "null") == (not math.isfinite(value))


@given(finite)
def test_shape(value: float) -> None:
    text = js_number(value).removeprefix("-")
    mantissa, _, exponent = text.partition("e")
    assert not mantissa.endswith(".")
    assert not ("." in mantissa and mantissa.endswith("0"))
    assert mantissa == "0" or mantissa.startswith("0.") or not mantissa.startswith("0")
    if exponent:
        assert exponent[0] in "+-"
        assert not 10**-6 <= abs(value) < 10**21
    elif value:
        assert 10**-6 <= abs(value) < 10**21


@given(st.integers(-(2**53), 2**53))
def test_exact_integers_are_plain(value: int) -> None:
    assert js_number(value) == str(value)
    assert js_number(float(value)) == str(value)


@given(st.integers(-(10**400), 10**400))
def test_greater_integers_are_those_of_their_double(value: int) -> None:
    try:
        rounded = float(value)
    except OverflowError:
        assert js_number(value) == "null"
    else:
        assert js_number(value) == js_number(rounded)
