"""Records as lines of text: both ways, every kind, and everything that is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.store.names import NameRow
from gateway.subnames.records import MAX_BYTES, MAX_KEY, MAX_RECORDS, records_of, with_records, without_records

EMPTY = NameRow(
    name=EnsName("bob.gw.eth"),
    node=b"n" * 32,
    owner=None,
    address=None,
    coins={},
    texts={},
    contenthash=None,
    created_at=0,
    updated_at=0,
)
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
LINES = {
    "addr": ADDRESS,
    "coin:0": "0x76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
    "coin:2147483648": ADDRESS.lower(),
    "text:network.dm3.profile": "data:application/json,{}",
    "text:Ω:with:colons": "Ω\n",
    "contenthash": "0xe301",
    "pubkey": "0x" + "ab" * 64,
    "abi:1": "0x5b5d",
    "abi:4": "0xa0",
    "interface:0x01ffc9a7": ADDRESS,
    "data:x": "0x00",
}


def test_every_kind_both_ways() -> None:
    row = with_records(EMPTY, LINES)
    assert records_of(row) == LINES
    assert list(records_of(row)) == [
        "addr",
        "coin:0",
        "coin:2147483648",
        "text:network.dm3.profile",
        "text:Ω:with:colons",
        "contenthash",
        "pubkey",
        "abi:1",
        "abi:4",
        "interface:0x01ffc9a7",
        "data:x",
    ]
    assert (row.address, row.coins[0][:3]) == (bytes.fromhex(ADDRESS[2:]), b"\x76\xa9\x14")
    assert row.interfaces == {"01ffc9a7": row.address}


@pytest.mark.parametrize("key", LINES)
def test_an_empty_value_removes_one_record_and_no_other(key: str) -> None:
    row = with_records(with_records(EMPTY, LINES), {key: ""})
    assert records_of(row) == {other: LINES[other] for other in LINES if other != key}
    assert with_records(row, {key: ""}) == row


def test_a_change_leaves_the_others() -> None:
    row = with_records(with_records(EMPTY, LINES), {"text:url": "https://x", "addr": "0x" + "00" * 19 + "01"})
    assert records_of(row) == LINES | {"text:url": "https://x", "addr": "0x" + "00" * 19 + "01"}


def test_without_records() -> None:
    assert without_records(with_records(EMPTY, LINES)) == EMPTY


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "x"),
        ("name", "x"),
        ("addr:60", ADDRESS),
        ("addr", "0x00"),
        ("addr", ADDRESS[:-1] + "D"),
        ("addr", "bob.eth"),
        ("coin", "0x00"),
        ("coin:", "0x00"),
        ("coin:60", ADDRESS),
        ("coin:00", "0x00"),
        ("coin:-1", "0x00"),
        ("coin:1_0", "0x00"),
        ("coin:٣", "0x00"),
        ("coin:" + str(2**256), "0x00"),
        ("coin:" + "9" * 100, "0x00"),
        ("coin:0", "0x"),
        ("coin:0", "00"),
        ("coin:0", "0x0"),
        ("coin:0", "0x 00"),
        ("coin:0", "0xgg"),
        ("coin:2147483648", "0x00"),
        ("coin:2147492101", "0x" + "00" * 21),
        ("text:", "x"),
        ("text", "x"),
        ("text:" + "k" * (MAX_KEY + 1), "x"),
        ("text:k", "a\0b"),
        ("text:a\0b", "x"),
        ("text:k", "\ud800"),
        ("text:\ud800", "x"),
        ("contenthash", "ipfs://x"),
        ("pubkey", "0x" + "00" * 63),
        ("pubkey", "0x" + "00" * 65),
        ("abi:0", "0x00"),
        ("abi:3", "0x00"),
        ("abi:" + str(2**256), "0x00"),
        ("interface:01ffc9a7", ADDRESS),
        ("interface:0x01FFC9A7", ADDRESS),
        ("interface:0x01ffc9a7", "0x00"),
        ("data:", "0x00"),
        ("data:k", "text"),
    ],
)
def test_what_is_no_record(key: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        with_records(EMPTY, {key: value})


def test_the_error_names_the_key() -> None:
    with pytest.raises(InvalidInput, match=r"record 'coin:60': coin type 60 is written addr"):
        with_records(EMPTY, {"coin:60": ADDRESS})


def test_bounds_are_of_the_name_and_not_of_the_change() -> None:
    full = with_records(EMPTY, {f"text:{number}": "x" for number in range(MAX_RECORDS)})
    with pytest.raises(InvalidInput, match="more than 128 records"):
        with_records(full, {"text:one more": "x"})
    assert with_records(full, {"text:one more": "x", "text:1": ""})
    room = MAX_BYTES - len("text:k")
    assert with_records(EMPTY, {"text:k": "x" * room})
    with pytest.raises(InvalidInput, match="bytes"):
        with_records(EMPTY, {"text:k": "x" * (room + 1)})


@given(st.dictionaries(st.text(max_size=40), st.text(max_size=60), max_size=5))
def test_whatever_is_given_is_taken_or_refused(lines: Any) -> None:
    try:
        row = with_records(EMPTY, lines)
    except InvalidInput:
        return
    assert with_records(EMPTY, records_of(row)) == row


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)


@given(st.dictionaries(keys, values, max_size=20))
def test_any_text_comes_back(texts: dict[str, str]) -> None:
    row = with_records(EMPTY, {f"text:{key}": value for key, value in texts.items()})
    assert row.texts == texts
    assert records_of(row) == {f"text:{key}": texts[key] for key in sorted(texts)}
