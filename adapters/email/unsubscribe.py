"""The way out of mail that nobody asked for: a link that blocks one DM3 sender for one person.

RFC 2369 section 3.2 and RFC 8058: mail programs show a button for it. Opening the link only asks; the button on the
page, or the mail provider's own, sends the request that blocks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from adapters.email.dated import DatedValues
from gateway.sdk import AdapterContext, CanonicalId, EnsName, GatewayError

log = structlog.get_logger(__name__)

KIND: Final = "unsubscribe"
DAYS: Final = 365
PATH: Final = "/email/unsubscribe/"
ONE_CLICK: Final = "List-Unsubscribe=One-Click"
_TOKEN_BYTES: Final = 20
_MAX_BODY: Final = 8 * 1024
_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}


@dataclass(frozen=True, slots=True)
class WayOut:
    """What a mail says about it."""

    link: str

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields; one click is offered over HTTPS alone (RFC 8058, section 3.1)."""
        fields = {"List-Unsubscribe": f"<{self.link}>"}
        if self.link.startswith("https://"):
            fields["List-Unsubscribe-Post"] = ONE_CLICK
        return fields


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """Makes links and does what they say."""

    ctx: AdapterContext

    @property
    def _kept(self) -> DatedValues:
        return DatedValues(self.ctx.values, self.ctx.now_ms, KIND, DAYS)

    async def way_out(self, person: CanonicalId, name: EnsName) -> WayOut:
        """A link for one person and one sender, always the same; it works for a year, and again after a new mail."""
        token = self._token(person, name)
        if await self._kept.get(token) is None:
            await self._kept.put(token, json.dumps([person, name]), self.ctx.now_ms())
        return WayOut(f"{self.ctx.public_url}{PATH}{token}")

    def _token(self, person: CanonicalId, name: EnsName) -> str:
        key = self.ctx.secret("unsubscribe")
        digest = hmac.digest(key, f"{person}\0{name}".encode(), hashlib.sha256)
        return base64.b32encode(digest[:_TOKEN_BYTES]).decode().lower()

    async def forget_old(self) -> int:
        """Forget links of mail that nobody opens any more."""
        return await self._kept.forget_old()

    async def answer(self, request: Request) -> Response:
        """GET asks, POST blocks."""
        token = request.path_params["token"].lower()
        try:
            text = await self._kept.get(token) if token.isascii() and len(token) <= 64 else None
            pair = json.loads(text) if text else ("", "")
            person, name = CanonicalId(pair[0]), EnsName(pair[1])
            if not hmac.compare_digest(token.encode(), self._token(person, name).encode()):
                return _page("This link is not known", "It may have been cut off by a mail program.", status=404)
            if request.method != "POST":
                return _question(name)
            if not await _confirmed(request):
                return _page("Nothing was changed", "The request does not say what to do.", status=400)
            await self.ctx.people.block(person, name)
        except GatewayError as error:
            return _page("This did not work", error.sentence, status=error.status)
        log.info("unsubscribe.blocked")
        return _page("Done", f"You get no more mail from {name}.")


async def _confirmed(request: Request) -> bool:
    """Whether the body is that of RFC 8058 section 3.2, in either form of encoding; of bounded size."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _MAX_BODY:
            return False
    return b"List-Unsubscribe" in body and b"One-Click" in body


def _question(name: str) -> Response:
    text = html.escape(name)
    form = (
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        f"<button>Block {text}</button></form>"
    )
    return _page(f"Do you want no more mail from {name}?", "Other senders are not affected.", form)


def _page(title: str, text: str, form: str = "", *, status: int = 200) -> Response:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    body = f"<title>{html.escape(title)}</title><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{form}</html>"
    return HTMLResponse(head + body, status, dict(_HEADERS))
