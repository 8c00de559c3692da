"""What a ghost does on its homeserver: matrix-nio, told whom the application service speaks for."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
from nio import AsyncClient, AsyncClientConfig

from adapters.matrix.ids import Mxid


class GhostClient(AsyncClient):  # type: ignore[misc]
    """nio's client in the name of one user of the application service (Application Service API, identity assertion).

    Every request goes through `send`, which adds the user.
    """

    def __init__(self, homeserver: str, user: Mxid, token: str, session: aiohttp.ClientSession, timeout: float) -> None:
        # nio would try again for ever; the lanes do that better, and in order.
        config = AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0, request_timeout=timeout)
        super().__init__(homeserver, user, config=config)
        self.user_id: str = user
        self.access_token = token
        self.client_session = session

    async def send(self, method: str, path: str, *rest: Any, **options: Any) -> aiohttp.ClientResponse:
        """One request; the session is shared, so nio's own is never made."""
        asserted = {"user_id": self.user_id}
        whole = f"{path}{'&' if '?' in path else '?'}{urlencode(asserted)}"
        response: aiohttp.ClientResponse = await super().send(method, whole, *rest, **options)
        return response

    async def close(self) -> None:
        """Nothing: the session belongs to the adapter."""
