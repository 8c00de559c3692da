"""The door beside the application: what goes through it, and what does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.web.direct import Direct


def saying(text: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> ASGIApp:
    async def endpoint(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": text})

    return endpoint


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    endpoints = {("POST", "/rpc"): saying(b"endpoint"), ("OPTIONS", "/rpc"): saying(b"cors")}
    app = Direct(saying(b"application"), endpoints, {"/ccip": saying(b"tree")})
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gw.example") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("POST", "/rpc", "endpoint"),
        ("POST", "/rpc?x=1", "endpoint"),
        ("OPTIONS", "/rpc", "cors"),
        ("GET", "/rpc", "application"),
        ("POST", "/rpc/", "application"),
        ("POST", "/", "application"),
        ("GET", "/ccip", "tree"),
        ("GET", "/ccip/", "tree"),
        ("GET", "/ccip/0x12/0x34.json?via=0x12", "tree"),
        ("DELETE", "/ccip/x", "tree"),
        ("OPTIONS", "/ccip", "tree"),
        ("GET", "/ccipx", "application"),
        ("GET", "/x/ccip", "application"),
        ("GET", "//ccip", "application"),
    ],
)
async def test_only_the_named_methods_and_paths_go_through(
    http: httpx2.AsyncClient, method: str, path: str, who: str
) -> None:
    assert (await http.request(method, path)).text == who


async def test_what_is_no_request_goes_to_the_application() -> None:
    asked: list[Any] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        asked.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nobody asks")

    direct = Direct(app, {("GET", "/ws"): nothing}, {"/ws": nothing})
    await direct({"type": "websocket", "path": "/ws"}, nothing, nothing)
    await direct({"type": "lifespan"}, nothing, nothing)
    assert asked == ["websocket", "lifespan"]
