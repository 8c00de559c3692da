"""HTML mail as text: what is kept, what must go, and input made to hurt."""

from __future__ import annotations

import re
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


@pytest.mark.attack(26)
@pytest.mark.parametrize("event", ["onerror", "onload", "onmouseover", "style", "srcset", "background"])
def test_attributes_go(event: str) -> None:
    assert "evil" not in html_to_text(f"<p {event}='evil()'>text</p><a {event}='evil' href='https://x.example'>l</a>")


XSS = (
    "<script>alert(1)</script>",
    "<ScRiPt src=//eve.example/x.js></sCrIpT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<iframe srcdoc='&lt;script>alert(1)&lt;/script>'></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href=' \x01javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='vbscript:x'>x</a><a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    "<form action='javascript:alert(1)'><button formaction='javascript:alert(1)'>x</button></form>",
    "<object data='javascript:alert(1)'></object><embed src='javascript:alert(1)'>",
    "<base href='javascript:alert(1)//'><meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>@import 'javascript:alert(1)';</style><link rel=stylesheet href='javascript:alert(1)'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>",
    "<template><script>alert(1)</script></template>",
    "<!--><script>alert(1)</script>-->",
    "<a href='https://x.example/](javascript:alert(1))'>x</a>",
    "<a href='https://x.example/' title='](javascript:alert(1))'>x</a>",
)
"""Ways to have a script run that were found in mail programs and sanitisers."""
RUNS = re.compile(r"<(?:script|img|iframe|svg|object|embed|style|link|meta|base|form|button)\b", re.IGNORECASE)
SCRIPT_LINK = re.compile(r"\]\([\s<]*(?!https?://)[\w\s&#;]*script", re.IGNORECASE)


@pytest.mark.attack(26)
@pytest.mark.parametrize("source", XSS)
def test_nothing_that_runs_is_left(source: str) -> None:
    for text in (html_to_text(source), html_to_text(f"<p>before</p>{source}<p>after</p>")):
        assert not RUNS.search(text), text
        assert not SCRIPT_LINK.search(text), text


@pytest.mark.attack(26)
@given(st.lists(st.sampled_from([*XSS, "<b>", "</b>", "<p>", "<a href='", "'>", "`", "\n", "x"]), max_size=6))
def test_nor_of_any_mixture_of_them(pieces: list[str]) -> None:
    assert not SCRIPT_LINK.search(html_to_text("".join(pieces)))


@pytest.mark.attack(26)
@pytest.mark.parametrize(
    ("href", "link"),
    [
        ("https://x.example/) [y](javascript:alert(1)", "https://x.example/%29%20%5By%5D%28javascript:alert%281%29"),
        ("https://x.example/Foo_(bar)", "https://x.example/Foo_%28bar%29"),
        ("https://x.example/ &quot;title&quot;", "https://x.example/%20%22title%22"),
        ("https://x.example/?a=b&amp;c=%20d#e", "https://x.example/?a=b&c=%20d#e"),
    ],
)
def test_an_address_ends_where_it_ends(href: str, link: str) -> None:
    """Else a second link could stand in it, to what the sanitiser does not let through."""
    assert html_to_text(f"<a href='{href}' title='x'>text</a>") == f"[text]({link})"


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
