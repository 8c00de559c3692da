"""Markdown-like text as the HTML of a Matrix message.

The text was not always meant as Markdown, so what plain text is full of stays plain: indented lines, underlines of
dashes, entities, a marker that marks nothing (`-`, `#`, `>_<`), asterisks between letters, punctuation of bare URLs.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Callable
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.helpers import parseLinkLabel
from markdown_it.rules_block import StateBlock, blockquote, heading, list_block
from markdown_it.rules_inline import StateInline, link
from markdown_it.token import Token

from adapters.matrix.subset import MAX_HTML, sanitise, scrub
from gateway.sdk.html import too_deep

MAX_TEXT: Final = 32_768
"""Characters; the text goes into the event twice, as it is and as HTML."""
MAX_INDENTS: Final = 20
"""Quotes and lists inside each other stay below this, a list counts twice; the parser drops what lies deeper."""

_PLAIN: Final = frozenset({"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "hardbreak"})
_INDENTS: Final = frozenset({"blockquote_open", "list_item_open"})
_QUOTE: Final = re.compile(r">(?=[\s>]|\Z)")
_ITEM: Final = re.compile(r"(?:[-+*]|\d{1,9}[.)])[ \t]+\S")
_HEADING: Final = re.compile(r"#{1,6}[ \t]+[^\s#]")
_NO_LABEL: Final = re.compile(r"\[\s*\]")
_REST_OF_URL: Final = re.compile(r"://[^\s<>\[\]()|`\"]*[^\s<>\[\]()|`\"*_~]")
_SPOILER: Final = "||"
_INTERRUPTED: Final = ["paragraph", "reference", "blockquote"]

_BlockRule = Callable[[StateBlock, int, int, bool], bool]


def to_html(text: str) -> str | None:
    """The `formatted_body` for a text, of the subset and at most `MAX_HTML` characters; None when the body says it all.

    That is when nothing in the text is formatted, and when it is longer than `MAX_TEXT` or nested deeper than is
    allowed. Line breaks are kept, HTML is shown as text, an image becomes a link, links have the schemes of the subset.
    Never raises.

    Source: Matrix client-server specification, "m.room.message msgtypes" and "Spoiler messages"; CommonMark 0.31.
    """
    if len(text) > MAX_TEXT:
        return None
    tokens = _PARSER.parse(scrub(text))
    every = [inner for token in tokens for inner in (token, *(token.children or ()))]
    if _PLAIN.issuperset(token.type for token in every) or not any(_is_seen(token) for token in every):
        return None
    if any(token.type in _INDENTS and token.level >= MAX_INDENTS - 1 for token in tokens):
        return None
    alone = [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    # One paragraph needs no tag.
    html = str(_PARSER.renderer.render(tokens[1:2] if alone else tokens, _PARSER.options, {})).strip("\n")
    if len(html) > MAX_HTML or too_deep(html):
        return None
    return sanitise(html)


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return "href=" in sanitise(f'<a href="{entities.escape(url)}"></a>')


def _is_seen(token: Token) -> bool:
    return token.type == "hr" or token.content.strip() != ""


def _line_break(*_: object) -> str:
    return "<br>"


def _only_at(start: re.Pattern[str], rule: _BlockRule) -> _BlockRule:
    def guarded(state: StateBlock, first: int, last: int, silent: bool) -> bool:
        place = state.bMarks[first] + state.tShift[first]
        return start.match(state.src, place, state.eMarks[first]) is not None and rule(state, first, last, silent)

    return guarded


def _bare_url(state: StateInline, silent: bool) -> bool:
    """Keep marks in a URL from being read as emphasis."""
    if not state.src.startswith("://", state.pos) or not state.src[max(0, state.pos - 1) : state.pos].isalpha():
        return False
    found = _REST_OF_URL.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.append_pending(found[0])
    state.pos = found.end()
    return True


def _asterisk_in_word(state: StateInline, silent: bool) -> bool:
    """Keep `2*3*4` a product."""
    around = state.src[max(0, state.pos - 1) : state.pos + 2]
    if silent or len(around) < len("2*3") or around[1] != "*" or not (around[0] + around[2]).isalnum():
        return False
    if not around.isascii():
        # Scripts without blanks between words have emphasis within what looks like one.
        return False
    state.append_pending("*")
    state.pos += 1
    return True


def _named_link(state: StateInline, silent: bool) -> bool:
    return not _NO_LABEL.match(state.src, state.pos) and link(state, silent)


def _image_as_link(state: StateInline, silent: bool) -> bool:
    """An image is a link to it; within another link it is its text."""
    start = state.pos
    if not state.src.startswith("![", start):
        return False
    state.pos += 1
    within = state.linkLevel > 0
    if not _named_link(state, silent or within):
        state.pos = start
        return False
    if within and not silent:
        state.append_pending(state.src[start + len("![") : parseLinkLabel(state, start + 1)])
    return True


def _spoiler(state: StateInline, silent: bool) -> bool:
    """`||text||`, not `a || b` and not `a||b||c`."""
    start, last = state.pos, state.posMax
    inside = start + len(_SPOILER)
    end = state.src.find(_SPOILER, inside, last) if state.src.startswith(_SPOILER, start) else -1
    text = state.src[inside : max(end, 0)]
    around = state.src[max(0, start - 1) : start] + state.src[end + len(_SPOILER) : end + len(_SPOILER) + 1]
    if not text or text != text.strip() or around.isalnum():
        return False
    if not silent:
        state.push("spoiler_open", "span", 1).attrs = {"data-mx-spoiler": ""}
        state.pos, state.posMax = inside, end
        state.md.inline.tokenize(state)
        state.push("spoiler_close", "span", -1)
    state.pos, state.posMax = end + len(_SPOILER), last
    return True


def _parser() -> _Parser:
    parser = _Parser("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_INDENTS})
    parser.disable(["code", "entity", "html_block", "html_inline", "lheading", "reference"])
    parser.enable(["strikethrough", "table"])
    parser.block.ruler.at("blockquote", _only_at(_QUOTE, blockquote), {"alt": [*_INTERRUPTED, "list"]})
    parser.block.ruler.at("heading", _only_at(_HEADING, heading), {"alt": _INTERRUPTED})
    parser.block.ruler.at("list", _only_at(_ITEM, list_block), {"alt": _INTERRUPTED})
    parser.inline.add_terminator_char("|")
    parser.inline.ruler.before("linkify", "bare_url", _bare_url)
    parser.inline.ruler.before("emphasis", "asterisk_in_word", _asterisk_in_word)
    parser.inline.ruler.before("emphasis", "spoiler", _spoiler)
    parser.inline.ruler.at("link", _named_link)
    parser.inline.ruler.at("image", _image_as_link)
    parser.add_render_rule("hardbreak", _line_break)
    parser.add_render_rule("softbreak", _line_break)
    return parser


_PARSER: Final = _parser()
