"""Raw JSON over HTTP to a homeserver, as one user (Matrix client-server API, sections 2 and 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2

CLIENT: Final = "/_matrix/client/v3"
ANSWER_SECONDS: Final = 30.0

Json = dict[str, Any]


class MatrixFault(Exception):
    """The homeserver refused: HTTP status, and of the standard error response ``errcode`` and ``error``."""

    def __init__(self, status: int, errcode: str, error: str) -> None:
        super().__init__(f"{status} {errcode}: {error}")
        self.status = status
        self.errcode = errcode
        self.error = error


def path(*parts: str) -> str:
    """The parts as segments of a URL's path; room ids and event ids hold characters that must be escaped."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


class MatrixHttp:
    """A pool of connections to one homeserver; close it."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self.token = token
        """Access token sent with every call; none while it is empty."""
        # The certificates of the system take 50 ms to read, and most homeservers here speak plain HTTP.
        secure = self.url.startswith("https:")
        self._http = httpx2.AsyncClient(trust_env=False, verify=secure, timeout=ANSWER_SECONDS)

    async def close(self) -> None:
        """Drop all connections."""
        await self._http.aclose()

    async def call(
        self,
        method: str,
        url_path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Any:
        """The JSON that is answered, an object nearly always. Raises MatrixFault, or httpx2.TransportError."""
        if body is None and method in ("POST", "PUT"):
            body = {}
        answer = await self._http.request(
            method, self.url + url_path, json=body, params=query, headers=self._headers(), timeout=seconds
        )
        _check(answer)
        return answer.json()

    async def post_bytes(self, url_path: str, content: bytes, mime: str, query: Mapping[str, str]) -> Any:
        """POST of a file; the JSON that is answered. Raises like ``call``."""
        headers = self._headers() | {"Content-Type": mime}
        answer = await self._http.post(self.url + url_path, content=content, params=query, headers=headers)
        _check(answer)
        return answer.json()

    async def get_bytes(self, url_path: str) -> bytes:
        """A file as it lies there. Raises like ``call``."""
        answer = await self._http.get(self.url + url_path, headers=self._headers())
        _check(answer)
        return answer.content

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def _check(answer: httpx2.Response) -> None:
    if answer.is_success:
        return
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"error": answer.text[:200]}
    raise MatrixFault(answer.status_code, str(body.get("errcode", "M_UNKNOWN")), str(body.get("error", "")))
