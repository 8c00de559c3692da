"""Local parts that hold what they must not, with the examples of XEP-0106."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.xmpp.escaping import escaped, unescaped
from adapters.xmpp.jids import Jid


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("space cadet", r"space\20cadet"),
        ('call me "ishmael"', r"call\20me\20\22ishmael\22"),
        ("at&t guy", r"at\26t\20guy"),
        ("d'artagnan", r"d\27artagnan"),
        ("/.fanboy", r"\2f.fanboy"),
        ("::foo::", r"\3a\3afoo\3a\3a"),
        ("<foo>", r"\3cfoo\3e"),
        ("user@host", r"user\40host"),
        (r"c:\net", r"c\3a\net"),
        (r"c:\cool stuff", r"c\3a\cool\20stuff"),
        (r"c:\5commas", r"c\3a\5c5commas"),
        ("straße🦊", "straße🦊"),
    ],
)
def test_the_ten_characters(text: str, local: str) -> None:
    assert escaped(text) == local
    assert unescaped(local) == text


def test_nothing_else_is_an_escape() -> None:
    assert unescaped(r"\41\2F\7e\2") == r"\41\2F\7e\2"


@given(st.text(max_size=30) | st.text(st.sampled_from("\\ 20564c@ab/"), max_size=16))
def test_every_text_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30))
def test_what_is_escaped_can_stand_in_an_address(text: str) -> None:
    assert Jid.parse(f"{escaped(text)}@example.org").local == escaped(text)
