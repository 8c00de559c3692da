"""The page at /api/docs: every operation of the HTTP interface, rendered here, loading nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from gateway.web.home import SECURITY_HEADERS


def api_docs_router() -> APIRouter:
    """`GET /api/docs`."""

    async def api_docs(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(request.app.openapi()), headers=SECURITY_HEADERS)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/api/docs", api_docs, methods=["GET"])
    return router


def _page(schema: dict[str, Any]) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Interfaces - DM3 Gateway</title>
<link rel="stylesheet" href="/static/site.css">
</head>
<body>
<main>
<h1>Interfaces</h1>
<p>Version {escape(schema["info"]["version"])}. For programs: <a href="/openapi.json">OpenAPI description</a>. JSON-RPC
calls of DM3-MTP go to <code>/ds/rpc</code>, CCIP-read to <code>/ccip</code>.</p>
<dl>
{"".join(_entries(schema["paths"]))}</dl>
</main>
</body>
</html>
"""


def _entries(paths: dict[str, dict[str, Any]]) -> Iterator[str]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            about = operation.get("description") or operation.get("summary", "")
            yield f"<dt><code>{escape(method.upper())} {escape(path)}</code></dt>\n<dd>{escape(about)}</dd>\n"
