"""Other delivery services as a sender uses them: properties and submission by JSON-RPC (DM3-MTP)."""

from __future__ import annotations

from typing import Final

from cachetools import TTLCache

from gateway.dm3.canonical import JsonObject, parse_json
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.egress import Fetched, GuardedClient
from gateway.errors import GatewayError, LimitExceeded, RemoteRefused

MAX_ANSWER: Final = 64 * 1024
PROPERTIES_LIFE: Final = 300
"""Seconds for which the size limit of a service is remembered."""
PATIENCE_SECONDS: Final = 10.0
SLOWEST_BYTES_PER_SECOND: Final = 200_000
"""Large envelopes get this much more time."""
LATER_STATUSES: Final = frozenset({408, 425, 429})
LATER_CODES: Final = frozenset({-32002, -32005})
"""JSON-RPC codes of DM3-MTP that ask to come again: service unavailable, limit exceeded."""


class RemoteRelays:
    """Submits envelopes to delivery services of others."""

    def __init__(self, client: GuardedClient) -> None:
        self._client = client
        self._limits: TTLCache[str, int | None] = TTLCache(maxsize=4096, ttl=PROPERTIES_LIFE)

    async def size_limit(self, service: DeliveryServiceProfile) -> int | None:
        """Bytes of the largest envelope that the service says it takes; None when it does not say.

        Raises FetchFailed when it does not answer.
        """
        if service.url not in self._limits:
            self._limits[service.url] = await self._ask_size_limit(service)
        return self._limits[service.url]

    async def submit(self, service: DeliveryServiceProfile, envelope: str) -> None:
        """Hand over one envelope (canonical JSON text); returns when the service answered that it keeps it.

        Raises FetchFailed and LimitExceeded when it may succeed later, RemoteRefused when it will not.
        """
        answer = await self._call(service, "dm3_submitMessage", [envelope])
        error = _error_of(answer)
        if answer.status < 300 and error is None:
            return
        code, text = error if error is not None else (None, f"HTTP status {answer.status}")
        if code in LATER_CODES or (code is None and (answer.status >= 500 or answer.status in LATER_STATUSES)):
            raise LimitExceeded(f"{service.url}: {text}")
        raise RemoteRefused(f"{service.url}: {text[:300]}", structured=code is not None)

    async def _ask_size_limit(self, service: DeliveryServiceProfile) -> int | None:
        answer = await self._call(service, "dm3_getDeliveryServiceProperties", [])
        try:
            outer = parse_json(answer.body, max_bytes=MAX_ANSWER)
            text = outer.get("result") if isinstance(outer, dict) else None
            inner = parse_json(text, max_bytes=MAX_ANSWER) if isinstance(text, str) else None
        except GatewayError:
            return None
        limit = inner.get("sizeLimit") if isinstance(inner, dict) else None
        return limit if isinstance(limit, int) and limit > 0 else None

    async def _call(self, service: DeliveryServiceProfile, method: str, params: list[str]) -> Fetched:
        call: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        url = service.url.rstrip("/") + "/rpc"
        timeout = PATIENCE_SECONDS + sum(map(len, params)) / SLOWEST_BYTES_PER_SECOND
        return await self._client.post_json(url, call, max_bytes=MAX_ANSWER, timeout=timeout)


def _error_of(answer: Fetched) -> tuple[int | None, str] | None:
    """Code and message of a JSON-RPC error in the body, if there is one."""
    try:
        body = parse_json(answer.body, max_bytes=MAX_ANSWER)
    except GatewayError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if error is None:
        return None
    if not isinstance(error, dict):
        return None, str(error)
    code, text = error.get("code"), error.get("message")
    return (code if isinstance(code, int) else None), (text if isinstance(text, str) else "no reason given")
