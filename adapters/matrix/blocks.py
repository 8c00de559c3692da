"""The blocks of sanitised HTML as text: paragraphs, lists, quotes, tables, code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from bs4.element import PageElement, Tag

from adapters.matrix.inline import BLOCKS, HEADINGS, SPOILER, fenced, hidden, inline

MAX_INDENTS: Final = 20
"""Quotes and lists inside each other; the marks of deeper ones would be longer than the words."""

_LONGEST_NUMBER: Final = 9
_BLANK_LINES: Final = re.compile(r"\n{3,}")


class _Kind(Enum):
    LINES = auto()
    LIST = auto()
    PARAGRAPH = auto()


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    kind: _Kind = _Kind.PARAGRAPH


def write(body: Tag) -> str:
    """Markdown-like text of a tree of the tags of the subset, `gateway.sdk.html.MAX_NESTING` deep at most."""
    around: set[int] = set()
    for block in body.find_all(BLOCKS):
        for parent in block.parents:
            if id(parent) in around:
                break
            around.add(id(parent))
    return _joined(_Writer(frozenset(around)).blocks(body, 0))


@dataclass(frozen=True, slots=True)
class _Writer:
    around: frozenset[int]
    """Elements with a block somewhere inside, by identity."""

    def blocks(self, parent: Tag, indents: int) -> list[_Block]:
        """The blocks in an element that lies in so many quotes and lists."""
        return self._blocks(parent.children, indents)

    def _blocks(self, nodes: Iterable[PageElement], indents: int) -> list[_Block]:
        done: list[_Block] = []
        run: list[PageElement] = []
        for node in nodes:
            if isinstance(node, Tag) and (node.name in BLOCKS or id(node) in self.around):
                done += _lines(run)
                run = []
                done += self._block(node, indents)
            else:
                run.append(node)
        return done + _lines(run)

    def _block(self, tag: Tag, indents: int) -> list[_Block]:
        match tag.name:
            case "hr":
                return [_Block("---")]
            case "pre":
                return [_Block(fenced(tag))]
            case "table":
                return _table(tag)
            case "summary":
                return [_Block(f"**{line}**", _Kind.LINES) for line in [_one_line(tag)] if line]
            case name if name in HEADINGS:
                return [_Block(HEADINGS[name] + line) for line in [_one_line(tag)] if line]
            case "ul" | "ol" if indents < MAX_INDENTS:
                items = "\n".join(self._items(tag, indents + 1))
                return [_Block(items, _Kind.LIST)] if items else []
            case "blockquote" if indents < MAX_INDENTS:
                quoted = _joined(self.blocks(tag, indents + 1))
                return [_Block("\n".join(f"> {line}".rstrip() for line in quoted.split("\n")))] if quoted else []
            case "p":
                return [_Block(block.text) for block in self.blocks(tag, indents)]
            case "span" if tag.has_attr(SPOILER):
                text = hidden(tag, _joined(self.blocks(tag, indents)))
                return [_Block(text)] if text else []
        return self.blocks(tag, indents)

    def _items(self, tag: Tag, indents: int) -> Iterator[str]:
        number = _first_number(tag)
        for node in tag.children:
            item = self._blocks([node], indents)
            if not item and not isinstance(node, Tag):
                continue
            mark = "- " if tag.name == "ul" else f"{number}. "
            number += 1
            yield (mark + _joined(item, tight=True).replace("\n", "\n" + " " * len(mark))).rstrip()


def _lines(run: Sequence[PageElement]) -> list[_Block]:
    text = "\n".join(line.strip(" ") for line in inline(run).split("\n")).strip("\n")
    return [_Block(_BLANK_LINES.sub("\n\n", text), _Kind.LINES)] if text else []


def _one_line(tag: Tag) -> str:
    return " ".join(inline(tag.children).split())


def _joined(blocks: Sequence[_Block], *, tight: bool = False) -> str:
    """Blocks with an empty line between them; none between bare lines, nor before the list in an item."""
    pieces: list[str] = []
    before: _Kind | None = None
    for block in blocks:
        near = block.kind is before is _Kind.LINES or (tight and block.kind is _Kind.LIST)
        pieces += ["" if before is None else "\n" if near else "\n\n", block.text]
        before = block.kind
    return "".join(pieces)


def _first_number(tag: Tag) -> int:
    start = str(tag.get("start", ""))
    return int(start) if start.isascii() and start.isdecimal() and len(start) <= _LONGEST_NUMBER else 1


def _table(tag: Tag) -> list[_Block]:
    """Rows between pipes; the first one is the head, for Markdown has no table without."""
    captions: list[str] = []
    rows: list[list[str]] = []
    for part in tag.find_all(recursive=False):
        if part.name == "caption":
            captions.append(_one_line(part))
        for row in [part] if part.name == "tr" else part.find_all("tr", recursive=False):
            rows.append([_one_line(cell).replace("|", r"\|") for cell in row.find_all(["td", "th"], recursive=False)])
    width = max((len(row) for row in rows), default=0)
    blocks = [_Block(f"**{caption}**") for caption in captions if caption]
    if width:
        rows[0] += [""] * (width - len(rows[0]))
        rows.insert(1, ["---"] * width)
        blocks.append(_Block("\n".join(f"| {' | '.join(row)} |" for row in rows)))
    return blocks
