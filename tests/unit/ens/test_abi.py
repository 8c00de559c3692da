"""Our contract ABI against a general codec, and its bounds against hostile offsets."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens import abi
from gateway.errors import InvalidInput

BIG = 2**20


@given(st.binary(max_size=100), st.integers(0, 2**64 - 1), st.binary(max_size=70))
def test_pack_agrees_with_a_general_codec(first: bytes, number: int, last: bytes) -> None:
    packed = abi.pack(abi.dynamic_bytes(first), abi.word(number), abi.dynamic_bytes(last))
    assert packed == encode(["bytes", "uint64", "bytes"], [first, number, last])


@given(st.lists(st.binary(max_size=70), max_size=6), st.binary(min_size=20, max_size=20))
def test_arrays_agree_with_a_general_codec(items: list[bytes], address: bytes) -> None:
    packed = abi.pack(abi.address_word(address), abi.dynamic_array(items))
    assert packed == encode(["address", "bytes[]"], [address, items])
    assert decode(["address", "bytes[]"], packed) == ("0x" + address.hex(), tuple(items))
    assert abi.read_address(packed, 0) == address
    assert abi.read_bytes_array(packed, 1, max_items=6, max_bytes=BIG) == tuple(items)


@given(st.binary(max_size=100), st.integers(0, 2**256 - 1), st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_reading_what_a_general_codec_wrote(data: bytes, number: int, text: str) -> None:
    packed = encode(["bytes", "uint256", "string"], [data, number, text])
    assert abi.read_bytes(packed, 0, max_bytes=100) == data
    assert abi.read_uint(packed, 1) == number
    assert abi.read_string(packed, 2, max_bytes=200) == text


@given(st.binary(max_size=400), st.integers(0, 5))
def test_any_data_is_read_or_refused(data: bytes, index: int) -> None:
    for read in (
        lambda: abi.read_word(data, index),
        lambda: abi.read_bytes(data, index, max_bytes=BIG),
        lambda: abi.read_string(data, index, max_bytes=BIG),
        lambda: abi.read_bytes_array(data, index, max_items=8, max_bytes=BIG),
    ):
        try:
            read()
        except InvalidInput:
            continue


def test_a_value_may_lack_its_padding() -> None:
    assert abi.read_bytes(abi.word(32) + abi.word(3) + b"abc", 0, max_bytes=3) == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(31),
        abi.word(32),  # points behind the data
        abi.word(2**255) + bytes(64),
        abi.word(32) + abi.word(4) + b"abc",
        abi.word(32) + abi.word(2**255) + b"abc",
        abi.word(33) + bytes(32),
        abi.word(32) + abi.word(11) + b"longer than 10",
    ],
)
def test_bytes_out_of_bounds(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        abi.read_bytes(data, 0, max_bytes=10)


@pytest.mark.parametrize(
    "data",
    [
        abi.word(2**255),
        abi.word(32),
        abi.word(32) + abi.word(5) + bytes(32 * 10),  # more items than allowed
        abi.word(32) + abi.word(2**255),
        abi.word(32) + abi.word(2) + abi.word(64) + abi.word(2**40),
        abi.word(32) + abi.word(4) + abi.word(128) * 4 + abi.word(6) + b"shared",  # 4 x 6 bytes from shared offsets
    ],
)
def test_arrays_out_of_bounds(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        abi.read_bytes_array(data, 0, max_items=4, max_bytes=20)


def test_shared_offsets_are_read_while_they_fit() -> None:
    data = abi.word(32) + abi.word(3) + abi.word(96) * 3 + abi.word(6) + b"shared"
    assert abi.read_bytes_array(data, 0, max_items=4, max_bytes=20) == (b"shared",) * 3


def test_addresses_and_texts_that_are_none() -> None:
    with pytest.raises(InvalidInput):
        abi.read_address(b"\x01" + bytes(31), 0)
    with pytest.raises(InvalidInput):
        abi.read_string(abi.pack(abi.dynamic_bytes(b"\xff")), 0, max_bytes=10)
