"""The only client that fetches what strangers' records point to.

Every URL and every redirect is checked, every IP address behind its host is checked, and the connection goes to a
checked address, not to a name that could resolve to another one a moment later. Nothing of the environment (proxies,
netrc) has a say.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Self

from gateway.dm3.canonical import Json, stringify
from gateway.ens.hosts import may_connect, parse_ip
from gateway.ens.targets import Target, follow, parse_target
from gateway.errors import FetchFailed, FetchRefused

if TYPE_CHECKING:
    import httpcore2

    from gateway.ens.pinning import Resolve

USER_AGENT: Final = "dm3-gateway"
MAX_BODY: Final = 64 * 2**10
"""Bytes of a response that are read unless told otherwise."""
TOTAL_TIMEOUT: Final = 5.0
"""Seconds for one fetch with its redirects, from the look-up of the host to the last byte."""
MAX_REDIRECTS: Final = 3
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A response of any status; ``url`` is where it came from in the end, ``content_type`` without parameters."""

    url: str
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case; of a repeated header the last."""


class GuardedClient:
    """Fetches from public https servers; with ``allow_private`` also from this machine and its site, and by http.

    ``resolve``, ``tls`` and ``connect`` replace the system's resolver, trust store and sockets; ``headers`` go with
    every request. Opens nothing before its first fetch; close it with ``close`` or as a context manager.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        connect: httpcore2.AsyncNetworkBackend | None = None,
        timeout: float = TOTAL_TIMEOUT,
        max_connections: int = 32,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        self._allow_private = allow_private
        self._connect = connect
        self._resolve = resolve
        self._tls = tls
        self._timeout = timeout
        self._max_connections = max_connections
        self._headers = tuple(headers.items())
        self._pool: httpcore2.AsyncConnectionPool | None = None

    def check(self, url: str) -> Target:
        """Where ``url`` leads, before anything is sent there. Raises FetchRefused for what would be refused for sure.

        A host name is looked up only when it is fetched from: what it leads to can change at any time.
        """
        target = parse_target(url, allow_private=self._allow_private)
        literal = parse_ip(target.host)
        if literal is not None and not may_connect(literal, allow_private=self._allow_private):
            raise FetchRefused(f"{target.host} is an address that must not be fetched from")
        return target

    async def get(
        self,
        url: str,
        *,
        max_bytes: int = MAX_BODY,
        accept: Sequence[str] = (),
        max_redirects: int = MAX_REDIRECTS,
        timeout: float | None = None,
    ) -> Fetched:
        """GET ``url``; ``accept`` lists the content types of a 200 that are wanted, all when empty.

        ``timeout`` (seconds in all) replaces the client's own for this fetch.

        Raises FetchRefused when the URL, an address behind it, a redirect, the size or the type is not permitted;
        FetchFailed when there is no answer in time. Other statuses are returned.
        """
        target = parse_target(url, allow_private=self._allow_private)
        headers = [("Accept", ", ".join(accept) or "*/*")]
        async with self._in_time(target, timeout):
            for _ in range(max_redirects + 1):
                fetched, location = await self._exchange("GET", target, headers, b"", max_bytes)
                if fetched.status not in _REDIRECTS:
                    return _of_type(fetched, accept)
                target = follow(target, location, allow_private=self._allow_private)
        raise FetchRefused(f"more than {max_redirects} redirects")

    async def post_json(
        self, url: str, value: Json, *, max_bytes: int = MAX_BODY, timeout: float | None = None
    ) -> Fetched:
        """POST JSON to ``url``; redirects are refused. Raises as ``get``."""
        # An envelope may have megabytes.
        content = await asyncio.to_thread(lambda: stringify(value).encode())
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        return await self.post(url, content, headers, max_bytes=max_bytes, timeout=timeout)

    async def post(
        self,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        max_bytes: int = MAX_BODY,
        timeout: float | None = None,
    ) -> Fetched:
        """POST ``content`` as it is; redirects are refused. Raises as ``get``."""
        target = parse_target(url, allow_private=self._allow_private)
        async with self._in_time(target, timeout):
            fetched, _ = await self._exchange("POST", target, list(headers.items()), content, max_bytes)
        if fetched.status in _REDIRECTS:
            raise FetchRefused("redirect of a POST")
        return fetched

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def _in_time(self, target: Target, timeout: float | None) -> AsyncIterator[None]:
        """Bounds everything inside by the total time, and names every failure of the network."""
        seconds = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise FetchFailed(f"{target.host} did not answer within {seconds:g} s") from None
        except Exception as error:
            if not isinstance(error, _failures()):
                raise
            raise FetchFailed(f"{target.host}: {type(error).__name__}: {error}"[:300]) from None

    async def _exchange(
        self, method: str, target: Target, headers: list[tuple[str, str]], content: bytes, max_bytes: int
    ) -> tuple[Fetched, str]:
        """One request, and the Location of its response. The body is cut off, and refused, at its bound."""
        pool = await self._open()
        # Compressed bodies would have to be bounded twice.
        ours = [("Host", target.authority), ("Accept-Encoding", "identity"), ("User-Agent", USER_AGENT)]
        every = [*ours, *self._headers, *headers]
        async with pool.stream(method, target.url, headers=every, content=content or None) as response:
            fields = {name.lower(): value for name, value in response.headers}
            if fields.get(b"content-encoding", b"identity").lower() not in (b"", b"identity"):
                raise FetchRefused(f"{target.host} sent a compressed body")
            body = bytearray()
            if response.status not in _REDIRECTS:
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) > max_bytes:
                        raise FetchRefused(f"{target.host} sent more than {max_bytes} bytes")
        content_type = fields.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        location = fields.get(b"location", b"").decode("latin-1")
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields.items()}
        return Fetched(target.url, response.status, content_type, bytes(body), texts), location

    async def _open(self) -> httpcore2.AsyncConnectionPool:
        if self._tls is None:
            # Reading the trust store takes a tenth of a second.
            self._tls = await asyncio.to_thread(_trust_store)
        if self._pool is None:
            import httpcore2

            from gateway.ens.pinning import PinningBackend

            connect = self._connect or httpcore2.AnyIOBackend()
            self._pool = httpcore2.AsyncConnectionPool(
                ssl_context=self._tls,
                max_connections=self._max_connections,
                keepalive_expiry=10.0,
                network_backend=PinningBackend(connect, self._resolve, allow_private=self._allow_private),
            )
        return self._pool


def _trust_store() -> ssl.SSLContext:
    # A node that fetches nothing does without the megabytes of these libraries; both are loaded in this thread.
    import httpcore2  # noqa: F401
    import httpx2

    return httpx2.create_ssl_context()


def _failures() -> tuple[type[Exception], ...]:
    """What a network can do to a fetch."""
    import httpcore2

    ours = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError)
    return (*ours, ssl.SSLError, OSError, UnicodeError)


def _of_type(fetched: Fetched, accept: Sequence[str]) -> Fetched:
    if accept and fetched.status == 200 and fetched.content_type not in accept:
        raise FetchRefused(f"unwanted content type {fetched.content_type[:60]!r}")
    return fetched
