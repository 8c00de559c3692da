"""JSON-RPC 2.0 as DM3 clients speak it: lenient about `id` and `jsonrpc`, strict about all else.

The published clients look at the HTTP status only, clients of the specification at the body, so an error is both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.dm3.canonical import Json, JsonObject, parse_json, stringify
from gateway.errors import GatewayError, InvalidRequest

MAX_PARAMS = 4
MAX_DEPTH = 12
"""Levels of one call; an envelope given as an object has four."""

CallId = str | int | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request object (JSON-RPC 2.0, section 4)."""

    id: CallId
    method: str
    params: tuple[Json, ...]
    size: int = field(default=0, compare=False)
    """Bytes of the request that it came in."""


def parse_call(body: bytes, *, max_bytes: int) -> Call:
    """Read one call; raises TooLarge, ParseError and, with everything else, InvalidRequest."""
    value = parse_json(body, max_bytes=max_bytes, max_depth=MAX_DEPTH)
    if isinstance(value, list):
        raise InvalidRequest("batches are not supported; send one call per request")
    if not isinstance(value, dict):
        raise InvalidRequest("a call is an object")
    method, params = value.get("method"), value.get("params", [])
    if not isinstance(method, str) or not method:
        raise InvalidRequest("method must be a string")
    if value.get("jsonrpc", "2.0") != "2.0":
        raise InvalidRequest("jsonrpc must be 2.0")
    if not isinstance(params, list):
        raise InvalidRequest("params must be an array")
    if len(params) > MAX_PARAMS:
        raise InvalidRequest(f"at most {MAX_PARAMS} params are taken")
    return Call(call_id(value), method, tuple(params), len(body))


def call_id(value: Json) -> CallId:
    """The id to answer with: as given when JSON-RPC allows it, else null."""
    found = value.get("id") if isinstance(value, dict) else None
    usable = isinstance(found, str | int | float) and not isinstance(found, bool)
    return found if usable and len(str(found)) <= 256 else None  # type: ignore[return-value]


def result_body(identifier: CallId, result: Json) -> bytes:
    """A success response (section 5)."""
    return f'{{"id":{stringify(identifier)},"jsonrpc":"2.0","result":{stringify(result)}}}'.encode()


def error_body(identifier: CallId, error: GatewayError) -> bytes:
    """An error response (section 5.1): the sentence for people, the detail as data."""
    fault: JsonObject = {"code": error.code, "message": error.sentence, "data": {"detail": error.detail}}
    if error.retry:
        fault["data"] = {"detail": error.detail, "retry": True}
    return _body({"jsonrpc": "2.0", "id": identifier, "error": fault})


def _body(value: JsonObject) -> bytes:
    return stringify(value).encode()
