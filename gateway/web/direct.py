"""A door beside the application: endpoints so busy that its middleware and routing would cost a tenth of their work."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Direct:
    """Sends requests for some methods and paths straight to their endpoints, all others to the application.

    An endpoint here is on its own: it answers its errors and writes its CORS headers itself.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[tuple[str, str], ASGIApp]) -> None:
        """``endpoints`` by method and path."""
        self._app = app
        self._endpoints = dict(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request, or whatever else a server may ask (a websocket has no method)."""
        endpoint = self._endpoints.get((scope.get("method", ""), scope.get("path", "")), self._app)
        await endpoint(scope, receive, send)
