"""Which routes web pages of other origins may use, and which are for programs rather than for people.

Everything is closed unless it stands here: a closed route sends no ``access-control-allow-origin``, and what changes
something there is refused to pages of other origins even when their browser would not ask first. Nothing uses cookies,
so what is open gives a page only what whoever runs it holds themselves.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import NotAllowed

_RELAY: Final = re.compile(
    r"/(?:ds|rpc|ccip|socket\.io|hello|delivery-service-profile|profile|auth|delivery|notifications)(?:/|\Z)"
)
"""DM3 clients and wallets live on pages of any origin."""
_MAILBOX: Final = re.compile(r"/api/v1/(?:mailbox|account|session)(?:/|\Z)")
"""The same clients; what they may do is in a token that no browser sends by itself."""
_LOOKING: Final = re.compile(r"/(?:api/v1/names(?:/|\Z)|openapi\.json\Z)")
"""Open for reading only: changes of names are for our own pages and for programs that are no pages."""
_PROGRAMS: Final = re.compile(r"/(?:api/v1|_matrix|healthz|readyz|metrics|openapi\.json)(?:/|\Z)")
_READS: Final = frozenset({"GET", "HEAD"})
_SAFE: Final = _READS | {"OPTIONS"}
_PORTS: Final = {"http": 80, "https": 443}


def is_open(method: str, path: str) -> bool:
    """Whether pages of any origin may use this."""
    if path == "/":
        return method == "POST"
    if _LOOKING.match(path):
        return method in _READS
    return is_of_relay(path)


def is_for_programs(path: str) -> bool:
    """Whether what is asked for there is data, so that errors are JSON whoever asks."""
    return bool(_RELAY.match(path) or _PROGRAMS.match(path))


def is_of_relay(path: str) -> bool:
    """Whether the DM3 delivery service answers there, in the reference's spelling or in ours."""
    return bool(_RELAY.match(path) or _MAILBOX.match(path))


def origin_of(url: str) -> str:
    """The origin of a URL as browsers write it: ``https://gw.example``, with a port that is not the usual one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = parts.port is None or parts.port == _PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{parts.port}"


class Origins:
    """Lets pages of other origins use what is open, and keeps them from the rest."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._closed = app
        self._open = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["*"], allow_headers=["authorization", "content-type"]
        )
        self._own = origin_of(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] != "http":
            await self._closed(scope, receive, send)
            return
        headers, method = Headers(scope=scope), scope["method"]
        asked = headers.get("access-control-request-method") if method == "OPTIONS" else None
        if is_open(asked or method, scope["path"]):
            await self._open(scope, receive, send)
        elif asked is None and (method in _SAFE or headers.get("origin", self._own) == self._own):
            await self._closed(scope, receive, send)
        else:
            told = f"this is for the pages at {self._own}; open them there"
            await JSONResponse({"error": NotAllowed.sentence, "detail": told}, NotAllowed.status)(scope, receive, send)
