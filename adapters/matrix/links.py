"""Signed links to large files: who has the link may fetch the file for some days, and nothing is stored here.

Media of a homeserver are for its users only (1.11), so a DM3 reader cannot be given their address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adapters.matrix.client import LINKED
from adapters.matrix.content import Media
from adapters.matrix.errors import HomeserverDown, HomeserverRefused, Unfit
from adapters.matrix.intent import Intent
from gateway.sdk.served_files import file_response, no_file

log = structlog.get_logger(__name__)

PATH: Final = "/files/matrix"
PURPOSE: Final = "links to files"
MAC_BYTES: Final = 16
CHUNK: Final = 64 * 2**10
TOO_LARGE: Final = "The file is larger than what this gateway carries over."
MAX_NAME: Final = 100
"""Characters of a file's name in its link, from the end, where its extension is: no server reads a longer address."""
BUSY_SECONDS: Final = 30
"""After which whoever found all connections taken may come again."""
_PARTS: Final = re.compile(r"[A-Za-z0-9._=:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads links; ``key`` is secret and the same on every node."""

    base: str
    key: bytes

    def to(self, media: Media, media_type: str, expires_at: int) -> str:
        """The address of a file until ``expires_at`` (ms since the epoch)."""
        until = str(expires_at // 1000)
        mac = self._mac(until, media.server, media.id, media_type)
        type_ = base64.urlsafe_b64encode(media_type.encode()).decode().rstrip("=")
        parts = (
            until,
            mac,
            quote(media.server, safe=""),
            media.id,
            type_ or "-",
            quote(media.name[-MAX_NAME:], safe=""),
        )
        return f"{self.base}{PATH}/{'/'.join(parts)}"

    def permits(self, until: str, mac: str, server: str, media_id: str, media_type: str, now: int) -> bool:
        """Whether we made this link, and it still holds at ``now`` (ms)."""
        if not (until.isascii() and until.isdigit() and len(until) < 12) or int(until) * 1000 < now:
            return False
        return hmac.compare_digest(self._mac(until, server, media_id, media_type).encode(), mac.encode())

    def _mac(self, *parts: str) -> str:
        text = "\n".join(parts).encode()
        digest = hmac.digest(self.key, text, hashlib.sha256)[:MAC_BYTES]
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class LinkedFiles:
    """Serves the files behind links, straight from the homeserver."""

    def __init__(self, opened: Callable[[], tuple[Links, Intent, int]], max_bytes: int) -> None:
        """``opened``: links, the bot and the time in ms; raises HomeserverDown while the adapter is closed.

        Of a file that is larger than ``max_bytes`` nobody gets more, whatever its sender said when the link was made.
        """
        self._opened = opened
        self._max_bytes = max_bytes
        self._reading = 0

    def route(self) -> Route:
        """GET and HEAD."""
        return Route(PATH + "/{until}/{mac}/{server}/{media}/{type}/{name:path}", self.serve, methods=["GET"])

    async def serve(self, request: Request) -> Response:
        """The file, or a sentence: 404 for a link that is not ours or over, 503 while the homeserver is away."""
        given = request.path_params
        media_type = _decoded(given["type"])
        try:
            links, bot, now = self._opened()
            if not (
                _PARTS.fullmatch(given["server"])
                and _PARTS.fullmatch(given["media"])
                and links.permits(given["until"], given["mac"], given["server"], given["media"], media_type, now)
            ):
                return no_file(404, "This link is not valid, or its time is over.")
            if self._reading >= LINKED:
                busy = no_file(503, "Too many files are being read now; please try again later.")
                busy.headers["Retry-After"] = str(BUSY_SECONDS)
                return busy
            return await self._streamed(request, bot, given, media_type)
        except Unfit as error:
            return no_file(404, error.sentence)
        except HomeserverRefused:
            return no_file(404, "The file is not there any more.")
        except HomeserverDown:
            return no_file(503, "The file cannot be fetched now; please try again later.")

    async def _streamed(self, request: Request, bot: Intent, given: Mapping[str, str], media_type: str) -> Response:
        async with AsyncExitStack() as stack:
            self._reading += 1
            stack.callback(self._read)
            answer = await stack.enter_async_context(bot.download_linked(given["server"], given["media"]))

            if (answer.content_length or 0) > self._max_bytes:
                raise Unfit(TOO_LARGE)

            async def parts() -> AsyncIterator[bytes]:
                left = self._max_bytes
                if request.method != "HEAD":
                    async for part in answer.content.iter_chunked(CHUNK):
                        left -= len(part)
                        if left < 0:
                            raise Unfit(TOO_LARGE)
                        yield part

            return _Held(
                file_response(
                    parts(), name=given["name"], media_type=media_type, size=answer.content_length, in_place=True
                ),
                stack.pop_all(),
            )

    def _read(self) -> None:
        self._reading -= 1


class _Held(Response):
    """An answer that holds a file open for as long as it is sent."""

    def __init__(self, answer: Response, held: AsyncExitStack) -> None:
        super().__init__()
        self._answer = answer
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._held:
                await self._answer(scope, receive, send)
        except (HomeserverDown, Unfit) as error:
            # Left without its end, which closes the connection: nobody may take a part for the whole.
            log.info("link.broken_off", error=type(error).__name__)


def _decoded(text: str) -> str:
    """A media type from its base64; "" for what is none."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except ValueError:
        return ""
