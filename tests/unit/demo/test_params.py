"""Parameters of Ethereum JSON-RPC: what is read, and that all else is InvalidParams."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.chain import params, render
from gateway.demo.chain.execution import ZERO_ADDRESS, Call
from gateway.errors import InvalidParams

ADDRESS = "0x" + "aB" * 20
HASH = "0x" + "12" * 32


@pytest.mark.parametrize(("given_value", "expected"), [("0x0", 0), ("0x10", 16), ("0x00ff", 255), (7, 7)])
def test_quantity(given_value: Any, expected: int) -> None:
    assert params.quantity(given_value) == expected


@pytest.mark.parametrize(
    "given_value",
    [None, True, -1, 1.5, "", "0x", "10", "0xg", "0x" + "f" * 65, "0x1 ", " 0x1", "0x1\n", [], {}, 2**256],
)
def test_quantity_refuses(given_value: Any) -> None:
    with pytest.raises(InvalidParams):
        params.quantity(given_value)


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_quantity_reads_what_is_rendered(value: int) -> None:
    assert params.quantity(render.quantity(value)) == value


@given(st.binary(max_size=200))
def test_data_reads_what_is_rendered(value: bytes) -> None:
    assert params.data(render.data(value)) == value


@pytest.mark.parametrize("given_value", [None, 1, "", "0x1", "00", "0x0g", "0x 0", "0x00\n", b"0x00", ["0x00"]])
def test_data_refuses(given_value: Any) -> None:
    with pytest.raises(InvalidParams):
        params.data(given_value)


def test_address_is_lower_cased() -> None:
    assert params.address(ADDRESS) == ADDRESS.lower()


@pytest.mark.parametrize("given_value", ["0x" + "00" * 19, "0x" + "00" * 21, "vitalik.eth", None])
def test_address_refuses(given_value: Any) -> None:
    with pytest.raises(InvalidParams):
        params.address(given_value)


@pytest.mark.parametrize("tag", [None, "latest", "pending", "safe", "finalized", {}, {"blockNumber": "latest"}])
def test_tags_of_the_newest_block(tag: Any) -> None:
    assert params.block_ref(tag) is None


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ("earliest", 0),
        ("0x5", 5),
        (5, 5),
        (HASH, bytes.fromhex(HASH[2:])),
        ({"blockNumber": "0x5"}, 5),
        ({"blockHash": HASH, "requireCanonical": True}, bytes.fromhex(HASH[2:])),
    ],
)
def test_block_by_number_and_hash(given_value: Any, expected: int | bytes) -> None:
    assert params.block_ref(given_value) == expected


@pytest.mark.parametrize(
    "given_value", ["newest", "", "0x", HASH + "00", {"blockHash": "0x12"}, [], 1.5, True, {"blockNumber": []}]
)
def test_block_refuses(given_value: Any) -> None:
    with pytest.raises(InvalidParams):
        params.block_ref(given_value)


def test_call_with_nothing_but_a_target() -> None:
    assert params.call({"to": ADDRESS}) == Call(to=bytes.fromhex("ab" * 20), sender=ZERO_ADDRESS)


def test_call_with_everything() -> None:
    call = params.call(
        {"from": ADDRESS, "to": None, "data": "0x01", "value": "0x2", "gas": "0x3", "gasPrice": "0x4", "nonce": "0x5"}
    )
    assert call == Call(to=None, data=b"\1", sender=bytes.fromhex("ab" * 20), value=2, gas=3)


def test_input_wins_over_data() -> None:
    assert params.call({"input": "0x01", "data": "0x02"}).data == b"\1"


@pytest.mark.parametrize(
    "given_value", [None, [], "0x", {"to": "0x"}, {"to": 5}, {"data": "xyz"}, {"gas": -1}, {"from": ""}]
)
def test_call_refuses(given_value: Any) -> None:
    with pytest.raises(InvalidParams):
        params.call(given_value)


def test_missing_parameter_is_numbered() -> None:
    with pytest.raises(InvalidParams, match="argument 1"):
        params.required(["0x1"], 1)


def test_overrides_are_refused_rather_than_ignored() -> None:
    params.no_overrides({})
    with pytest.raises(InvalidParams, match="overrides"):
        params.no_overrides({ADDRESS: {"balance": "0x1"}})


@pytest.mark.parametrize("given_value", [0, 1, "true", [], {}])
def test_flag_refuses(given_value: Any) -> None:
    with pytest.raises(InvalidParams):
        params.flag(given_value)
