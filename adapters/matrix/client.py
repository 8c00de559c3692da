"""The homeserver's client-server API: connections, and requests for which nio has no method."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp

from adapters.matrix.depth import loads
from adapters.matrix.errors import AnswerTooLarge, HomeserverDown, HomeserverRefused
from adapters.matrix.ids import Mxid

if TYPE_CHECKING:
    from adapters.matrix.ghost_client import GhostClient

CLIENT: Final = "/_matrix/client/v3"
CONNECTIONS: Final = 64
"""To the homeserver at one time: a single process of Synapse does one thing after the other anyway."""
LINKED: Final = 16
"""Files that are read by links at one time, over connections of their own: no message waits for slow readers."""
MAX_ANSWER: Final = 4 * 2**20
"""Bytes of an answer that is no file: the members of some 30 000 people; a ghost joins no room that is larger."""
Json = dict[str, Any]


class Homeserver:
    """Connections to one homeserver, and the clients of our users on it."""

    def __init__(self, url: str, token: str, *, timeout: float) -> None:
        self._url = url
        self._token = token
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._linked: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pools; nothing is sent yet."""
        self._session = _pool(CONNECTIONS)
        self._linked = _pool(LINKED)

    async def close(self) -> None:
        """Close all connections. A second call does nothing."""
        for session in (self._session, self._linked):
            if session is not None:
                await session.close()
        self._session = self._linked = None

    def client(self, user: Mxid) -> GhostClient:
        """A client that speaks for a user of ours."""
        if self._session is None:
            raise HomeserverDown("the adapter is closed")
        from adapters.matrix.ghost_client import GhostClient  # nio takes 9 MB: by the first ghost that acts

        return GhostClient(self._url, user, self._token, self._session, self._timeout)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: Mxid | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Json:
        """One request that nio has no method for; ``user`` is whom it is made for, the bot when absent.

        Raises HomeserverDown for what may pass and HomeserverRefused for what will not.
        """
        asked = {**(query or {}), **({"user_id": user} if user else {})}
        content = None if body is None else json.dumps(body).encode()
        limit = aiohttp.ClientTimeout(total=timeout or self._timeout)
        async with self._request(self._session, method, path, asked, content, limit) as response:
            return await _answer(response)

    @asynccontextmanager
    async def file(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open answer to a GET whose body is a file; raises as `call`."""
        async with self._file(self._session, path, aiohttp.ClientTimeout(total=self._timeout * 5)) as response:
            yield response

    @asynccontextmanager
    async def linked_file(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `file`, for whoever has a link; it takes as long as its reader does, while the homeserver goes on.

        For more than `LINKED` of them at a time it waits.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
        async with self._file(self._linked, path, limit) as response:
            yield response

    @asynccontextmanager
    async def _file(
        self, session: aiohttp.ClientSession | None, path: str, limit: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._request(session, "GET", path, {}, None, limit) as response:
            if response.status != 200:
                await _answer(response)
                raise HomeserverDown(f"the homeserver answered {response.status}")
            yield response

    @asynccontextmanager
    async def _request(
        self,
        session: aiohttp.ClientSession | None,
        method: str,
        path: str,
        query: Mapping[str, str],
        content: bytes | None,
        limit: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if session is None:
            raise HomeserverDown("the adapter is closed")
        headers = {"Authorization": f"Bearer {self._token}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with session.request(
                method,
                self._url + path,
                params=query,
                data=content,
                headers=headers,
                timeout=limit,
                allow_redirects=False,
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise HomeserverDown(f"{method} {path.partition('?')[0][:60]}: {type(error).__name__}") from None


def _pool(size: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=size), trust_env=False)


async def checked(response: Any) -> Any:
    """A response of nio, which returns its errors; raises HomeserverDown or HomeserverRefused instead."""
    from nio import ErrorResponse

    try:
        response = await response
    except (aiohttp.ClientError, TimeoutError) as error:
        raise HomeserverDown(type(error).__name__) from None
    if isinstance(response, tuple):
        response = response[0]
    if isinstance(response, ErrorResponse):
        raise fault(_status(response), response.status_code, response.message, response.retry_after_ms)
    return response


def path(*parts: str) -> str:
    """A path below the client API, each part quoted: ids hold slashes and more."""
    return "/".join((CLIENT, *(quote(part, safe="") for part in parts)))


def _status(response: Any) -> int:
    transport = response.transport_response
    return int(transport.status) if transport is not None else 0


async def _answer(response: aiohttp.ClientResponse) -> Json:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_ANSWER:
            if response.status >= 400:
                raise fault(response.status, None, None, None)
            raise AnswerTooLarge(response.status, "M_TOO_LARGE", "the homeserver's answer is too large")
    try:
        answer = loads(bytes(body)) if body else {}
    except ValueError:
        answer = None
    if response.status >= 400:
        said = answer if isinstance(answer, dict) else {}
        raise fault(response.status, said.get("errcode"), said.get("error"), said.get("retry_after_ms"))
    if not isinstance(answer, dict):
        raise HomeserverDown("the homeserver's answer is no JSON object")
    return answer


def fault(status: int, errcode: object, error: object, after_ms: object) -> HomeserverDown | HomeserverRefused:
    """What an answer of the homeserver means that is an error (client-server API, standard error response)."""
    code = errcode if isinstance(errcode, str) else "M_UNKNOWN"
    text = error if isinstance(error, str) else ""
    if code == "M_LIMIT_EXCEEDED" or status in (0, 408, 425, 429) or status >= 500:
        after = after_ms / 1000 if isinstance(after_ms, int | float) and 0 <= after_ms < 10**8 else None
        return HomeserverDown(f"{status} {code} {text[:200]}", after)
    if code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"):
        # The registration is not there yet, or another one: the operator mends that, and nothing is lost meanwhile.
        return HomeserverDown(f"the homeserver does not know us: {code}")
    return HomeserverRefused(status, code, text[:500])
