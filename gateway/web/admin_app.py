"""The operator pages as one application: log-in, pages, errors in words. It has a listener of its own."""

from __future__ import annotations

import contextlib
from typing import Final
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.admin_settings import AdminSettings
from gateway.dm3.eth import parse_address
from gateway.errors import GatewayError, InvalidParams, NotFound, Unauthorised
from gateway.web.admin_access import COOKIE, Entered
from gateway.web.admin_desk import Desk, Page, first
from gateway.web.admin_guard import Guard
from gateway.web.admin_pages import Pages
from gateway.web.admin_queue import QueuePages
from gateway.web.admin_trace import TracePages
from gateway.web.statics import root_files, static_files

log = structlog.get_logger(__name__)

HOME: Final = "/admin"
LOG_IN: Final = "/admin/login"
MAX_JSON: Final = 16 * 2**10


def admin_app(desk: Desk, settings: AdminSettings) -> ASGIApp:
    """Everything that the listener for operators answers."""
    entrance = _Entrance(desk, secure=(settings.url or "").startswith("https:"))
    pages, queue, trace = Pages(desk), QueuePages(desk), TracePages(desk)
    behind: dict[str, tuple[Page, str]] = {
        HOME: (pages.overview, "GET"),
        "/admin/queue": (queue.queue, "GET"),
        "/admin/queue/lane": (queue.lane, "GET"),
        "/admin/queue/act": (queue.act, "POST"),
        "/admin/failures": (trace.failures, "GET"),
        "/admin/trace": (trace.trace, "GET"),
        "/admin/names": (pages.names, "GET"),
        "/admin/doctor": (pages.doctor, "GET"),
        "/admin/doctor/again": (pages.examine, "POST"),
        "/admin/audit": (pages.audit, "GET"),
        "/admin/audit/verify": (pages.verify, "POST"),
        "/admin/logout": (entrance.leave, "POST"),
    }
    routes = [
        Route("/", lambda _request: RedirectResponse(HOME, 303)),
        Route(LOG_IN, entrance.show, methods=["GET"]),
        Route(LOG_IN, entrance.enter, methods=["POST"]),
        Route(f"{LOG_IN}/message", entrance.text, methods=["POST"]),
        *(Route(path, entrance.behind(page), methods=[method]) for path, (page, method) in behind.items()),
        static_files(),
        *root_files().routes,
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            GatewayError: entrance.failed,
            HTTPException: entrance.not_here,
            Exception: entrance.broken,
        },
    )
    return Guard(app, host=settings.host, url=settings.url)


class _Entrance:
    """The door: log-in by token or wallet, and what stands before every page."""

    def __init__(self, desk: Desk, *, secure: bool) -> None:
        self._desk = desk
        self._secure = secure

    def behind(self, page: Page) -> Page:
        """A page for who is logged in; others are sent to the log-in."""

        async def guarded(request: Request) -> Response:
            request.state.actor = await self._desk.access.actor(request)
            if request.state.actor is not None:
                return await page(request)
            if request.method != "GET":
                raise Unauthorised("log in first; nothing was done")
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(LOG_IN if there == HOME else f"{LOG_IN}?next={quote(there)}", 303)

        return guarded

    async def show(self, request: Request) -> Response:
        """The form."""
        return await self._form(request, _inside(request.query_params.get("next", "")))

    async def enter(self, request: Request) -> Response:
        """With a token from the form, or with a wallet's signature from the script of the page."""
        if request.headers.get("content-type", "").startswith("application/json"):
            text, signature = await self._strings(request, "message", "signature")
            entered = await self._desk.access.enter_by_wallet(request, request.state.origin, text, signature)
            return self._with_cookie(Response(status_code=204), entered)
        fields = await self._desk.form(request)
        there = _inside(first(fields, "next"))
        try:
            entered = await self._desk.access.enter_by_token(request, first(fields, "token"))
        except GatewayError as error:
            return await self._form(request, there, error)
        return self._with_cookie(RedirectResponse(there, 303), entered)

    async def text(self, request: Request) -> Response:
        """{message}: what a listed wallet signs."""
        (address,) = await self._strings(request, "address")
        message = await self._desk.access.text(request, request.state.origin, parse_address(address))
        return JSONResponse({"message": message})

    async def leave(self, request: Request) -> Response:
        """End the session."""
        await self._desk.access.leave(request)
        answer = RedirectResponse(LOG_IN, 303)
        answer.delete_cookie(COOKIE, path=HOME)
        return answer

    async def failed(self, request: Request, error: Exception) -> Response:
        """A named failure: a page, or JSON for the script of the log-in."""
        named = error if isinstance(error, GatewayError) else GatewayError()
        if named.status >= 500:
            log.warning("admin.failed", error=type(named).__name__, detail=named.detail)
        detail = named.detail if named.status < 500 else ""
        if request.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse({"error": named.sentence, "detail": detail}, named.status)
        return await self._failure(request, named.status, named.sentence, detail)

    async def not_here(self, request: Request, error: Exception) -> Response:
        """No such page, no such method."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        return await self._failure(request, status, NotFound.sentence if status == 404 else "This is not done here.")

    async def broken(self, request: Request, _error: Exception) -> Response:
        """A fault of ours that has no name; the server writes it to the log."""
        return await self._failure(request, GatewayError.status, GatewayError.sentence)

    async def _failure(self, request: Request, status: int, sentence: str, detail: str = "") -> Response:
        operator = getattr(request.state, "actor", None)
        if operator is None:
            with contextlib.suppress(GatewayError):
                operator = await self._desk.access.actor(request)
        page = {"operator": operator, "path": "", "sentence": sentence, "detail": detail, "code": status}
        return await self._desk.renderer.page("admin_error", status, **page)

    async def _form(self, request: Request, there: str, error: GatewayError | None = None) -> Response:
        return await self._desk.renderer.page(
            "admin_login",
            200 if error is None else error.status,
            operator=None,
            path=request.url.path,
            next=there,
            refused=None if error is None else error.sentence if error.retry else error.detail,
            access=self._desk.access,
            origin=request.state.origin,
        )

    async def _strings(self, request: Request, *names: str) -> tuple[str, ...]:
        body = await self._desk.bodies.json(request, max_bytes=MAX_JSON, max_depth=2)
        values = tuple(body.get(name) for name in names) if isinstance(body, dict) else ()
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) != len(names):
            raise InvalidParams(f"needs {' and '.join(names)}")
        return texts

    def _with_cookie(self, answer: Response, entered: Entered) -> Response:
        answer.set_cookie(
            COOKIE,
            entered.token,
            max_age=entered.seconds,
            path=HOME,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return answer


def _inside(there: str) -> str:
    """Where to go after the log-in; only these pages."""
    inside = there == HOME or there.startswith((f"{HOME}/", f"{HOME}?"))
    return there if inside and "\\" not in there and there.isascii() and there.isprintable() else HOME
