"""Files that an adapter serves by links: a page of a stranger must not run under our origin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import PlainTextResponse, Response, StreamingResponse

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "audio/ogg", "audio/mpeg", "video/mp4"})
"""Types that are told to the browser, which runs nothing in them; all others are bytes to it."""
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=3600",
    "X-Robots-Tag": "noindex",
}


def file_response(
    content: AsyncIterator[bytes], *, name: str, media_type: str, size: int | None = None, in_place: bool = False
) -> Response:
    """A file to be saved; ``size`` in bytes where it is known.

    ``in_place`` lets a browser show the types of `SHOWN` where the link stands.
    """
    shown = media_type in SHOWN
    how = "inline" if shown and in_place else "attachment"
    named = quote(name.encode("utf-8", "replace"), safe="")
    headers = {**HEADERS, "Content-Disposition": f"{how}; filename*=UTF-8''{named}"}
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(content, headers=headers, media_type=media_type if shown else "application/octet-stream")


def no_file(status: int, sentence: str) -> Response:
    """Why there is none, in words."""
    return PlainTextResponse(f"{sentence}\n", status, headers={**HEADERS, "Cache-Control": "no-store"})
