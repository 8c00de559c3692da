"""A registry is asked for what the call is answered from, and for nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resolver.calls import AddrCall, Call, CoinCall, ContenthashCall, Multicall, TextCall, UnsupportedCall
from gateway.resolver.records import DEFAULT_EVM, NameRecords, answer_call
from gateway.resolver.registries.wanted import Wanted, readable, wanted_of

NODE = b"\x01" * 32
BASE = DEFAULT_EVM | 8453

coins = st.sampled_from([0, 60, 2, DEFAULT_EVM, BASE, DEFAULT_EVM | 10, 2**32, 2**255])
keys = st.sampled_from(["url", "avatar", "ключ", ""])
leaves = st.one_of(
    st.just(AddrCall(NODE)),
    st.builds(CoinCall, st.just(NODE), coins),
    st.builds(TextCall, st.just(NODE), keys),
    st.just(ContenthashCall(NODE)),
    st.just(UnsupportedCall(b"abcd")),
)
calls = st.recursive(leaves, lambda inner: st.builds(Multicall, st.lists(inner, max_size=4).map(tuple)), max_leaves=12)


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (AddrCall(NODE), Wanted(coins=frozenset({60, DEFAULT_EVM}))),
        (CoinCall(NODE, 0), Wanted(coins=frozenset({0}))),
        (CoinCall(NODE, BASE), Wanted(coins=frozenset({BASE, DEFAULT_EVM}))),
        (TextCall(NODE, "url"), Wanted(texts=frozenset({"url"}))),
        (ContenthashCall(NODE), Wanted(contenthash=True)),
        (UnsupportedCall(b"abcd"), Wanted()),
        (
            Multicall((TextCall(NODE, "a"), Multicall((TextCall(NODE, "b"), ContenthashCall(NODE))))),
            Wanted(texts=frozenset({"a", "b"}), contenthash=True),
        ),
    ],
)
def test_table(call: Call, wanted: Wanted) -> None:
    assert wanted_of(call) == wanted


@given(
    calls,
    st.dictionaries(coins, st.binary(min_size=1, max_size=20)),
    st.dictionaries(keys, st.text(max_size=5)),
    st.none() | st.binary(max_size=5),
)
def test_the_wanted_records_alone_give_the_same_answer(
    call: Call, held: dict[int, bytes], texts: dict[str, str], contenthash: bytes | None
) -> None:
    wanted = wanted_of(call)
    everything = NameRecords(coins=held, texts=texts, contenthash=contenthash)
    part = NameRecords(
        coins={coin: value for coin, value in held.items() if coin in wanted.coins},
        texts={key: value for key, value in texts.items() if key in wanted.texts},
        contenthash=contenthash if wanted.contenthash else None,
    )
    assert answer_call(call, NODE, part) == answer_call(call, NODE, everything)


@dataclass(frozen=True, slots=True)
class LaterCall:
    """A kind of record that registries are not asked for."""

    node: bytes


def test_what_is_not_asked_for_is_unsupported_and_not_empty() -> None:
    later: Call = LaterCall(NODE)  # type: ignore[assignment]
    url = TextCall(NODE, "url")
    assert wanted_of(Multicall((later, url))) == wanted_of(url)
    told = readable(Multicall((later, Multicall((url, later)))))
    assert told == Multicall((UnsupportedCall(b""), Multicall((url, UnsupportedCall(b"")))))
    records = NameRecords(texts={"url": "x"})
    assert answer_call(told, NODE, records) == answer_call(
        Multicall((UnsupportedCall(b"abcd"), Multicall((url, UnsupportedCall(b"abcd"))))), NODE, records
    )


@given(calls)
def test_what_is_asked_for_is_answered_as_it_was(call: Call) -> None:
    records = NameRecords(address=b"\x01" * 20, texts={"url": "x"}, contenthash=b"\x02")
    assert answer_call(readable(call), NODE, records) == answer_call(call, NODE, records)
