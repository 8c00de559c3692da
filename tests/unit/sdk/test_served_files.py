"""Files behind links: nothing of a stranger is run or named as its writer wants."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.sdk.served_files import SHOWN, file_response, no_file


async def content() -> AsyncIterator[bytes]:
    yield b"<script>"


def got(response: Response) -> TestClient:
    async def serve(request: Request) -> Response:
        return response

    return TestClient(Starlette(routes=[Route("/", serve)]))


@pytest.mark.attack(26)
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "", "a\r\nX: y"])
def test_what_a_browser_would_run_is_bytes_to_be_saved(kind: str, in_place: bool) -> None:
    answer = got(file_response(content(), name="a.html", media_type=kind, in_place=in_place)).get("/")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x" not in answer.headers


@pytest.mark.parametrize("kind", sorted(SHOWN))
def test_pictures_are_shown_where_that_is_wanted(kind: str) -> None:
    shown = got(file_response(content(), name='a"\r\n.png', media_type=kind, size=8, in_place=True)).get("/")
    assert shown.headers["content-disposition"] == "inline; filename*=UTF-8''a%22%0D%0A.png"
    assert (shown.headers["content-type"], shown.headers["content-length"]) == (kind, "8")
    saved = got(file_response(content(), name="a", media_type=kind)).get("/")
    assert saved.headers["content-disposition"].startswith("attachment;")


def test_why_there_is_none_is_kept_by_nobody() -> None:
    answer = got(no_file(404, "Gone.")).get("/")
    assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (404, "Gone.\n", "no-store")
