"""Typed data (EIP-712): the digest of the specification's example, and the same as another implementation's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.typed_data import TypedData
from gateway.ids import EnsName
from gateway.subnames.orders import Action, Order

GW = EnsName("gw.eth")
ADDRESS = "0x" + "5a" * 20


def theirs(typed: TypedData) -> bytes:
    """The digest by eth-account, from the JSON that wallets get."""
    full = json.loads(json.dumps(typed.to_json()))
    return bytes(_hash_eip191_message(encode_typed_data(full_message=full)))


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(0, 2**63 - 1)


@given(
    action=st.sampled_from(Action),
    name=text,
    sequence=numbers,
    expires=numbers,
    records=st.dictionaries(text, text, max_size=5),
    to=st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    listed=st.booleans(),
    chain=st.integers(1, 2**53),
)
def test_every_order_has_the_digest_that_others_compute(chain: int, **fields: Any) -> None:
    typed = Order(**fields).typed_data(GW, chain)
    assert typed.digest() == theirs(typed)


PERSON = (("name", "string"), ("wallets", "address[]"), ("active", "bool"))
MAIL = (("from", "Person"), ("to", "Person[]"), ("contents", "string"), ("number", "uint256"))
MESSAGE = {
    "from": {"name": "Cow", "wallets": [ADDRESS, "0x" + "00" * 20], "active": True},
    "to": [{"name": "Bob", "wallets": [], "active": False}, {"name": "Ω", "wallets": [ADDRESS], "active": True}],
    "contents": "Hello, Bob!",
    "number": 2**256 - 1,
}


def test_structs_in_arrays_of_structs() -> None:
    typed = TypedData("Ether Mail", "1", 1, {"Mail": MAIL, "Person": PERSON}, "Mail", MESSAGE)
    assert typed.digest() == theirs(typed)


def test_types_that_are_referred_to_stand_in_order_of_their_names() -> None:
    types = {"A": (("z", "Z"), ("b", "B")), "B": (("z", "Z"),), "Z": (("n", "uint256"),)}
    message = {"z": {"n": 1}, "b": {"z": {"n": 2}}}
    typed = TypedData("x", "1", 1, types, "A", message)
    assert typed.digest() == theirs(typed)


@pytest.mark.parametrize("change", [{"name": "other"}, {"version": "2"}, {"chain_id": 2}, {"primary": "Person"}])
def test_the_domain_is_part_of_it(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "name": "x",
        "version": "1",
        "chain_id": 1,
        "types": {"Mail": (("contents", "string"),), "Person": (("contents", "string"),)},
        "primary": "Mail",
        "message": {"contents": "c"},
    }
    assert TypedData(**fields).digest() != TypedData(**fields | change).digest()


def test_types_that_we_do_not_need() -> None:
    with pytest.raises(ValueError, match="bytes32"):
        TypedData("x", "1", 1, {"A": (("b", "bytes32"),)}, "A", {"b": "0x00"}).digest()


def test_large_numbers_are_texts_for_wallets() -> None:
    order = Order(action=Action.RENEW, name=EnsName("bob.gw.eth"), sequence=2**60, expires=1)
    message = order.typed_data(GW, 1).to_json()["message"]
    assert message == {"name": "bob.gw.eth", "nonce": str(2**60), "expires": "1"}
