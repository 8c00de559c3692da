"""format=flowed: the rules of RFC 3676, one by one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.flowed import unflow


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("one \ntwo \nthree", "one two three"),
        ("fixed\nlines", "fixed\nlines"),
        ("paragraph \nends.\n\nnext \none", "paragraph ends.\n\nnext one"),
        (" stuffed", "stuffed"),
        ("  two blanks", " two blanks"),
        (" >no quote", ">no quote"),
        (" From here", "From here"),
        ("> quoted \n> on", "> quoted on"),
        ("> quoted \nmine", "> quoted\nmine"),
        (">> deep \n> less", ">> deep\n> less"),
        (">>deep \n>>more", ">> deep more"),
        (">\n> x", ">\n> x"),
        ("text \n-- \nBob", "text \n-- \nBob"),
        ("-- \nBob \nSmith", "-- \nBob Smith"),
        ("> -- \n> Bob", "> --\n> Bob"),
        ("last line ends \n", "last line ends "),
        ("", ""),
        (" ", ""),
    ],
)
def test_lines_are_joined(text: str, joined: str) -> None:
    assert unflow(text, delsp=False) == joined


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("half \nword", "halfword"),
        ("two  \nwords", "two words"),
        ("日本 \n語", "日本語"),
        ("-- \nBob", "-- \nBob"),
        ("> a \n> b", "> ab"),
    ],
)
def test_delsp(text: str, joined: str) -> None:
    assert unflow(text, delsp=True) == joined


@given(st.text(alphabet="ab >\n-", max_size=200), st.booleans())
def test_no_letter_is_lost(text: str, delsp: bool) -> None:
    kept = [char for char in unflow(text, delsp=delsp) if char not in " \n>"]
    assert kept == [char for char in text if char not in " \n>"]


@pytest.mark.parametrize("piece", ["a \n", "\n", ">" * 100 + " \n", "-- \n", ">\n> a \n", " " * 1_000])
def test_time_is_linear(piece: str) -> None:
    begin = time.process_time()
    unflow(piece * (1_000_000 // len(piece)), delsp=True)
    assert time.process_time() - begin < 5
