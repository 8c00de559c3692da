"""The HTML of Matrix messages: what of it is allowed, and what of it can be read without harm.

Source: Matrix client-server specification, "m.room.message msgtypes".
"""

from __future__ import annotations

import re
from typing import Final

import nh3

# fmt: off
TAGS: Final = frozenset({
    "a", "b", "blockquote", "br", "caption", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "summary", "sup", "table",
    "tbody", "td", "th", "thead", "tr", "u", "ul",
})
# fmt: on
ATTRIBUTES: Final = {
    # Without this one nh3 allows `lang` and `title` everywhere.
    "*": frozenset[str](),
    "a": frozenset({"href", "target"}),
    "code": frozenset({"class"}),
    "div": frozenset({"data-mx-maths"}),
    "img": frozenset({"alt", "height", "src", "title", "width"}),
    "ol": frozenset({"start"}),
    "span": frozenset({"data-mx-bg-color", "data-mx-color", "data-mx-maths", "data-mx-spoiler"}),
}
LINK_SCHEMES: Final = frozenset({"ftp", "http", "https", "magnet", "mailto"})
MAX_HTML: Final = 65_536
"""Characters; no event is larger (Matrix client-server specification, "Size limits")."""
MAX_NESTING: Final = 100
"""Tags inside tags."""
MAX_WORK: Final = 400_000
"""Elements an HTML5 parser may have to make, at worst; each takes 250 bytes and half a microsecond."""

_IMAGE_SCHEME: Final = "mxc"
_VOID_TAGS: Final = frozenset({"br", "hr", "img"})
_LANGUAGE: Final = "language-"
_SANITISED_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_REOPENED_TAG: Final = re.compile(
    r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/]", re.IGNORECASE | re.ASCII
)
_REOPENED_AT_MOST: Final = 3 * 13
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if value.startswith(f"{_IMAGE_SCHEME}://") else None
    if name == "href":
        return None if value.lower().startswith(f"{_IMAGE_SCHEME}:") else value
    if name == "class":
        return " ".join(part for part in value.split() if part.startswith(_LANGUAGE)) or None
    return value


_CLEANER: Final = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags={"script", "style", "mx-reply"},
    attributes=ATTRIBUTES,
    attribute_filter=_attribute,
    link_rel=None,
    url_schemes=LINK_SCHEMES | {_IMAGE_SCHEME},
    url_relative="deny",
)


def scrub(text: str) -> str:
    """The text without control characters other than tab and line breaks; lone surrogates become U+FFFD."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub("", text)


def costly(html: str) -> bool:
    """Whether parsing this HTML, of any origin, could take more than `MAX_WORK` elements.

    HTML5 reopens inline tags in the next block, all of them: a thousand unclosed ones and a thousand paragraphs are a
    million elements. Equal tags are reopened three times at most, so only those with attributes count one by one.
    """
    return html.count("<") * (_REOPENED_AT_MOST + len(_REOPENED_TAG.findall(html))) > MAX_WORK


def sanitise(html: str) -> str:
    """The HTML reduced to the subset, every tag closed; scripts, styles and reply fallbacks go with their content.

    Takes what `scrub` returns and `costly` allows.
    """
    return _CLEANER.clean(html)


def too_deep(clean: str) -> bool:
    """Whether HTML in which every tag is closed nests deeper than `MAX_NESTING`."""
    depth = 0
    for tag in _SANITISED_TAG.finditer(clean):
        if tag[1]:
            depth -= 1
        elif tag[2] not in _VOID_TAGS:
            depth += 1
            if depth > MAX_NESTING:
                return True
    return False
