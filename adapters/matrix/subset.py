"""The HTML of Matrix messages: what of it is allowed.

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
_IMAGE_SCHEME: Final = "mxc"
_LANGUAGE: Final = "language-"
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


def sanitise(html: str) -> str:
    """The HTML reduced to the subset, every tag closed; scripts, styles and reply fallbacks go with their content.

    Takes what `scrub` returns and `costly` allows.
    """
    return _CLEANER.clean(html)
