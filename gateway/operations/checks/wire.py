"""Requests that no HTTP client makes: an upgrade without what follows, a body that is announced and not sent."""

from __future__ import annotations

import asyncio
import base64
import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 3.0
REFUSAL_SECONDS: Final = 1.0
"""In which whoever refuses a body by its length has done so."""
_LINES: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a web address leads; ``path`` is what stands before each path."""

    host: str
    port: int
    tls: bool
    path: str

    @classmethod
    def of(cls, url: str) -> Place:
        """From a web address without query."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if tls else 80), tls, parts.path)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; names of fields in lower case."""

    status: int
    fields: dict[str, str]


async def websocket_status(place: Place, path: str) -> int:
    """What an upgrade to websocket (RFC 6455, section 4.1) is answered; raises OSError."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    head = await _ask(place, "GET", path, fields, ANSWER_SECONDS)
    if head is None:
        raise TimeoutError
    return head.status


async def announced_body(place: Place, path: str, size: int) -> int | None:
    """What a POST of so many bytes is answered before any of them; None while it is waited for. Raises OSError."""
    fields = {"Content-Type": "application/json", "Content-Length": str(size), "Expect": "100-continue"}
    head = await _ask(place, "POST", path, fields, REFUSAL_SECONDS)
    return None if head is None else head.status


async def redirect_of(host: str, port: int = 80) -> tuple[int, str]:
    """Status and Location of ``/`` over plain http; raises OSError."""
    head = await _ask(Place(host, port, False, ""), "GET", "/", {}, ANSWER_SECONDS)
    if head is None:
        raise TimeoutError
    return head.status, head.fields.get("location", "")


def why(error: OSError) -> str:
    """What an operator can do something with."""
    if isinstance(error, socket.gaierror):
        return "the DNS does not know the host"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__


@asynccontextmanager
async def connected(
    place: Place, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is broken off at the end; with a ``context`` the certificate is verified. Raises OSError."""
    tls = context or _unverified() if place.tls else None
    async with asyncio.timeout(CONNECT_SECONDS):
        name = place.host if tls is not None else None
        reader, writer = await asyncio.open_connection(place.host, place.port, ssl=tls, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _ask(place: Place, method: str, path: str, fields: dict[str, str], seconds: float) -> Head | None:
    host = f"[{place.host}]" if ":" in place.host else place.host
    usual = place.port == (443 if place.tls else 80)
    lines = [f"{method} {place.path}{path} HTTP/1.1", f"Host: {host if usual else f'{host}:{place.port}'}"]
    lines += [f"{name}: {value}" for name, value in {"User-Agent": "dm3-gateway doctor", **fields}.items()]
    async with connected(place) as (reader, writer):
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            async with asyncio.timeout(seconds):
                return await _head(reader)
        except TimeoutError:
            return None


async def _head(reader: asyncio.StreamReader) -> Head:
    try:
        first = (await reader.readline()).split(b" ", 2)
        if len(first) < 2 or not first[0].startswith(b"HTTP/1.") or not first[1][:3].isdigit():
            raise ConnectionResetError("no HTTP")
        fields: dict[str, str] = {}
        for _ in range(_LINES):
            line = (await reader.readline()).decode("latin-1").strip()
            if not line:
                break
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        return Head(int(first[1][:3]), fields)
    except ValueError:
        raise ConnectionResetError("a line without end") from None


def _unverified() -> ssl.SSLContext:
    """Nothing secret is sent and nothing is believed: the certificate is another check's business."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
