"""A door beside the application: endpoints so busy that its middleware and routing would cost a tenth of their work."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Direct:
    """Sends requests for some methods and paths, and all below some, to their endpoints, others to the application.

    An endpoint here is on its own: it answers its errors and writes its CORS headers itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        endpoints: Mapping[tuple[str, str], ASGIApp],
        trees: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        """``endpoints`` by method and path; ``trees`` by first segment (``/ccip``), for every method and path there."""
        self._app = app
        self._endpoints = dict(endpoints)
        self._trees = dict(trees or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request, or whatever else a server may ask (a websocket has no method)."""
        method, path = scope.get("method", ""), scope.get("path", "")
        endpoint = self._endpoints.get((method, path))
        if endpoint is None and method:
            end = path.find("/", 1)
            endpoint = self._trees.get(path if end < 0 else path[:end])
        await (endpoint or self._app)(scope, receive, send)
