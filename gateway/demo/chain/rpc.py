"""JSON-RPC 2.0 over HTTP for the local chain: bytes in, bytes out, and the ASGI application around it.

Single and batch requests, CORS for every origin. Whatever comes in, the answer is JSON-RPC; error codes are those of
the specification's section 5.1, of EIP-1474 and, for reverts, geth's 3 with the revert data in ``data``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.failures import Reverted
from gateway.demo.chain.methods import METHODS
from gateway.dm3.canonical import Json, JsonObject, parse_json
from gateway.errors import GatewayError, InvalidParams, InvalidRequest, MethodNotFound, TooLarge

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_BATCH: Final = 1000
_INTERNAL_ERROR: Final = -32603


def answer(chain: DevChain, body: bytes) -> bytes | None:
    """The reply to one HTTP body, or None when it held notifications only. Raises nothing."""
    try:
        request = parse_json(body, max_bytes=MAX_BODY_BYTES)
        if isinstance(request, list):
            return _encode(_answer_batch(chain, request))
    except GatewayError as error:
        return _encode(_failure(None, error))
    return _encode(_answer_one(chain, request))


def rpc_app(chain: DevChain) -> Starlette:
    """The ASGI application; its one thread keeps execution off the event loop and calls in order."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chain")

    async def endpoint(request: Request) -> Response:
        try:
            body = await _read(request)
        except TooLarge as error:
            return _json(_encode(_failure(None, error)))
        return _json(await asyncio.get_running_loop().run_in_executor(executor, answer, chain, body))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        executor.shutdown()

    return Starlette(
        routes=[Route("/", endpoint, methods=["POST"])],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])],
        lifespan=lifespan,
    )


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _json(body: bytes | None) -> Response:
    if body is None:
        return Response(status_code=204)
    return Response(body, media_type="application/json")


def _encode(reply: Json) -> bytes | None:
    return None if reply is None else json.dumps(reply, separators=(",", ":")).encode()


def _answer_batch(chain: DevChain, requests: list[Json]) -> Json:
    if not requests:
        raise InvalidRequest("an empty batch")
    if len(requests) > MAX_BATCH:
        raise InvalidRequest(f"a batch of more than {MAX_BATCH}")
    replies: list[Json] = [
        reply for reply in (_answer_one(chain, request) for request in requests) if reply is not None
    ]
    return replies or None


def _answer_one(chain: DevChain, request: Json) -> Json:
    if not isinstance(request, dict):
        return _failure(None, InvalidRequest("not an object"))
    identifier = request.get("id")
    if not isinstance(identifier, str | int | float | None):
        return _failure(None, InvalidRequest("an id is a string, a number or null"))
    try:
        reply: JsonObject = {"jsonrpc": "2.0", "id": identifier, "result": _dispatch(chain, request)}
    except GatewayError as error:
        reply = _failure(identifier, error)
    except Exception as error:
        # A defect of ours or of the machine under us; the client must not wait for ever nor see a traceback.
        log.error("chain.internal_error", method=str(request.get("method"))[:64], error=type(error).__name__)
        reply = {"jsonrpc": "2.0", "id": identifier, "error": {"code": _INTERNAL_ERROR, "message": "internal error"}}
    return reply if "id" in request else None


def _dispatch(chain: DevChain, request: JsonObject) -> Json:
    name, params = request.get("method"), request.get("params", [])
    if request.get("jsonrpc") != "2.0" or not isinstance(name, str):
        raise InvalidRequest("no JSON-RPC 2.0 request object")
    method = METHODS.get(name)
    if method is None:
        raise MethodNotFound(f"the method {name[:64]} does not exist/is not available")
    if params is None:
        params = []
    if not isinstance(params, list):
        raise InvalidParams("non-array args")
    return method(chain, params)


def _failure(identifier: Json, error: GatewayError) -> JsonObject:
    details: JsonObject = {"code": error.code, "message": error.detail}
    if isinstance(error, Reverted):
        details["data"] = "0x" + error.data.hex()
    return {"jsonrpc": "2.0", "id": identifier, "error": details}
