"""Signed links to files that we keep for some days: who has the link may fetch the file.

The link holds the key that opens the file, so it alone is enough, and without it the file is nothing. Every file is
saved and never shown in place.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.email.kept_files import KEY_BYTES, KeptFiles
from gateway.sdk import GatewayError
from gateway.sdk.served_files import file_response, no_file

PATH: Final = "/files/email"
PURPOSE: Final = "links to files"
MAC_BYTES: Final = 12
_UNTIL_BYTES: Final = 4
MAX_NAME_IN_LINK: Final = 60


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads links; ``key`` is secret and the same on every node."""

    base: str
    key: bytes = field(repr=False)

    def to(self, file_key: bytes, until: int, name: str = "") -> str:
        """The address of a file until ``until`` (ms since the epoch); the name is for people who look at it."""
        signed = file_key + (until // 1000).to_bytes(_UNTIL_BYTES, "big")
        token = base64.urlsafe_b64encode(signed + self._mac(signed)).decode().rstrip("=")
        shown = f"/{quote(name[:MAX_NAME_IN_LINK].encode('utf-8', 'replace'), safe='')}" if name else ""
        return f"{self.base}{PATH}/{token}{shown}"

    def file_key(self, token: str, now: int) -> bytes | None:
        """The key in a link that we made and that still holds at ``now`` (ms); else None."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        signed, mac = raw[: KEY_BYTES + _UNTIL_BYTES], raw[KEY_BYTES + _UNTIL_BYTES :]
        if not hmac.compare_digest(mac, self._mac(signed)):
            return None
        until = int.from_bytes(signed[KEY_BYTES:], "big") * 1000
        return signed[:KEY_BYTES] if now < until else None

    def _mac(self, signed: bytes) -> bytes:
        return hmac.digest(self.key, signed, hashlib.sha256)[:MAC_BYTES]


@dataclass(frozen=True, slots=True)
class LinkedFiles:
    """Serves the files behind links."""

    opened: Callable[[], tuple[Links, KeptFiles, int]]
    """Links, files and the time in ms; raises Unavailable while the adapter is closed."""

    def routes(self) -> list[Route]:
        """GET and HEAD, with or without a name at the end."""
        return [Route(PATH + end, self.serve, methods=["GET"]) for end in ("/{token}", "/{token}/{name:path}")]

    async def serve(self, request: Request) -> Response:
        """The file, or a sentence: 404 for a link that is not ours or over, 503 while the store is away."""
        try:
            links, files, now = self.opened()
            key = links.file_key(request.path_params["token"], now)
            description = None if key is None else await files.describe(key)
        except EOFError:
            description = None
        except GatewayError:
            return no_file(503, "The file cannot be fetched now; please try again later.")
        if key is None or description is None:
            return no_file(404, "This link is not valid, or its time is over.")
        body = _nothing() if request.method == "HEAD" else files.read(key, description)
        return file_response(body, name=description.name, media_type=description.media_type, size=description.size)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""
