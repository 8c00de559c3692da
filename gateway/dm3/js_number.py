"""Numbers as JavaScript writes them (ECMA-262, Number::toString), which signatures are made over."""

from __future__ import annotations

import math
from typing import Final

_EXACT: Final = 2**53
"""Up to here every integer is a double of its own; beyond, JavaScript has already rounded what it read."""


def js_number(value: int | float) -> str:
    """The text of a JSON number after JavaScript has read it as a double; ``null`` for NaN and infinities."""
    if isinstance(value, int):
        if -_EXACT <= value <= _EXACT:
            return str(value)
        try:
            value = float(value)
        except OverflowError:
            return "null"
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, point = _shortest(abs(value))
    return sign + _layout(digits, point)


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits d1..dk that read back as ``value`` = 0.d1..dk x 10^point; repr() finds the same digits."""
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    return stripped.rstrip("0"), point


def _layout(digits: str, point: int) -> str:
    """ECMA-262 Number::toString, radix 10, steps 6 to 12: k = len(digits), n = point."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
