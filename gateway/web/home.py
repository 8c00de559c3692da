"""The front page: what this server is and where its doors are. The claim page and the directory come beside it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from gateway.ids import EnsName

STATIC = Path(__file__).parent / "static"
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def static_files() -> BaseRoute:
    """Stylesheets of the pages, under /static."""
    return Mount("/static", StaticFiles(directory=STATIC), name="static")


def home_router(service: EnsName) -> APIRouter:
    """`GET /`."""
    page = _page(service)

    async def home() -> HTMLResponse:
        return HTMLResponse(page, headers=SECURITY_HEADERS)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", home, methods=["GET"])
    return router


def _page(service: EnsName) -> str:
    name = escape(service)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DM3 Gateway</title>
<link rel="stylesheet" href="/static/site.css">
</head>
<body>
<main>
<h1>DM3 Gateway</h1>
<p>This server is the DM3 delivery service <code>{name}</code>. It keeps encrypted messages between ENS names until
they are picked up, and passes messages on to and from other networks.</p>
<dl>
<dt>For clients</dt>
<dd><a href="/ds/delivery-service-profile">Delivery service profile</a>; JSON-RPC at <code>/ds/rpc</code></dd>
<dt>For developers</dt>
<dd><a href="/api/docs">Description of the interfaces</a>, also as <a href="/openapi.json">OpenAPI</a></dd>
<dt>For operators</dt>
<dd><a href="/readyz">State of this node</a></dd>
</dl>
</main>
</body>
</html>
"""
