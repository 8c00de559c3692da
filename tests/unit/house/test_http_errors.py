"""Whatever goes wrong on a route, the answer is JSON with a sentence, and never says what our code looks like."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import APIRouter

from gateway.errors import GatewayError, InvalidParams, LimitExceeded, UnknownName
from gateway.web.application import http_app

CANARY = "canary-of-our-own"


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/bug")
    async def bug() -> None:
        raise RuntimeError(CANARY)

    @router.get("/named")
    async def named() -> None:
        raise UnknownName(CANARY)

    @router.get("/busy")
    async def busy() -> None:
        raise LimitExceeded(CANARY)

    @router.get("/number/{value}")
    async def number(value: int) -> int:
        return value

    return router


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(http_app([], [routes()]), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/bug", 500, GatewayError.sentence),
        ("/named", 404, UnknownName.sentence),
        ("/busy", 429, LimitExceeded.sentence),
        ("/number/x", 400, InvalidParams.sentence),
        ("/nowhere", 404, "Not found."),
    ],
)
async def test_an_error_is_json_with_a_sentence(
    http: httpx2.AsyncClient, path: str, status: int, sentence: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (status, {"error": sentence})
    assert answer.headers["content-type"] == "application/json"
    assert CANARY not in answer.text


async def test_a_method_that_is_not_there(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/bug")
    assert (answer.status_code, set(answer.json())) == (405, {"error"})


async def test_right_requests_are_not_touched(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/number/7")).json() == 7
