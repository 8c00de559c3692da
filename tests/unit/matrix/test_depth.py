"""Nesting is found out before a parser sees it, and cut out without touching the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.depth import pruned, too_deep

values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}",\\ax', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[]{}"a', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def cut(value: Any, limit: int) -> Any:
    if isinstance(value, dict | list) and limit == 0:
        return None
    if isinstance(value, dict):
        return {key: cut(each, limit - 1) for key, each in value.items()}
    return [cut(each, limit - 1) for each in value] if isinstance(value, list) else value


@given(values, st.integers(1, 4))
def test_depth_is_found_and_cut_whatever_the_strings_hold(value: Any, limit: int) -> None:
    text = json.dumps(value).encode()
    assert too_deep(text, limit) == (depth_of(value) > limit)
    assert json.loads(pruned(text, limit)) == cut(value, limit)


@pytest.mark.parametrize("opened", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_a_million_levels_are_no_danger(opened: bytes, closed: bool) -> None:
    ends = opened.replace(b'"a":', b"").translate(bytes.maketrans(b"[{", b"]}"))[::-1]
    text = opened * 1_000_000 + b"1" + (ends * 1_000_000 if closed else b"")
    assert too_deep(text)
    if closed:
        assert depth_of(json.loads(pruned(text))) == 64
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(pruned(text))


@given(st.binary(max_size=60))
def test_any_bytes_are_looked_at(text: bytes) -> None:
    assert too_deep(text) is False
    assert pruned(text) == text
