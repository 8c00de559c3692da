"""The page at /api/docs: every operation of the HTTP interface, rendered here, loading nothing from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.web.rendering import Renderer


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, and what it does in words."""

    part: str
    method: str
    path: str
    about: str


def api_docs_router(renderer: Renderer) -> APIRouter:
    """`GET /api/docs`."""

    async def api_docs(request: Request) -> Response:
        schema = request.app.openapi()
        found = sorted(_operations(schema["paths"]), key=lambda each: each.part)
        parts = {part: list(rows) for part, rows in groupby(found, key=lambda each: each.part)}
        return await renderer.page("api_docs", version=schema["info"]["version"], parts=parts)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/api/docs", api_docs, methods=["GET"])
    return router


def _operations(paths: dict[str, dict[str, Any]]) -> list[Operation]:
    return [
        Operation(
            next(iter(operation.get("tags", ())), "more"),
            method.upper(),
            path,
            operation.get("description") or operation.get("summary", ""),
        )
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
