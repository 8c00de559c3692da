"""The FastAPI application: routes of all parts, and every error as a sentence: JSON, or a page for who reads pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from gateway import __version__
from gateway.errors import GatewayError, InvalidParams, NotFound, NotificationRefused
from gateway.web.origins import Origins, is_for_programs, is_of_relay
from gateway.web.rendering import Renderer

log = structlog.get_logger(__name__)

API: Final = "/api/"
"""Where our own interface begins."""
SILENT: Final = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False)
"""FastAPI tells every path to a collector that somebody set up in this process, or in its environment: names."""
NOT_HERE: Final = "This method is not allowed here."


def http_app(
    routes: Sequence[BaseRoute],
    routers: Sequence[APIRouter],
    *,
    public_url: str = "http://127.0.0.1",
    renderer: Renderer | None = None,
) -> FastAPI:
    """The FastAPI application around the given routes; every error is a sentence, none a traceback.

    Browsers get errors as pages where people go, when a ``renderer`` is given.
    """
    app = FastAPI(title="DM3 Gateway", version=__version__, docs_url=None, redoc_url=None, telemetry=SILENT)
    app.router.routes.extend(routes)
    for router in routers:
        app.include_router(router)
    app.add_middleware(Origins, public_url=public_url)
    errors = _Errors(renderer)
    app.add_exception_handler(GatewayError, errors.gateway_error)
    app.add_exception_handler(NotificationRefused, _notification_refused)
    app.add_exception_handler(RequestValidationError, errors.invalid_request)
    app.add_exception_handler(HTTPException, errors.http_error)
    app.add_exception_handler(Exception, errors.failed)
    return app


class _Errors:
    """Handlers of exceptions; the answer depends on who asks and for what."""

    def __init__(self, renderer: Renderer | None) -> None:
        self._renderer = renderer

    async def gateway_error(self, request: Request, error: Exception) -> Response:
        """The name service also says what was wrong in this case; the relay says the same whatever the reason."""
        named = error if isinstance(error, GatewayError) else GatewayError()
        if named.status >= 500:
            log.warning("http.failed", error=type(named).__name__, detail=named.detail)
        if self._renderer is not None and _reads_pages(request):
            return await self._renderer.error(named)
        path = request.url.path
        if named.status < 500 and path.startswith(API) and not is_of_relay(path):
            return JSONResponse({"error": named.sentence, "detail": named.detail}, named.status)
        return JSONResponse({"error": named.sentence}, named.status)

    async def invalid_request(self, request: Request, _error: Exception) -> Response:
        """A parameter of a wrong kind."""
        return await self._answer(request, 400, InvalidParams.sentence)

    async def http_error(self, request: Request, error: Exception) -> Response:
        """What the router refuses: no such path (404), no such method there (405)."""
        assert isinstance(error, HTTPException)
        sentence = {404: NotFound.sentence, 405: NOT_HERE}.get(error.status_code, InvalidParams.sentence)
        answer = await self._answer(request, error.status_code, sentence)
        answer.headers.update(error.headers or {})
        return answer

    async def failed(self, request: Request, _error: Exception) -> Response:
        """A fault of ours that has no name; the server writes it to the log."""
        return await self._answer(request, GatewayError.status, GatewayError.sentence)

    async def _answer(self, request: Request, status: int, sentence: str) -> Response:
        if self._renderer is not None and _reads_pages(request):
            return await self._renderer.failure(status, sentence)
        return JSONResponse({"error": sentence}, status)


async def _notification_refused(_request: Request, error: Exception) -> JSONResponse:
    """Here the detail is the sentence for the client, as the reference has it."""
    assert isinstance(error, NotificationRefused)
    return JSONResponse({"error": error.detail}, error.status)


def _reads_pages(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not is_for_programs(request.url.path)
