"""Long texts in parts: where they are cut, and that nothing but whitespace is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.splitting import split_text

FAMILY = "👩\u200d👩\u200d👧"
FLAG = "🇩🇪"


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("", 10, ()),
        ("short", 10, ("short",)),
        (" kept \n", 10, (" kept \n",)),
        ("exactly 10", 10, ("exactly 10",)),
        ("one\ntwo\n\nthree four", 12, ("one\ntwo", "three four")),
        ("one two\nthree four", 12, ("one two", "three four")),
        ("one\r\n\r\ntwo three", 10, ("one", "two three")),
        ("one two three", 10, ("one two", "three")),
        ("a\n\nb c d e f", 8, ("a\n\nb c d", "e f")),
        ("a b" + "c" * 9, 8, ("a", "bccccccc", "cc")),
        ("some code:\n\n    x = 1", 17, ("some code:", "    x = 1")),
        ("abcdefgh", 4, ("abcd", "efgh")),
        ("äöü", 4, ("äö", "ü")),
        ("😀😀", 7, ("😀", "😀")),
        (f"ab{FAMILY}", 18, ("ab", FAMILY)),
        (f"{FLAG * 3}", 20, (FLAG * 2, FLAG)),
        ("xe\u0301e\u0301", 6, ("xe\u0301", "e\u0301")),
        ("ab👍🏽", 9, ("ab", "👍🏽")),
        ("\u200d" * 4, 6, ("\u200d\u200d", "\u200d\u200d")),
        ("word\u3000word", 8, ("word", "word")),
        (" " * 30, 10, ()),
        ("a\ud800b", 4, ("a\ud800", "b")),
    ],
)
def test_cuts(text: str, limit: int, parts: tuple[str, ...]) -> None:
    assert split_text(text, limit) == parts


@pytest.mark.parametrize("limit", [3, 0, -1])
def test_no_room(limit: int) -> None:
    with pytest.raises(ValueError, match="code point"):
        split_text("text", limit)


@given(
    st.lists(
        st.sampled_from(["a", "bc ", " ", "\n", "\n\n", "    ", "é", "中", "😀", FAMILY, FLAG, "\u0301", "\ud800"])
    ),
    st.integers(4, 40),
)
@settings(max_examples=300)
def test_parts_are_the_text_without_whitespace_at_the_cuts(pieces: list[str], limit: int) -> None:
    text = "".join(pieces)
    place = 0
    for part in split_text(text, limit):
        assert 0 < len(part.encode("utf-8", "surrogatepass")) <= limit
        found = text.index(part, place)
        assert not text[place:found].strip()
        place = found + len(part)
    assert not text[place:].strip()


@pytest.mark.parametrize("piece", ["a", " ", "\n", "\n ", "a ", "a\n\n", "\u200d", FLAG, "é", "\r\n"])
def test_a_million_characters(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert "".join("".join(split_text(text, 30_000)).split()) == "".join(text.split())
