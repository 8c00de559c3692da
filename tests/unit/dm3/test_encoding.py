"""Base64, hex and hash texts: one value, one text."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.encoding import from_base64, from_hex, hash_text, to_base64, to_hex
from gateway.errors import InvalidInput


@given(st.binary(max_size=200))
def test_base64_round_trip(data: bytes) -> None:
    assert from_base64(to_base64(data), "x") == data
    assert from_base64(to_base64(data), "x", length=len(data)) == data


@given(st.binary(max_size=80))
def test_hex_round_trip(data: bytes) -> None:
    assert from_hex(to_hex(data), "x", length=len(data)) == data
    assert from_hex(data.hex().upper(), "x", length=len(data), prefix_required=False) == data


@pytest.mark.parametrize(
    "text",
    [
        "AB==",
        "AAF=",
        "A",
        "AA",
        "AAA",
        "AA=",
        "AAAA=",
        "A A=",
        "AA==\n",
        "AA-_",
        "%%%",
        "ÄÄ==",
        "====",
        None,
        1,
        b"AA==",
    ],
)
def test_base64_refuses(text: object) -> None:
    with pytest.raises(InvalidInput, match="the field"):
        from_base64(text, "the field")


@given(st.text(alphabet="ABab01+/=- \n", max_size=12))
def test_only_what_encodes_back_is_taken(text: str) -> None:
    try:
        data = from_base64(text, "x")
    except InvalidInput:
        return
    assert base64.b64encode(data).decode() == text


@pytest.mark.parametrize("length", [31, 33, 0, 30])
def test_base64_length(length: int) -> None:
    with pytest.raises(InvalidInput):
        from_base64(to_base64(bytes(32)), "key", length=length)


@pytest.mark.parametrize("text", ["0x", "0x0", "0xzz", "0x 0", "00", "0X00", "0x000", "0x١١", "0x0_", None, 7])
def test_hex_refuses(text: object) -> None:
    with pytest.raises(InvalidInput, match="the field"):
        from_hex(text, "the field", length=1)


@pytest.mark.parametrize("text", ["0x" + "aB" * 32, "Ab" * 32, "0x" + "AB" * 32])
def test_hash_has_one_spelling(text: str) -> None:
    assert hash_text(text, "h") == "0x" + "ab" * 32


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "ab" * 31, "0x" + "ab" * 33, "0x" + "gg" * 32, "ab" * 32 + "\n", None]
)
def test_hash_refuses(text: object) -> None:
    with pytest.raises(InvalidInput):
        hash_text(text, "h")
