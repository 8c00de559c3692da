"""Who may read `/metrics`: nobody's name is in there, but how much passes through a node is the operator's business."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from gateway.errors import ConfigError, MetricsRefused
from gateway.operation_settings import OperationSettings
from gateway.operations.metrics import Metrics

_TOKEN: Final = re.compile(r"[!-~]{16,}")
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
"""What proxies add: then the address is the proxy's, unless it is one that the settings trust."""


class MetricsDoor:
    """`GET /metrics`, for whoever has the token or, when there is none, for some networks."""

    def __init__(self, metrics: Metrics, networks: Sequence[str], token: str | None, *, behind_proxy: bool) -> None:
        """``behind_proxy``: the server knows its proxies, and takes the addresses of clients from them."""
        self._metrics = metrics
        self._networks = [ipaddress.ip_network(each) for each in networks]
        self._token = token
        self._behind_proxy = behind_proxy

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["operations"])
        router.add_api_route("/metrics", self.read, methods=["GET"], response_class=Response)
        return router

    async def read(self, request: Request) -> Response:
        """All figures of this node, in the formats of Prometheus."""
        self._admit(request)
        page, media_type = await self._metrics.page(request.headers.get("accept", ""))
        return Response(page, headers={"content-type": media_type, "cache-control": "no-store"})

    def _admit(self, request: Request) -> None:
        if self._token is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise MetricsRefused("the token is missing or another one")
            return
        if not self._behind_proxy and any(name in request.headers for name in _FORWARDED):
            raise MetricsRefused("it came through a proxy")
        if request.client is None or not self._is_near(request.client.host):
            raise MetricsRefused("the address is in none of operation.metrics_networks")

    def _is_near(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)


async def open_door(metrics: Metrics, settings: OperationSettings, *, behind_proxy: bool) -> MetricsDoor:
    """The door of the settings; reads the token. Raises ConfigError."""
    path = settings.metrics_token_file
    token = None if path is None else await asyncio.to_thread(_read_token, path)
    return MetricsDoor(metrics, settings.metrics_networks, token, behind_proxy=behind_proxy)


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"operation.metrics_token_file: {path}: cannot be read: {type(error).__name__}") from None
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"operation.metrics_token_file: {path}: needs at least 16 characters of ASCII, without blanks"
        )
    return token
