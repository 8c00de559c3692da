"""HTML of Matrix messages as text: what is read, what must go, and input made to hurt."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.html import to_text
from adapters.matrix.subset import MAX_HTML, scrub
from gateway.sdk.html import MAX_NESTING, costly


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("no tags", "no tags"),
        ("file.txt", "file.txt"),
        ("<p>one</p>\n<p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two</div>three", "one\ntwo\nthree"),
        ("one<br>two<br/><br><br><br>three", "one\ntwo\n\nthree"),
        ("a \n\t b", "a b"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<h1>One</h1>text<h3>Th<br>ree</h3>", "# One\n\ntext\n\n### Th ree"),
        ("&lt;b&gt; &amp;amp; caf&eacute;", "<b> &amp; café"),
        ("2*3*4 snake_case __init__ # [x] `a", "2*3*4 snake_case __init__ # [x] `a"),
        ("<p>1. x</p>", "1. x"),
        ("<font color='red'>red</font> <u>line</u>", "red line"),
    ],
)
def test_words(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a <b>bold</b> <i>word</i> <em>x</em> <strong>y</strong>", "a **bold** *word* *x* **y**"),
        ("a<b> b </b>c", "a **b** c"),
        ("<b><strong>x</strong></b>", "**x**"),
        ("<i><b>x</b></i>", "***x***"),
        ("<b> </b>x<i></i>", "x"),
        ("<b>a<br><br>b</b>", "**a**\n\n**b**"),
        ("<b><p>a</p><ul><li>b</li></ul></b>", "a\n\n- b"),
        ("<del>a</del> <s>b</s>", "~~a~~ ~~b~~"),
        ("10<sup>6</sup> x<sub>i+1</sub>", "10^6 x_(i+1)"),
        ("<code>a  b</code>", "`a  b`"),
        ("<code>a`b</code> <code>`</code>", "``a`b`` `` ` ``"),
        ("<span data-mx-spoiler>he dies</span>!", "||he dies||!"),
        ("<span data-mx-spoiler='end'> he <b>dies</b></span>", "(end) ||he **dies**||"),
        ("<span data-mx-spoiler><p>a</p><p>b</p></span>", "||a\n\nb||"),
        ("<span data-mx-spoiler></span>x", "x"),
        ("<span data-mx-maths='x^2'>x squared</span>", "x squared"),
    ],
)
def test_inline_marks(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<a href='https://a.example/'>site</a>", "[site](https://a.example/)"),
        ("<a href='https://a.example/x?y=1&amp;z'>https://a.example/x?y=1&amp;z</a>", "https://a.example/x?y=1&z"),
        ("<a href='https://a.example/'>a.example</a>", "https://a.example/"),
        ("<a href='mailto:a@b.example'>a@b.example</a>", "a@b.example"),
        ("<a href='https://a.example'></a>", "https://a.example"),
        ("see<a href='https://a.example'> this</a>", "see [this](https://a.example)"),
        ("<a href='https://a.example/b_(c)'>b</a>", "[b](https://a.example/b_%28c%29)"),
        ("<a href='https://bad.example'>https://good.example</a>", "[https://good.example](https://bad.example)"),
        ("<a href='https://b.example'>x](https://c.example)</a>", "x](https://c.example) (https://b.example)"),
        ("<a href='https://b.example/\u202e(a'>x</a>", "[x](https://b.example/%E2%80%AE%28a)"),
        ("<a href='javascript:alert(1)'>x</a>", "x"),
        ("<a href=' JaVaScRiPt:alert(1)'>x</a>", "x"),
        ("<a href='data:text/html,x'>x</a> <a href='//a.example'>y</a> <a href='mxc://a/b'>z</a>", "x y z"),
        ("<a href='https://matrix.to/#/@a:b.example'>Ann</a>: hi", "Ann: hi"),
        ("<a href='https://matrix.to/#/%40a%3Ab.example'>Ann</a>", "Ann"),
        ("<a href='https://matrix.to/#/#room:b.example'>#room</a>", "[#room](https://matrix.to/#/#room:b.example)"),
    ],
)
def test_links(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<img src='mxc://a/b' alt='a  cat'>", "a cat"),
        ("<img src='mxc://a/b' title='cat'>", "cat"),
        ("<img src='mxc://a/b'>", "[image]"),
        ("<img src='https://tracker.example/1.gif'>seen", "seen"),
        ("<a href='https://a.example'><img src='mxc://a/b' alt=cat></a>", "[cat](https://a.example)"),
    ],
)
def test_images(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li>a</li><li>b</li></ul>c", "- a\n- b\n\nc"),
        ("<ol start=9><li>a</li><li>b</li></ol>", "9. a\n10. b"),
        ("<ol start='-9'><li>a</li></ol>", "1. a"),
        ("<ul>\n<li>\n<p>a</p>\n<p>b</p></li><li></li></ul>", "- a\n\n  b\n-"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"),
        ("<ol><li>a<ul><li>b</li></ul></li></ol>", "1. a\n   - b"),
        ("<ul><li><pre>x\ny</pre></li></ul>", "- ```\n  x\n  y\n  ```"),
        ("<blockquote>said</blockquote>answer", "> said\n\nanswer"),
        ("<blockquote><p>a</p><blockquote>b</blockquote></blockquote>", "> a\n>\n> > b"),
        ("<pre><code class='language-py x'>a  = 1\n\n\n\nb\n</code></pre>", "```py\na  = 1\n\n\n\nb\n```"),
        ("<pre>a<br>b</pre>", "```\na\nb\n```"),
        ("<pre>```</pre>", "````\n```\n````"),
        ("<details><summary>More</summary>text<p>x</p></details>", "**More**\ntext\n\nx"),
        (
            "<table><caption>T</caption><thead><tr><th>A<tbody><tr><td>1<br>2</td><td>|</table>",
            "**T**\n\n| A |  |\n| --- | --- |\n| 1 2 | \\| |",
        ),
        ("<table></table>x", "x"),
    ],
)
def test_blocks(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<mx-reply><blockquote>old</blockquote></mx-reply>new", "new"),
        ("<MX-REPLY>old</MX-REPLY>new", "new"),
        ("<mx-reply>a<mx-reply>b</mx-reply>c</mx-reply>new", "new"),
        ("<script>evil()</script>x<style>p{}</style>", "x"),
        ("<SCRIPT>evil()//</SCRIPT >x", "x"),
        ("<svg onload=evil()>x</svg>y", "xy"),
        ("<img src=x onerror=evil() alt=a><b onclick='evil()'>x</b>", "a**x**"),
        ("<!-- evil() -->x", "x"),
        ("<b>x<i>y", "**x*y***"),
        ("</div></p>x</b>", "x"),
        ("a < b > c &unknown; &#x110000; &#0;", "a < b > c &unknown; � �"),
        ("nul\x00 bell\x07 lone\ud800 pair\ud83d\ude00", "nul bell lone� pair😀"),
        ("\u202eabc\u202c שלום", "\u202eabc\u202c שלום"),
        ("<p>x \u00a0</p>", "x"),
    ],
)
def test_hostile_html(html: str, text: str) -> None:
    assert to_text(html) == text


def test_long_html_becomes_its_words() -> None:
    text = to_text("<script>evil()</script><mx-reply>old</mx-reply><p>a <b>b</b> &amp;<br>c</p>" + "x" * MAX_HTML)
    assert text.startswith("a b &\nc\nxxx")
    assert len(text) == len("a b &\nc\n") + MAX_HTML


def test_long_html_with_numbers_that_python_refuses() -> None:
    assert to_text(f"<p>&#{'9' * MAX_HTML};") == "\ufffd"


def test_tags_left_open_do_not_multiply() -> None:
    html = "<p>" + "".join(f"<b id={number}>" for number in range(2_500)) + "<p>x" * 2_500
    assert len(html) < MAX_HTML
    assert costly(html)
    assert to_text(html) == "x" * 2_500


def test_nesting_is_kept_to_its_limit_and_given_up_beyond() -> None:
    inside = MAX_NESTING - len(["b"])
    assert to_text("<div>" * inside + "<b>x</b>") == "**x**"
    assert to_text("<div>" * (inside + 1) + "<b>x</b>") == "x"


def test_deep_quotes_do_not_fill_the_message() -> None:
    text = to_text("<blockquote>" * 90 + "x<br>" * 1_000)
    assert len(text) < 50 * 1_000


@pytest.mark.parametrize("limit", [1_000, 10_000])
@pytest.mark.parametrize("tag", ["div", "blockquote", "ul><li", "table><tr><td", "span", "mx-x", "b", "details"])
def test_ten_thousand_levels(tag: str, limit: int) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        assert to_text(f"<{tag}>" * 10_000 + "core") == "core"
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("piece", ["<p>x</p>", "<script>", "<mx-reply>x", "<", "&#9", "<b>", " ", "<!--", "<a href='"])
def test_a_megabyte_of(piece: str) -> None:
    text = to_text("core " + piece * (1_000_000 // len(piece)))
    assert text.startswith("core")
    assert "<p>" not in text


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text(html: str) -> None:
    text = to_text(html)
    assert text == scrub(text)
    assert not any(line.endswith((" ", "\t")) for line in text.split("\n"))


PIECES = [
    *("<b>", "</b>", "<i>", "<p>", "</p>", "<ul>", "<li>", "</ul>", "<ol start=3>", "<blockquote>", "</blockquote>"),
    *("<table>", "<tr>", "<td>", "</table>", "<pre>", "</pre>", "<code>", "</code>", "<br>", "<span data-mx-spoiler>"),
    *("<a href='javascript:x'>", "<a href='https://a.example'>", "</a>", "<script>", "</script>", "<mx-reply>", "<h1>"),
    *("&", "&lt;", "x", " ", "\n", "<", "`", "*", "|", "\u200d", "\ud800", "\x00"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40))
@settings(max_examples=200)
def test_any_soup(pieces: list[str]) -> None:
    text = to_text("".join(pieces))
    assert "javascript:" not in text
    assert text == text.strip("\n")
    assert "\x00" not in text
