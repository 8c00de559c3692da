"""What pages of other origins get, route by route; and what our own pages carry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount, Route

from gateway.web.origins import is_open, origin_of
from gateway.web.rendering import SECURITY_HEADERS
from tests.integration.web.conftest import Arrives
from tests.integration.web.visitors import ONE_LOOP
from tests.support.asgi import serving
from tests.support.house import House

pytestmark = ONE_LOOP
EVIL = "https://evil.example"
OPEN = {
    *(
        ("GET", f"{prefix}{path}{slash}")
        for prefix in ("", "/ds")
        for slash in ("", "/")
        for path in (
            "/hello",
            "/delivery-service-profile",
            "/profile/{name}",
            "/auth/{name}",
            "/delivery/messages/incoming/{name}",
            "/delivery/messages/{name}/contact/{contact}",
            "/notifications/global/{name}",
            "/notifications/{name}",
        )
    ),
    *(
        ("POST", f"{prefix}{path}{slash}")
        for prefix in ("", "/ds")
        for slash in ("", "/")
        for path in (
            "/profile/{name}",
            "/auth/{name}",
            "/delivery/messages/{name}/syncAcknowledgements",
            "/notifications/global/{name}",
            "/notifications/{name}",
            "/notifications/otp/{name}",
            "/notifications/otp/verify/{name}",
            "/notifications/channel/{name}",
        )
    ),
    *(
        ("DELETE", f"{prefix}/notifications/channel/{{kind}}/{{name}}{slash}")
        for prefix in ("", "/ds")
        for slash in ("", "/")
    ),
    *(("POST", path) for path in ("/", "/rpc", "/ds", "/ds/", "/ds/rpc")),
    ("GET", "/ccip"),
    ("GET", "/socket.io"),
    ("GET", "/openapi.json"),
    ("GET", "/ds/metrics"),
    ("GET", "/ds/metrics/"),
    ("GET", "/api/v1/mailbox"),
    ("POST", "/api/v1/mailbox/acknowledgements"),
    ("GET", "/api/v1/mailbox/requests"),
    ("POST", "/api/v1/mailbox/requests/{sender}"),
    ("POST", "/api/v1/mailbox/reports"),
    ("GET", "/api/v1/account"),
    ("GET", "/api/v1/account/rules"),
    ("PUT", "/api/v1/account/rules"),
    ("GET", "/api/v1/account/export"),
    ("GET", "/api/v1/account/removal/{address}"),
    ("POST", "/api/v1/account/removal"),
    ("DELETE", "/api/v1/session"),
    ("GET", "/api/v1/names"),
    ("GET", "/api/v1/names/{name}"),
    ("GET", "/api/v1/names/{name}/availability"),
    ("GET", "/api/v1/names/{name}/history"),
    ("GET", "/api/v1/names/{name}/primary"),
    ("GET", "/api/v1/names/{name}/resolution"),
}
"""Everything that pages of any origin may use. What is not here is for our own."""
PAGES = ("/", "/claim", "/claim?name=robert", "/me", "/names", "/names/ds.gw.eth", "/api/docs", "/no/such/page")


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of everything that the application serves; mounted parts by their prefix."""
    found: set[tuple[str, str]] = set()

    def walk(routes: list[BaseRoute]) -> None:
        for route in routes:
            if isinstance(route, (APIRoute, Route)):
                methods = route.methods or {"GET"}
                found.update((method, route.path) for method in methods - {"HEAD", "OPTIONS"})
            elif isinstance(route, Mount):
                found.add(("GET", route.path))
            else:
                included: Any = route
                walk(included.original_router.routes)

    walk(list(app.routes))
    return found


def filled(path: str) -> str:
    return path.replace("{", "").replace("}", "")


@pytest.mark.attack(45)
async def test_every_route_is_closed_to_other_origins_or_known_to_be_open(
    house: House, subtests: pytest.Subtests
) -> None:
    found = routes_of(house.gateway.app._app)  # type: ignore[attr-defined]
    assert len(found) > 70
    assert {path for _, path in found} > {"/", "/claim", "/me", "/names", "/names/{name}", "/static", "/api/v1/claims"}
    assert found | {("GET", "/ccip")} >= OPEN, "nothing is open that does not exist"
    for method, path in sorted(found):
        with subtests.test(f"{method} {path}"):
            opened = (method, path) in OPEN
            url = house.url + filled(path)
            wanted = {"access-control-request-method": method, "access-control-request-headers": "content-type"}
            preflight = await house.http.options(url, headers={"origin": EVIL, **wanted})
            answer = await house.http.request(method, url, headers={"origin": EVIL})
            if (method, path) == ("GET", "/"):
                # JSON-RPC is at the same path and answers for itself, for POST only.
                assert "GET" not in preflight.headers["access-control-allow-methods"]
                preflight = answer
            for each in (preflight, answer):
                allowed = each.headers.get_list("access-control-allow-origin")
                assert allowed == (["*"] if opened else []), each.text
                assert "access-control-allow-credentials" not in each.headers
                assert "set-cookie" not in each.headers
            if not opened and method != "GET":
                assert answer.status_code == 403
                assert "open them there" in answer.json()["detail"]


@pytest.mark.attack(45)
async def test_our_own_origin_is_let_in_and_programs_without_one(house: House) -> None:
    body = {"name": "robert.gw.eth", "address": "0x" + "12" * 20}
    for headers in ({"origin": house.url}, {}):
        answer = await house.http.post(f"{house.url}/api/v1/claims/message", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    for origin in ("null", house.url + "0", house.url.replace("http:", "https:"), f"{house.url}.evil.example"):
        answer = await house.http.post(f"{house.url}/api/v1/claims/message", json=body, headers={"origin": origin})
        assert answer.status_code == 403, origin


@asynccontextmanager
async def elsewhere(page: str) -> AsyncIterator[str]:
    """Another origin, which serves this page."""

    async def serve(_request: Request) -> HTMLResponse:
        return HTMLResponse(f"<title>elsewhere</title><link rel=icon href='data:,'>{page}")

    async with serving(Starlette(routes=[Route("/", serve)])) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.attack(45)
async def test_a_page_elsewhere_gets_nothing_out_of_a_visitor(house: House, arrives: Arrives) -> None:
    """A real browser at another origin: reading names works, all that changes something does not."""
    visitor = await arrives(extra_http_headers={})
    for each in ("CORS", "Failed to load resource", "a request to elsewhere"):
        visitor.expect(each)
    script = """async ([url, method, path]) => {
      const options = method === "GET" ? {} : { method, body: "{}" };
      try { return (await fetch(url + path, options)).status; } catch (error) { return String(error); }
    }"""
    async with elsewhere("") as url:
        await visitor.page.goto(url)
        assert await visitor.page.evaluate(script, [house.url, "GET", "/api/v1/names"]) == 200
        for method, path in (("POST", "/api/v1/claims"), ("GET", "/me"), ("GET", "/api/v1/wallet/names")):
            assert "Failed to fetch" in await visitor.page.evaluate(script, [house.url, method, path])
    assert len([each for each in visitor.problems if "CORS" in each]) == 3


@pytest.mark.attack(45)
@pytest.mark.parametrize("path", PAGES)
async def test_pages_carry_their_headers(house: House, path: str) -> None:
    answer = await house.http.get(house.url + path, headers={"accept": "text/html"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers.items() >= SECURITY_HEADERS.items()
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert {"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= {
        each.strip() for each in policy.split(";")
    }
    for inline in ("<style", " style=", " onclick=", "javascript:"):
        assert inline not in answer.text
    assert answer.text.count("<script") == answer.text.count('<script type="module" src="/static/js/')


@pytest.mark.attack(45)
async def test_a_page_cannot_be_framed(house: House, arrives: Arrives) -> None:
    visitor = await arrives()
    for each in ("frame-ancestors", "a request to elsewhere"):
        visitor.expect(each)
    async with elsewhere(f"<iframe src='{house.url}/me'></iframe>") as url:
        await visitor.page.goto(url)
        assert any("frame-ancestors" in each for each in visitor.problems)
        await expect(visitor.page.frame_locator("iframe").get_by_role("heading", name="My names")).to_have_count(0)


async def test_static_files_are_asked_for_anew_and_answered_in_short(house: House) -> None:
    for path in ("/static/site.css", "/static/js/claim.js", "/favicon.ico"):
        first = await house.http.get(house.url + path)
        assert first.headers["cache-control"] == "no-cache"
        assert first.headers["x-content-type-options"] == "nosniff"
        again = await house.http.get(house.url + path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code in (200, 304)
    assert again.headers["etag"] == first.headers["etag"]
    assert "Disallow: /me" in (await house.http.get(f"{house.url}/robots.txt")).text


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://gw.example", "https://gw.example"),
        ("https://GW.example:443/", "https://gw.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:80/x", "http://[::1]"),
    ],
)
async def test_origins_as_browsers_write_them(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/dsx"), ("GET", "/api/v1/namesx"), ("GET", "/"), ("POST", "/api/v1/names/x/orders"), ("GET", "/ccipx")],
)
async def test_what_only_looks_like_an_open_path(method: str, path: str) -> None:
    assert not is_open(method, path)
