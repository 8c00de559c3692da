"""Stylesheet, scripts and icons under /static, and the two files that browsers and robots look for at the root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC: Final = Path(__file__).parent / "static"
_HEADERS: Final = {
    # Modules import one another by plain names, so each is asked for anew; an unchanged one is answered 304.
    "cache-control": "no-cache",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_ROBOTS: Final = "User-agent: *\nDisallow: /api/\nDisallow: /ccip\nDisallow: /claim\nDisallow: /ds\nDisallow: /me\n"


def static_files() -> BaseRoute:
    """The folder."""
    return Mount("/static", _Files(directory=STATIC), name="static")


def root_files() -> APIRouter:
    """`/favicon.ico` and `/robots.txt`."""

    async def favicon() -> Response:
        return FileResponse(STATIC / "favicon.svg", headers=_HEADERS)

    async def robots() -> Response:
        return PlainTextResponse(_ROBOTS, headers=_HEADERS)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/favicon.ico", favicon, methods=["GET"])
    router.add_api_route("/robots.txt", robots, methods=["GET"])
    return router


class _Files(StaticFiles):
    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response
