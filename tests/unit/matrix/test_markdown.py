"""Texts as HTML of Matrix messages: what is formatted, what stays plain, and that nothing else comes out."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.html import to_text
from adapters.matrix.markdown import MAX_INDENTS, MAX_TEXT, to_html
from adapters.matrix.subset import MAX_HTML
from gateway.sdk.html import MAX_NESTING


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* **c** ~~d~~", "a <em>b</em> <strong>c</strong> <s>d</s>"),
        ("_a_ and `b<c`", "<em>a</em> and <code>b&lt;c</code>"),
        ("**a**\nb", "<strong>a</strong><br>b"),
        ("**a**\n\nb", "<p><strong>a</strong></p>\n<p>b</p>"),
        ("**中**文*中*文", "<strong>中</strong>文<em>中</em>文"),
        ("# a", "<h1>a</h1>"),
        ("> a\n> b", "<blockquote>\n<p>a<br>b</p>\n</blockquote>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("a\n\n---", "<p>a</p>\n<hr>"),
        ("```py x\na < b\n```", '<pre><code class="language-py">a &lt; b\n</code></pre>'),
        ("||he *dies*||", '<span data-mx-spoiler="">he <em>dies</em></span>'),
        ("[a](https://a.example)", '<a href="https://a.example">a</a>'),
        ('[a](https://a.example "t")', '<a href="https://a.example">a</a>'),
        ("<https://a.example/b_c>", '<a href="https://a.example/b_c">https://a.example/b_c</a>'),
        ("![cat](https://a.example/c.png)", '<a href="https://a.example/c.png">cat</a>'),
        ("[![cat](https://a.example/c.png)](https://b.example)", '<a href="https://b.example">cat</a>'),
        ("**b** <script>x</script>", "<strong>b</strong> &lt;script&gt;x&lt;/script&gt;"),
        ("**b** &lt;", "<strong>b</strong> &amp;lt;"),
        ("**b** \\*c\\*", "<strong>b</strong> *c*"),
        ("**b** 2*3*4 snake_case_x", "<strong>b</strong> 2*3*4 snake_case_x"),
        ("**b** https://a.example/__c__/_d_", "<strong>b</strong> https://a.example/__c__/_d_"),
        ("**https://a.example**", "<strong>https://a.example</strong>"),
        ("**b** [x](javascript:alert(1))", "<strong>b</strong> [x](javascript:alert(1))"),
        ("**b**\x00\ud800", "<strong>b</strong>\ufffd"),
    ],
)
def test_formatted(text: str, html: str) -> None:
    assert to_html(text) == html


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n", "plain", "two\nlines", "two\n\nparagraphs", "    indented", "a\n--\nsignature", "a\n==="),
        *("-", "+", "1.", "#", "##", ">_<", ">:(", "#tag", "-1", "1.5", "```", "**", "2*3*4", "2 * 3 * 4", "a_b_c"),
        *(
            "a||b||c",
            "a || b || c",
            "|| a ||",
            "f(*a, **b)",
            "¯\\_(ツ)_/¯",
            "C:\\*.txt",
            "&copy;",
            "<b>x</b>",
            "<!-- x -->",
        ),
        *("https://a.example/_b_", "https://a.example/*b*", "[1]: https://a.example", "[a]", "[a][1]", "[a](b)"),
        *("[](https://a.example)", "[a](<https://a b>)", "[a](data:text/html,x)", "![a](mxc://b/c)", "[a](/b)"),
        *("[a](JavaScript:b)", "[a](java\nscript:b)", "[a](&#106;avascript:b)", "<javascript:b>", "[a](vbscript:b)"),
    ],
)
def test_plain_text_stays_plain(text: str) -> None:
    assert to_html(text) is None


def test_limits() -> None:
    assert to_html("**a**" + "x" * (MAX_TEXT - 5)) is not None
    assert to_html("**a**" + "x" * (MAX_TEXT - 4)) is None
    assert to_html("`<` " * (MAX_HTML // len("<code>&lt;</code> ") + 1)) is None
    assert to_html("> " * (MAX_INDENTS - 1) + "a") is not None
    assert to_html("> " * MAX_INDENTS + "a") is None
    assert to_html("- " * 10_000 + "a") is None
    assert to_html("*a **b " * 200 + "b** a*" * 200) is None


TAGS = {
    *("del", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "p", "a", "ul", "ol", "sup", "sub", "li", "b", "i"),
    *("u", "strong", "em", "s", "code", "hr", "br", "div", "table", "thead", "tbody", "tr", "th", "td", "caption"),
    *("pre", "span", "img", "details", "summary"),
}
ATTRIBUTES = {("a", "href"), ("ol", "start"), ("code", "class"), ("span", "data-mx-spoiler")}
LINKS = ("https:", "http:", "ftp:", "mailto:", "magnet:")


class Inspector(HTMLParser):
    """Asserts the subset tag by tag."""

    depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {(tag, name) for name, _ in attrs} <= ATTRIBUTES
        values = dict(attrs)
        assert (values.get("href") or "https:").lower().startswith(LINKS)
        assert (values.get("class") or "language-").startswith("language-")
        self.depth += tag not in {"br", "hr"}
        assert self.depth <= MAX_NESTING

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def inspect(html: str | None) -> None:
    inspector = Inspector()
    inspector.feed(html or "")
    inspector.close()
    assert inspector.depth == 0


@pytest.mark.parametrize(
    "html", ["<script>", "<b onclick=x>", "<a href='javascript:x'>", "<!--x-->", "<b>", "<p lang=x>"]
)
def test_the_inspector_sees(html: str) -> None:
    with pytest.raises(AssertionError):
        inspect(html)


PIECES = [
    *(
        "*",
        "**",
        "_",
        "~~",
        "`",
        "```",
        "||",
        "|",
        "[",
        "](",
        ")",
        "![",
        "<",
        ">",
        "> ",
        "- ",
        "1. ",
        "# ",
        "\n",
        "\n\n",
    ),
    *(
        "javascript:x",
        "https://a.example",
        "mailto:a@b",
        "data:x",
        "://",
        "<script>",
        "<img src=x onerror=y>",
        '"',
        "'",
    ),
    *(
        "&lt;",
        "&#106;",
        "\\",
        "|-|",
        "---",
        "x",
        " ",
        "    ",
        "\t",
        "\x00",
        "\ud800",
        "\u202e",
        "é",
        "<!--",
        "-->",
        "]",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(max_examples=300)
def test_nothing_but_the_subset_from_pieces(text: str) -> None:
    inspect(to_html(text))


@given(st.text(st.characters(), max_size=200))
@settings(max_examples=100)
def test_nothing_but_the_subset_from_any_text(text: str) -> None:
    inspect(to_html(text))


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "![",
        "*",
        "*a ",
        "**a",
        "`",
        "||",
        "||a",
        "> ",
        "- ",
        "- a\n",
        "> - a\n",
        "<",
        "://",
        "|a",
        "\\",
        "[a](",
        "~~a",
    ],
)
def test_long_runs(piece: str) -> None:
    inspect(to_html("**b**" + piece * ((MAX_TEXT - 5) // len(piece))))
    assert to_html(piece * 1_000_000) is None


@pytest.mark.parametrize(
    "text",
    [
        "a **b** *c* ~~d~~ `e` ||f||",
        "***both***",
        "**two**\nlines",
        "# Title\n\ntext",
        "- a\n  - b\n    - c\n- d",
        "1. a\n   - b\n2. c",
        "> a\n>\n> > b\n\nanswer",
        "```py\na  = 1\n\n\nb\n```",
        "[a](https://a.example) and https://b.example/_c_ **d**",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "a\n\n---\n\nb",
        "**b** <script> & 2*3*4 snake_case &amp; [x] {y}",
        "**b** 😀 שלום 中文",
    ],
)
def test_there_and_back(text: str) -> None:
    html = to_html(text)
    assert html is not None
    assert to_text(html) == text


@given(st.lists(st.from_regex(r"[a-zé中]{1,5}", fullmatch=True), min_size=1, max_size=6), st.data())
@settings(max_examples=60)
def test_any_marked_words_there_and_back(words: list[str], data: st.DataObject) -> None:
    marks = [data.draw(st.sampled_from(["**", "*", "~~", "`", "||"])) for _ in words]
    text = " ".join(f"{mark}{word}{mark}" for mark, word in zip(marks, words, strict=True))
    assert to_text(to_html(text) or "") == text
