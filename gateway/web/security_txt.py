"""`/.well-known/security.txt` (RFC 9116): whom to tell of a weakness of this server, when its operator says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from gateway.lifecycle import Clock

PATH: Final = "/.well-known/security.txt"
VALID: Final = timedelta(days=90)
"""For which what stands there may be believed; section 2.5.5 wants less than a year."""


def security_text(contact: str, public_url: str, now: datetime) -> str:
    """The file; ``contact`` is a URI, ``now`` in UTC. Pure."""
    until = (now + VALID).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = (f"Contact: {contact}", f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}", f"Canonical: {public_url}{PATH}")
    return "\n".join(lines) + "\n"


def security_txt(contact: str | None, public_url: str, clock: Clock) -> APIRouter:
    """The route; none without a contact."""
    router = APIRouter(include_in_schema=False)
    if contact is None:
        return router
    told = contact

    async def answer() -> Response:
        return PlainTextResponse(security_text(told, public_url, datetime.fromtimestamp(clock() / 1000, UTC)))

    router.add_api_route(PATH, answer, methods=["GET", "HEAD"])
    return router
