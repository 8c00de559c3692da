"""HTML mail as text: what is kept, what must go, and input made to hurt."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.html import MAX_MARKDOWN, MAX_TAGS, html_to_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("a <b>bold</b> <i>word</i>", "a **bold** *word*"),
        ("<a href='https://example.net/'>site</a>", "[site](https://example.net/)"),
        ("<a href='javascript:alert(1)'>click</a>", "click"),
        ("<a href='data:text/html,x'>click</a>", "click"),
        ("<img src='https://tracker.example/1.gif'>seen?", "seen?"),
        ("<script>alert(1)</script>text", "text"),
        ("<style>p { color: red }</style>text", "text"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("<h2>Title</h2>text", "## Title\n\ntext"),
        ("one<br>two", "one  \ntwo"),
        ("&lt;b&gt; &amp; caf&eacute;", "<b> & café"),
        ("<blockquote>said</blockquote>answer", "> said\n\nanswer"),
        ("no tags at all", "no tags at all"),
        ("", ""),
        ("<!-- comment -->text", "text"),
        ("<p>" + "<br>" * 10 + "far</p>", "far"),
        ("https://example.net/looks-like-a-url", "https://example.net/looks-like-a-url"),
        ("file.txt", "file.txt"),
    ],
)
def test_what_people_read(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize("event", ["onerror", "onload", "onmouseover", "style", "srcset", "background"])
def test_attributes_go(event: str) -> None:
    assert "evil" not in html_to_text(f"<p {event}='evil()'>text</p><a {event}='evil' href='https://x.example'>l</a>")


def test_huge_html_becomes_bare_text() -> None:
    paragraph = "<p>some <b>words</b></p>"
    text = html_to_text("x" * MAX_MARKDOWN + paragraph)
    assert text.endswith("some words")
    assert "**" not in text


def test_html_of_too_many_tags_is_not_parsed() -> None:
    text = html_to_text("<div>" * (MAX_TAGS + 1) + "core &amp; more" + "</div>")
    assert text == "core & more"


def test_tags_left_open_do_not_multiply() -> None:
    """An HTML5 parser would make six million elements of these 70 kilobytes."""
    source = "<p>" + "".join(f"<b id={number}>" for number in range(2_500)) + "<p>x" * 2_500
    assert html_to_text(source).split() == ["x"] * 2_500


def test_inline_tags_of_ordinary_mail_are_kept() -> None:
    row = '<tr><td><font size="2">a <b style="color: red">word</b></font></td></tr>'
    assert html_to_text(f"<table>{row * 40}</table>").count("**word**") == 40


def test_numbers_that_python_refuses_are_no_characters() -> None:
    number = f"&#{'9' * 5_000};"
    assert html_to_text(f"<p>{number}</p>") == "\ufffd"
    assert html_to_text("<br>" * (MAX_TAGS + 1) + number) == "\ufffd"


def test_lone_surrogates_are_read() -> None:
    assert html_to_text("<p>a\ud800b</p>") == "a?b"


def test_deep_html_is_read() -> None:
    assert "core" in html_to_text("<blockquote>" * 3_000 + "core")


@given(st.text(max_size=300))
def test_any_text_is_read(source: str) -> None:
    assert "<script" not in html_to_text(f"<div>{source}").lower() or "&lt;" in source or "&#" in source


@given(
    st.lists(st.sampled_from(["<b>", "</b>", "<a href='x'>", "<table>", "<td>", "</table>", "<pre>", "&", "x", "<"]))
)
def test_any_soup_is_read(pieces: list[str]) -> None:
    assert isinstance(html_to_text("".join(pieces)), str)


@pytest.mark.parametrize("limit", [1_000, 10_000])
@pytest.mark.parametrize("tag", ["div", "table><tr><td", "blockquote", "ul><li"])
def test_deep_nesting_is_no_matter_of_the_recursion_limit(tag: str, limit: int) -> None:
    """Packages of the same process raise the limit; the conversion must not go deeper because of it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        assert html_to_text(f"<{tag}>" * 2_000 + "deep") == "deep"
    finally:
        sys.setrecursionlimit(before)
