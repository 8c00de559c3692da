"""The HTTP side of CCIP-read (ERC-3668): a plain ASGI application and its routes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import structlog

from gateway.dm3.canonical import parse_object, stringify
from gateway.errors import GatewayError, InvalidInput, TooLarge
from gateway.ids import EthAddress
from gateway.resolver.answers import Answers
from gateway.resolver.calls import MAX_CALLDATA
from gateway.resolver.registries.registries import FOLLOWED
from gateway.watch import Counted, Watch

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

CCIP_PATH: Final = "/ccip"
"""Where it is served; it routes all paths below by itself."""
BATCH_PATH: Final = "/ccip-batch"
"""The same for the batch gateway (ENSIP-21)."""
MAX_BODY: Final = 2 * MAX_CALLDATA + 1024
BODY_TIMEOUT: Final = 10.0
"""Seconds that a client has for the body of a POST."""
MAX_AGE: Final = 60
"""Seconds for which caches may keep an answer at most; always below a quarter of the signature's life."""

_FOLLOWED: Final = FOLLOWED.encode()
_SENDER: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
# Browsers ask from any page: a resolver that hides behind an origin cannot be used by wallets (ENSIP-22).
_CORS: Final = (b"access-control-allow-origin", b"*")
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"86400"),
]

log = structlog.get_logger(__name__)


class CcipEndpoint:
    """``GET /{sender}/{data}[.json]`` and ``POST /`` with {"sender", "data"}; also under a leading ``path``.

    Answers {"data": "0x..."} or an error with {"message"}: 400 for bad data, 404 for a contract or name that is not
    ours, 405, 408, 413, 429; 503 only when something of ours does not answer. Query strings are ignored: a URL template
    may carry what it must carry there. Looked-up names are not logged.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        path: str = CCIP_PATH,
        admit: Callable[[Scope], None] = lambda _scope: None,
        watch: Watch | None = None,
    ) -> None:
        """``admit`` looks at each question before it is read, and raises LimitExceeded for whoever has to wait."""
        self._answers = answers
        self._path = path
        self._admit = admit
        self._watch = watch or Watch()
        self._door = path.strip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry; serves HTTP only."""
        if scope["type"] != "http":
            return
        begun = self._watch.begin()
        try:
            status, body, headers = await self._respond(scope, receive)
        except GatewayError as error:
            if error.status >= 500:
                log.warning("ccip.unavailable", error=type(error).__name__, detail=error.detail)
            message = error.detail if error.status < 500 else error.sentence
            status, body, headers = _failure(error.status, message)
        except Exception:
            log.exception("ccip.failed")
            status, body, headers = _failure(500, GatewayError.sentence)
        self._watch.count(Counted.LOOKED_UP, self._door, str(status))
        self._watch.end("look-up", begun, door=self._door, outcome=str(status))
        await _send(send, status, body, headers)

    async def _respond(self, scope: Scope, receive: Receive) -> tuple[int, bytes, Headers]:
        if scope["method"] == "OPTIONS":
            return 204, b"", _PREFLIGHT
        self._admit(scope)
        path = _path(scope, self._path)
        match scope["method"]:
            case "GET" if path:
                sender, _, data = path.removesuffix(".json").partition("/")
            case "POST" if not path:
                try:
                    body = await asyncio.wait_for(_body(scope, receive), BODY_TIMEOUT)
                except TimeoutError:
                    return _failure(408, "the body did not arrive in time")
                sender, data = _from_body(body)
            case _:
                return _failure(405 if scope["method"] not in ("GET", "POST") else 404, "no such resource")
        followed = any(name == _FOLLOWED for name, _ in scope.get("headers", ()))
        answer = await self._answers.answer(_sender(sender), _calldata(data), followed=followed)
        return 200, b'{"data":"0x' + answer.data.hex().encode() + b'"}', [_keeping(answer.ttl)]


def _keeping(ttl: int) -> tuple[bytes, bytes]:
    max_age = min(MAX_AGE, ttl // 4)
    return b"cache-control", b"public, max-age=%d" % max_age if max_age else b"no-store"


def _path(scope: Scope, prefix: str) -> str:
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    return path.removeprefix(prefix).strip("/")


def _sender(text: str) -> EthAddress:
    if not _SENDER.fullmatch(text):
        raise InvalidInput("sender is not an address")
    return EthAddress(text.lower())


def _calldata(text: str) -> bytes:
    if len(text) > 2 * MAX_CALLDATA + 2:
        raise TooLarge(f"data of more than {MAX_CALLDATA} bytes")
    digits = text[2:]
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = None
    # Blanks would be skipped.
    if data is None or text[:2] not in ("0x", "0X") or 2 * len(data) != len(digits):
        raise InvalidInput("data is not hex")
    return data


def _from_body(body: bytes) -> tuple[str, str]:
    fields = parse_object(body, max_bytes=MAX_BODY, max_depth=4)
    sender, data = fields.get("sender"), fields.get("data")
    if not isinstance(sender, str) or not isinstance(data, str):
        raise InvalidInput("the body must have the texts sender and data")
    return sender, data


async def _body(scope: Scope, receive: Receive) -> bytes:
    announced = dict(scope.get("headers", ())).get(b"content-length", b"0")
    if announced.isdigit() and int(announced[:20]) > MAX_BODY:
        raise TooLarge(f"body of more than {MAX_BODY} bytes")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("the client left")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise TooLarge(f"body of more than {MAX_BODY} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _failure(status: int, message: str) -> tuple[int, bytes, Headers]:
    return status, stringify({"message": message}).encode(), [(b"cache-control", b"no-store")]


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    # Clients read a body of any other type as bare hex.
    kind = [(b"content-type", b"application/json")] if body else []
    length = [(b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*kind, *length, *headers, _CORS]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
