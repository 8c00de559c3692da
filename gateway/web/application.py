"""The FastAPI application: routes of all parts, and every error as JSON with a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from gateway import __version__
from gateway.errors import GatewayError, InvalidParams, NotFound, NotificationRefused

log = structlog.get_logger(__name__)

API = "/api/"
"""Where our own interface begins."""


def http_app(routes: Sequence[BaseRoute], routers: Sequence[APIRouter]) -> FastAPI:
    """The FastAPI application around the given routes; every error is JSON with a sentence, none a traceback."""
    app = FastAPI(title="DM3 Gateway", version=__version__, docs_url=None, redoc_url=None)
    app.router.routes.extend(routes)
    for router in routers:
        app.include_router(router)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["authorization", "content-type"]
    )
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(NotificationRefused, _notification_refused)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    return app


async def _gateway_error(request: Request, error: Exception) -> JSONResponse:
    """Our own interface also says what was wrong in this case; clients of the reference compare what they know."""
    named = error if isinstance(error, GatewayError) else GatewayError()
    if named.status >= 500:
        log.warning("http.failed", error=type(named).__name__, detail=named.detail)
    elif request.url.path.startswith(API):
        return JSONResponse({"error": named.sentence, "detail": named.detail}, named.status)
    return JSONResponse({"error": named.sentence}, named.status)


async def _notification_refused(_request: Request, error: Exception) -> JSONResponse:
    """Here the detail is the sentence for the client, as the reference has it."""
    assert isinstance(error, NotificationRefused)
    return JSONResponse({"error": error.detail}, error.status)


async def _invalid_request(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"error": InvalidParams.sentence}, 400)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    """What the router refuses: no such path (404), no such method there (405)."""
    assert isinstance(error, HTTPException)
    sentence = {404: NotFound.sentence, 405: "This method is not allowed here."}.get(
        error.status_code, InvalidParams.sentence
    )
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def _failed(_request: Request, _error: Exception) -> JSONResponse:
    """A fault of ours that has no name; the server writes it to the log."""
    return JSONResponse({"error": GatewayError.sentence}, GatewayError.status)
