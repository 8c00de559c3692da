"""What the homeserver asks of an application service (Application Service API), under the stable and the old paths."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.matrix.errors import BadEvent
from adapters.matrix.transactions import MAX_BODY
from gateway.sdk import GatewayError, LimitExceeded

log = structlog.get_logger(__name__)

ROOT: Final = "/_matrix"
STABLE: Final = f"{ROOT}/app"
BODY_SECONDS: Final = 60.0
LOOKUP_SECONDS: Final = 20.0
"""For finding out whether a name exists: a person waits, and so does a worker of the homeserver."""
Methods = Mapping[str, Callable[[Request], Awaitable[Any]]]


class Service(Protocol):
    """What the endpoint serves; each may raise GatewayError, which the homeserver sees as "later" when it may pass."""

    def authorised(self, token: str) -> bool: ...

    async def transaction(self, body: bytes) -> None: ...

    async def user_exists(self, user: str) -> bool: ...

    async def room_exists(self, alias: str) -> bool: ...

    async def protocol(self, name: str) -> Mapping[str, Any] | None: ...

    async def find_users(self, protocol: str, fields: Mapping[str, str]) -> Sequence[Mapping[str, Any]] | None: ...

    async def users_behind(self, user: str) -> Sequence[Mapping[str, Any]]: ...


class Refusal(Exception):
    """An answer in the form of a Matrix standard error response."""

    def __init__(self, status: int, errcode: str, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.errcode = errcode
        self.error = error


FORBIDDEN: Final = Refusal(403, "M_FORBIDDEN", "The token is not the one of this application service.")
UNAUTHORISED: Final = Refusal(401, "M_MISSING_TOKEN", "An Authorization header with a bearer token is needed.")
UNKNOWN_ROUTE: Final = Refusal(404, "M_UNRECOGNIZED", "There is nothing at this path.")
WRONG_METHOD: Final = Refusal(405, "M_UNRECOGNIZED", "This path does not take this method.")
NOT_FOUND: Final = Refusal(404, "M_NOT_FOUND", "There is no such thing here.")
TOO_LARGE: Final = Refusal(413, "M_TOO_LARGE", f"A transaction has at most {MAX_BODY} bytes.")


def tree(service: Service) -> ASGIApp:
    """All below ``/_matrix``: the interface at ``/_matrix/app/v1/…``, and nothing else."""
    questions = _Questions(service)
    table: dict[str, Methods] = {
        **_old(questions),
        "/ping": {"POST": questions.ping},
        "/thirdparty/protocol/{protocol}": {"GET": questions.protocol},
        "/thirdparty/user/{protocol}": {"GET": questions.find_users},
        "/thirdparty/user": {"GET": questions.users_behind},
        "/thirdparty/location/{protocol}": {"GET": questions.no_locations},
        "/thirdparty/location": {"GET": questions.no_locations},
    }
    nothing = _Door(service, {})
    below = [
        Route(f"{STABLE}/{version}{path}", _Door(service, methods))
        for version in ("v1", "unstable")
        for path, methods in table.items()
    ]
    return Router(below, redirect_slashes=False, default=nothing)


def old_routes(service: Service) -> list[BaseRoute]:
    """The paths of homeservers before the first version of the specification."""
    return [Route(path, _Door(service, methods)) for path, methods in _old(_Questions(service)).items()]


def _old(questions: _Questions) -> dict[str, Methods]:
    return {
        "/transactions/{txn}": {"PUT": questions.transaction},
        "/users/{user:path}": {"GET": questions.user},
        "/rooms/{alias:path}": {"GET": questions.room},
    }


class _Door:
    """One path, for all methods: every outcome is JSON in the form that the specification wants."""

    def __init__(self, service: Service, methods: Methods) -> None:
        self._service = service
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            _authorise(self._service, request)
            if not self._methods:
                raise UNKNOWN_ROUTE
            question = self._methods.get(request.method)
            if question is None:
                raise WRONG_METHOD
            return JSONResponse(await question(request))
        except Refusal as refusal:
            return _error(refusal)
        except ClientDisconnect:
            return _error(Refusal(400, "M_UNKNOWN", "The connection was closed before the body was complete."))
        except BadEvent as error:
            return _error(Refusal(400, "M_NOT_JSON" if error.syntax else "M_BAD_JSON", str(error)))
        except LimitExceeded as error:
            return _error(Refusal(429, "M_LIMIT_EXCEEDED", error.sentence))
        except GatewayError as error:
            log.warning("matrix.request_failed", error=type(error).__name__, detail=error.detail)
            return _error(Refusal(error.status, "M_UNKNOWN", error.sentence))


def _authorise(service: Service, request: Request) -> None:
    """The header, or the query parameter of homeservers before 1.4 of the specification; both only when they agree."""
    headers = request.headers.getlist("authorization")
    given = [value[7:].strip() for value in headers if value[:7].lower() == "bearer "]
    given += request.query_params.getlist("access_token")
    if not given or len(headers) != sum(value[:7].lower() == "bearer " for value in headers):
        raise UNAUTHORISED
    if len(headers) > 1 or not all(service.authorised(token) for token in given):
        raise FORBIDDEN


def same(one: str, other: str) -> bool:
    """Compare two tokens in a time that tells nothing about them."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def _error(refusal: Refusal) -> JSONResponse:
    return JSONResponse({"errcode": refusal.errcode, "error": refusal.error}, refusal.status)


class _Questions:
    """One method for each question."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def transaction(self, request: Request) -> Mapping[str, Any]:
        """``PUT transactions/{txnId}``: 200 only when everything in it is on disk."""
        await self._service.transaction(await _body(request))
        return {}

    async def user(self, request: Request) -> Mapping[str, Any]:
        """``GET users/{userId}``: whether it stands for a name that can be written to."""
        return await self._exists(self._service.user_exists(request.path_params["user"]))

    async def room(self, request: Request) -> Mapping[str, Any]:
        """``GET rooms/{roomAlias}``: our aliases are for conversations that exist already."""
        return await self._exists(self._service.room_exists(request.path_params["alias"]))

    async def _exists(self, question: Awaitable[bool]) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found = await question
        except TimeoutError:
            raise Refusal(504, "M_UNKNOWN", "Whether it exists could not be found out in time.") from None
        if not found:
            raise NOT_FOUND
        return {}

    async def ping(self, request: Request) -> Mapping[str, Any]:
        """``POST ping``: the homeserver reaches us."""
        await _body(request)
        return {}

    async def protocol(self, request: Request) -> Mapping[str, Any]:
        """``GET thirdparty/protocol/{protocol}``."""
        found = await self._service.protocol(request.path_params["protocol"])
        if found is None:
            raise NOT_FOUND
        return found

    async def find_users(self, request: Request) -> Sequence[Mapping[str, Any]]:
        """``GET thirdparty/user/{protocol}``: people by their ENS names."""
        fields = {key: value for key, value in request.query_params.items() if key != "access_token"}
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await self._service.find_users(request.path_params["protocol"], fields)
        if found is None:
            raise NOT_FOUND
        return found

    async def users_behind(self, request: Request) -> Sequence[Mapping[str, Any]]:
        """``GET thirdparty/user?userid=``: which name a ghost stands for."""
        return await self._service.users_behind(request.query_params.get("userid", ""))

    async def no_locations(self, _request: Request) -> Sequence[Mapping[str, Any]]:
        """DM3 has no rooms."""
        return []


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > MAX_BODY:
        raise TOO_LARGE
    parts = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                parts += part
                if len(parts) > MAX_BODY:
                    raise TOO_LARGE
    except TimeoutError:
        raise Refusal(408, "M_UNKNOWN", "The body did not arrive in time.") from None
    return bytes(parts)
