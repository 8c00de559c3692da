"""Reply fallbacks: the quotation goes, everything the person wrote stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.fallback import strip_reply_fallback


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("> <@a:b.example> old\n\nnew", "new"),
        ("> <@a:b.example> old\n> more\n> \n\nnew\n\nend", "new\n\nend"),
        ("> * <@a:b.example> waves\n\nnew", "new"),
        ("> <@a:b.example> sent an image.\n\nnew", "new"),
        ("> <Ann> old\n\nnew", "new"),
        ("> <@a:b.example> old\nnew", "new"),
        ("> <@a:b.example> old\r\n\r\nnew", "new"),
        ("> <@a:b.example> old\n\n\n  new", "\n  new"),
        ("> <@a:b.example> old\n\n> my own quote\n\nnew", "> my own quote\n\nnew"),
        ("> <@a:b.example> old", ""),
        ("> my own quote\n\nnew", "> my own quote\n\nnew"),
        ("><@a:b.example> old\n\nnew", "><@a:b.example> old\n\nnew"),
        ("new\n> <@a:b.example> old", "new\n> <@a:b.example> old"),
        ("new", "new"),
        ("", ""),
    ],
)
def test_fallback(body: str, text: str) -> None:
    assert strip_reply_fallback(body) == text


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20)), st.text(max_size=50))
def test_an_answer_is_never_touched(old: list[str], answer: str) -> None:
    quotation = "".join(f"> {line}\n" for line in ["<@a:b.example> said", *old])
    assert strip_reply_fallback(f"{quotation}\n{answer}") == answer
