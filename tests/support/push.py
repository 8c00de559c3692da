"""A push service and a browser of its own kind: it opens what we seal and checks who sent it (RFC 8030, 8291, 8292)."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.asgi import serving


@dataclass
class Push:
    """One request that a push service got."""

    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Browser:
    """Subscribes, and opens what is pushed to it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._key = generate_private_key(SECP256R1())
        self._auth = secrets.token_bytes(16)

    @property
    def subscription(self) -> dict[str, Any]:
        """What PushSubscription.toJSON gives."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": base64url(point), "auth": base64url(self._auth)},
        }

    @property
    def text(self) -> str:
        """The subscription as clients send it."""
        return json.dumps(self.subscription)

    def open(self, push: Push) -> Any:
        """The object inside; raises when it was sealed for somebody else or changed."""
        assert push.headers["content-encoding"] == "aes128gcm"
        plain = http_ece.decrypt(push.body, private_key=self._key, auth_secret=self._auth, version="aes128gcm")
        return json.loads(plain)


@dataclass
class PushService:
    """Takes pushes for every path; `answers` are statuses for the next ones, 201 when there are none."""

    url: str = ""
    pushes: list[Push] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def browser(self, path: str = "/send/1") -> Browser:
        """A browser that gets its pushes here."""
        return Browser(self.url + path)

    async def take(self, request: Request) -> Response:
        """Keep one push."""
        self.pushes.append(Push(request.url.path, dict(request.headers), await request.body()))
        status = self.answers.pop(0) if self.answers else 201
        return Response(status_code=status)


@asynccontextmanager
async def push_service() -> AsyncIterator[PushService]:
    """A push service on a port of this machine."""
    service = PushService()
    app = Starlette(routes=[Route("/{path:path}", service.take, methods=["POST"])])
    async with serving(app) as port:
        service.url = f"http://127.0.0.1:{port}"
        yield service


def vapid_claims(push: Push, public_key: str) -> dict[str, Any]:
    """The claims of the push's token; raises InvalidSignature unless the key with this public half signed them."""
    scheme, _, rest = push.headers["authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(","))
    assert scheme == "vapid"
    assert parts["k"] == public_key
    signed, _, signature = parts["t"].rpartition(".")
    raw = from_base64url(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), from_base64url(public_key))
    key.verify(der, signed.encode(), ECDSA(SHA256()))
    claims: dict[str, Any] = json.loads(from_base64url(signed.split(".")[1]))
    return claims


def base64url(data: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """Without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
