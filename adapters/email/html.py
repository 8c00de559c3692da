"""HTML mail as text: sanitised first, then Markdown, then at worst the bare text.

The libraries are loaded by who needs them: a worker does so before its first mail, the gateway itself never.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from gateway.sdk.html import costly, too_deep, unescape

MAX_MARKDOWN: Final = 200_000
"""Characters of clean HTML of a whole mail beyond which only the bare text is taken: a kilobyte costs 2.5 ms."""
MAX_TAGS: Final = 10_000
"""Beyond that no tree is built: the time of the HTML parser grows with the square of the nesting."""
# fmt: off
_TAGS: Final = frozenset({
    "a", "b", "blockquote", "br", "code", "dd", "del", "div", "dl", "dt", "em", "h1",
    "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s",
    "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
})
# fmt: on
_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
_ATTRIBUTES: Final = {"a": {"href"}, "*": set[str]()}
_ENDS_A_LINK: Final = re.compile(r"[\s()<>\[\]\\\"'`\x00-\x1f]")
"""What would end an address in Markdown, with room for another link behind it."""
_BLANK_LINES: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")
_ANY_TAG: Final = re.compile(r"<[^<>]{0,5000}>")
_BREAKS: Final = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6])\b[^>]{0,200}>", re.IGNORECASE)


def load() -> None:
    """Load the libraries: under the limits of a mail there may be no room for it."""
    _markdown(_bare_text("<p>x</p>"))


def html_to_text(source: str, room: int = MAX_MARKDOWN) -> str:
    """Markdown of an HTML body: no scripts, styles, remote images or odd links. Never raises.

    What is longer than `room` (characters of clean HTML) becomes bare text.
    """
    source = source.encode("utf-8", "replace").decode()
    if source.count("<") > MAX_TAGS or costly(source):
        return _BLANK_LINES.sub("\n\n", unescape(_ANY_TAG.sub(" ", _BREAKS.sub("\n", source)))).strip()
    import nh3

    clean = nh3.clean(source, tags=set(_TAGS), attributes=_ATTRIBUTES, url_schemes=set(_SCHEMES), link_rel=None)
    plain = len(clean) > room or too_deep(clean)
    text = _bare_text(clean) if plain else _markdown(clean)
    return _BLANK_LINES.sub("\n\n", text).strip()


def _markdown(clean: str) -> str:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    # Parsed here: BeautifulSoup warns about short input that resembles a file name.
    soup = BeautifulSoup(f"<div>{clean}</div>", "html.parser")
    for link in soup.find_all("a", href=True):
        link["href"] = _ENDS_A_LINK.sub(lambda found: quote(found[0], safe=""), str(link["href"]))
    return str(MarkdownConverter(heading_style="ATX", bullets="-", escape_misc=False).convert_soup(soup))


def _bare_text(clean: str) -> str:
    import nh3

    return unescape(nh3.clean(_BREAKS.sub("\n", clean), tags=set()))
