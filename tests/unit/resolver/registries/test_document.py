"""What a document says, and that nothing but the registry's own signature is believed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRegistryAnswer
from gateway.ids import EnsName
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.document import MAX_DOCUMENT, read_document
from gateway.resolver.registries.registry import Reading
from tests.unit.resolver.registries.documents import NOW, REGISTRY, STRANGER, body, document

ALICE = EnsName("alice.gno.eth")
SIGNERS = (STRANGER.address, REGISTRY.address)


def read(data: bytes, *, now: int = NOW) -> Reading:
    return read_document(data, ALICE, now, (REGISTRY.address,))


def test_all_kinds_of_records() -> None:
    assert read(body()) == Reading(
        NameRecords(
            address=b"\x12" * 20,
            coins={0: b"\x00\x14" + b"\xab" * 20},
            texts={"url": "https://example.org", "ключ": "значение 💩"},
            contenthash=b"\xe3\x01",
        ),
        NOW + 3_600_000,
    )


def test_each_record_may_be_missing_and_a_name_can_be_denied() -> None:
    assert read(body(records={})).records == NameRecords()
    assert read(body(records=None)).records is None


def test_it_ends_with_its_ttl_or_its_expiry_whatever_is_sooner() -> None:
    assert read(body(ttl=60)).expires == NOW + 60_000
    assert read(body(ttl=60, expires=NOW // 1000 + 5)).expires == NOW + 5_000


def test_blanks_and_order_do_not_matter_and_unknown_members_are_signed_too() -> None:
    whole = document(more={"a": 1.5})
    shuffled = json.dumps(dict(reversed(list(whole.items()))), indent=3, ensure_ascii=True).encode()
    assert read(shuffled).records == read(body()).records
    whole["more"] = {"a": 2}
    with pytest.raises(BadRegistryAnswer, match="signed"):
        read(json.dumps(whole).encode())


def test_the_signature_is_one_that_wallets_make() -> None:
    """By another implementation of personal_sign, over a text written by hand."""
    text = (
        'dm3-gateway registry document v1\n{"expires":1800003600,"name":"alice.gno.eth",'
        '"records":{"texts":{"ключ":"💩"}},"ttl":60}'
    )
    signature = Account.sign_message(encode_defunct(text=text), REGISTRY.key).signature.hex()
    unsigned = json.loads(text.partition("\n")[2])
    found = read(json.dumps(unsigned | {"signature": "0x" + signature.removeprefix("0x")}).encode())
    assert found == Reading(NameRecords(texts={"ключ": "💩"}), NOW + 60_000)


def test_several_keys_may_sign_so_that_they_can_be_changed() -> None:
    for key in (REGISTRY.key, STRANGER.key):
        assert read_document(body(key=key), ALICE, NOW, SIGNERS).records is not None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (body(key=STRANGER.key), "not signed by the registry"),
        (json.dumps({key: value for key, value in document().items() if key != "signature"}).encode(), "not signed"),
        (json.dumps(document() | {"signature": "0x" + "00" * 65}).encode(), "not signed"),
        (json.dumps(document() | {"signature": 5}).encode(), "not signed"),
        (json.dumps(document() | {"records": None}).encode(), "not signed"),
        (json.dumps(document() | {"expires": NOW}).encode(), "not signed"),
        (json.dumps(document() | {"ttl": 10_000}).encode(), "not signed"),
        (body("bob.gno.eth"), "another name"),
        (body(name="Alice.gno.eth"), "another name"),
        (body(expires=NOW // 1000), "run out"),
        (body(expires=NOW // 1000 - 1), "run out"),
        (body(expires=...), "expires"),
        (body(expires="1900000000"), "expires"),
        (body(expires=True), "expires"),
        (body(expires=1.5), "expires"),
        (body(expires=2**60), "expires"),
        (body(ttl=0), "ttl"),
        (body(ttl=-5), "ttl"),
        (body(records=...), "not even null"),
        (body(records=[]), "no object"),
        (body(records={"addr": "0x12"}), "20 bytes"),
        (body(records={"addr": None}), "not hex"),
        (body(records={"addr": "12" * 20}), "not hex"),
        (body(records={"coins": {"0x0": "0x"}}), "no number"),
        (body(records={"coins": {"007": "0x"}}), "no number"),
        (body(records={"coins": {"0": "0x1"}}), "not hex"),
        (body(records={"texts": {"url": 5}}), "text"),
        (body(records={"contenthash": []}), "not hex"),
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[]", "object"),
        (b'{"name": "a", "name": "b"}', "document"),
        (body(records={"texts": {"x": "y" * MAX_DOCUMENT}}), "bytes"),
        (body(records={"texts": {str(number): "" for number in range(600)}}), "document"),
        (b"[" * 1000, "document"),
    ],
)
def test_what_is_not_believed(data: bytes, reason: str) -> None:
    with pytest.raises(BadRegistryAnswer) as caught:
        read(data)
    assert reason in caught.value.detail


@given(st.data())
def test_a_changed_byte_is_never_believed_to_say_something_else(data: Any) -> None:
    whole = bytearray(body())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(whole))
    except BadRegistryAnswer:
        return
    assert found == read(body())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_bring_another_error(data: bytes) -> None:
    with pytest.raises(BadRegistryAnswer):
        read(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
)
def test_no_signed_records_bring_another_error(records: Any) -> None:
    with suppress(BadRegistryAnswer):
        assert isinstance(read(body(records=records)), Reading)
