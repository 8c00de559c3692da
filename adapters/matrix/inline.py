"""The inline part of sanitised HTML as text: emphasis, links, pills, code, spoilers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

from bs4.element import NavigableString, PageElement, Tag

HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)}
# fmt: off
BLOCKS: Final = frozenset(HEADINGS) | {
    "blockquote", "caption", "details", "div", "hr", "li", "ol", "p", "pre", "summary", "table", "tbody", "td", "th",
    "thead", "tr", "ul",
}
# fmt: on
SPOILER: Final = "data-mx-spoiler"

_MARKS: Final = {"b": "**", "strong": "**", "i": "*", "em": "*", "s": "~~", "del": "~~"}
_LEVELS: Final = {"sup": "^", "sub": "_"}
_PILL: Final = "https://matrix.to/#/@"
_LANGUAGE: Final = "language-"
_SHORTEST_FENCE: Final = 3
_BLANKS: Final = re.compile(r"[ \t\r\n\f]+")
_BACKTICKS: Final = re.compile(r"`+")
_LINES: Final = re.compile(r"[^\n]+")
_NOT_IN_URL: Final = re.compile(r"[\s<>\\\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f]")
_NOT_IN_TARGET: Final = re.compile(r"[()]")
_NOT_IN_LABEL: Final = re.compile(r"[\[\]\\]")


def inline(nodes: Iterable[PageElement], marks: frozenset[str] = frozenset()) -> str:
    """Text of nodes whose blocks, if any, become lines; `marks` are those in force around them."""
    pieces: list[str] = []
    for node in nodes:
        piece = _element(node, marks) if isinstance(node, Tag) else _BLANKS.sub(" ", str(node))
        if pieces and pieces[-1].endswith((" ", "\n")):
            piece = piece.removeprefix(" ")
        if piece:
            pieces.append(piece)
    return "".join(pieces)


def fenced(pre: Tag) -> str:
    """A fenced block of the text of a `pre`, with the language of its code."""
    code = pre.find("code")
    classes = code.get_attribute_list("class") if code else []
    language = next((str(name).removeprefix(_LANGUAGE) for name in classes if name), "")
    text = _raw(pre).removesuffix("\n")
    fence = "`" * max(_SHORTEST_FENCE, _longest_run(text) + 1)
    return f"{fence}{language.replace('`', '')}\n{text}\n{fence}"


def hidden(spoiler: Tag, text: str) -> str:
    """The text of a spoiler between `||`, its reason before it; "" when there is nothing to hide."""
    reason = " ".join(str(spoiler.get(SPOILER, "")).split())
    core = f"({reason}) ||{text.strip()}||" if reason else f"||{text.strip()}||"
    return _around(core, text) if text.strip() else ""


def _element(tag: Tag, marks: frozenset[str]) -> str:
    match tag.name:
        case "br":
            return "\n"
        case "img":
            return _image(tag)
        case "code" | "pre":
            return _code(tag)
        case "a":
            return _link(str(tag.get("href", "")), inline(tag.children, marks))
        case "span" if tag.has_attr(SPOILER):
            return hidden(tag, inline(tag.children, marks))
        case name if name in _MARKS:
            mark = _MARKS[name]
            text = inline(tag.children, marks | {mark})
            # Line by line: no mark reaches over an empty line.
            return text if mark in marks else _LINES.sub(lambda line: _marked(mark, line[0]), text)
        case name if name in _LEVELS:
            return _level(_LEVELS[name], inline(tag.children, marks))
        case name if name in BLOCKS:
            return f"\n{inline(tag.children, marks)}\n"
    return inline(tag.children, marks)


def _marked(mark: str, text: str) -> str:
    return _around(f"{mark}{text.strip()}{mark}", text) if text.strip() else text


def _around(core: str, text: str) -> str:
    """`core` with the blanks that were around the text: marks must touch a word."""
    return f"{' ' * text[:1].isspace()}{core}{' ' * text[-1:].isspace()}"


def _level(mark: str, text: str) -> str:
    core = text.strip()
    return _around(f"{mark}{core}" if core.isalnum() else f"{mark}({core})", text) if core else text


def _image(tag: Tag) -> str:
    text = " ".join(str(tag.get("alt") or tag.get("title") or "").split())
    return text or ("[image]" if tag.get("src") else "")


def _link(href: str, text: str) -> str:
    label = " ".join(text.split())
    if not href or (label and unquote(href).startswith(_PILL)):
        return text
    url = _NOT_IN_URL.sub(_quoted, href)
    if not label:
        return url
    if label == href.removeprefix("mailto:"):
        return _around(label, text)
    if _same(label, href):
        return _around(url, text)
    if _NOT_IN_LABEL.search(label):
        return _around(f"{label} ({url})", text)
    return _around(f"[{label}]({_NOT_IN_TARGET.sub(_quoted, url)})", text)


def _same(label: str, href: str) -> bool:
    shown = unquote(label).removesuffix("/")
    meant = unquote(href).removesuffix("/")
    return shown in {meant, meant.partition("://")[2]}


def _quoted(found: re.Match[str]) -> str:
    return quote(found[0], safe="") if found[0] not in "()" else f"%{ord(found[0]):02X}"


def _code(tag: Tag) -> str:
    text = _raw(tag).replace("\n", " ")
    if not text.strip():
        return text[:1]
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or (text[0] == text[-1] == " ") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _raw(tag: Tag) -> str:
    """The text as it stands, with its line breaks."""
    return "".join(
        str(node) if isinstance(node, NavigableString) else "\n" * (isinstance(node, Tag) and node.name == "br")
        for node in tag.descendants
    )


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
