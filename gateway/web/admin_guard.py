"""In front of the operator pages: only by their own address, changed only from their own origin, kept by no cache."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import LimitExceeded, NotAllowed
from gateway.rates import Rate, asker_of
from gateway.web.origins import origin_of
from gateway.web.rendering import SECURITY_HEADERS

REQUESTS_PER_MINUTE: Final = 600
"""Of one asker: a page that is kept open asks every ten seconds."""
STATIC: Final = "/static/"
HEADERS: Final = {
    **SECURITY_HEADERS,
    "cache-control": "no-store",
    # With no-referrer a browser sends "null" as the origin of a form.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-robots-tag": "noindex",
}


class Guard:
    """Refuses other hosts (a name of somebody else's that leads here), other origins, and whoever asks too often."""

    def __init__(self, app: ASGIApp, *, host: str, url: str | None) -> None:
        self._app = app
        self._host = host
        self._url = None if url is None else origin_of(url)
        self._rate = Rate(REQUESTS_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on with ``origin`` in its state, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        origin = self._origin(headers.get("host", ""), scope)
        refusal: Response | None = None
        if origin is None:
            refusal = PlainTextResponse("These pages have another address: see admin.url in the configuration.\n", 421)
        elif scope["method"] not in ("GET", "HEAD") and headers.get("origin") != origin:
            refusal = PlainTextResponse(f"{NotAllowed.sentence}\n", NotAllowed.status)
        else:
            try:
                self._rate.take(asker_of(scope))
            except LimitExceeded:
                refusal = PlainTextResponse(f"{LimitExceeded.sentence}\n", LimitExceeded.status)
        scope.setdefault("state", {})["origin"] = origin
        kept = scope["path"].startswith(STATIC)
        await (refusal or self._app)(scope, receive, send if kept else _with_headers(send))

    def _origin(self, host: str, scope: Scope) -> str | None:
        """The origin of these pages as whoever asks reaches them; None when ``host`` is none of their names."""
        if self._url is not None and host == urlsplit(self._url).netloc:
            return self._url
        port = (scope.get("server") or ("", 0))[1]
        shown = f"[{self._host}]" if ":" in self._host else self._host
        near = {f"{name}:{port}" for name in (shown, "127.0.0.1", "localhost", "[::1]")}
        return f"http://{host}" if host in near else None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            _set(message)
        await send(message)

    return sending


def _set(message: MutableMapping[str, Any]) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers[name] = value
