"""Other delivery services as senders and forwarding relays use them: properties, submission, forwarding (JSON-RPC)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache, TTLCache

from gateway.dm3.canonical import Json, JsonObject, parse_json
from gateway.dm3.extension import ProfileExtension, ServiceProperties, read_extension
from gateway.dm3.layers import LayerMethod
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.egress import Fetched, GuardedClient
from gateway.errors import (
    FetchFailed,
    FetchRefused,
    GatewayError,
    LimitExceeded,
    RemoteBusy,
    RemoteRefused,
    ServiceAnswer,
    Unavailable,
)
from gateway.ids import EnsName

MAX_ANSWER: Final = 64 * 1024
MAX_WORDS: Final = 300
"""Characters that are kept of what a service says about a refusal."""
PROPERTIES_LIFE: Final = 300
"""Seconds for which the properties of a service are remembered."""
EXTENSION_LIFE: Final = 60
"""Seconds for which a profile extension is remembered: people change their rules."""
REMEMBERED: Final = 4096
"""Services, and recipients at services, whose answers are remembered."""
PATIENCE_SECONDS: Final = 10.0
SLOWEST_BYTES_PER_SECOND: Final = 200_000
"""Large envelopes get this much more time."""
LATER_STATUSES: Final = frozenset({408, 425, 429})
LATER_CODES: Final = frozenset({-32002, -32005, -32603})
"""JSON-RPC codes that ask to come again: service unavailable, limit exceeded (DM3-MTP), internal error."""
SILENCE_SECONDS: Final = 15.0
"""A service that did not answer is left alone for this long: whatever else is for it fails at once."""
CALLS_AT_ONCE: Final = 8
"""Calls to one service under way."""
TURN_SECONDS: Final = 10.0
"""Wait for a turn at a service that answered last time."""
TURN_SECONDS_UNKNOWN: Final = 0.5
"""The same at a service that has not answered yet and may be dead."""


class RemoteRelays:
    """Hands envelopes and layers to delivery services of others; a dead one costs its own senders a moment, no others.

    ``monotonic`` gives seconds that no clock change touches.
    """

    def __init__(self, client: GuardedClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._properties: TTLCache[str, ServiceProperties] = TTLCache(REMEMBERED, PROPERTIES_LIFE, monotonic)
        self._extensions: TTLCache[tuple[str, EnsName], ProfileExtension] = TTLCache(
            REMEMBERED, EXTENSION_LIFE, monotonic
        )
        self._lines: LRUCache[str, _Line] = LRUCache(maxsize=4096)

    async def properties(self, service: DeliveryServiceProfile) -> ServiceProperties:
        """Limits of the service (DM3-MTP, dm3_getDeliveryServiceProperties); none when it names none that can be read.

        Raises FetchFailed when it does not answer, LimitExceeded when too many ask it already.
        """
        return await self._properties_of(service) or ServiceProperties()

    async def extension(self, service: DeliveryServiceProfile, name: EnsName) -> ProfileExtension:
        """What the recipient `name` takes there (DM3-MTP, dm3_getProfileExtension).

        No restrictions when the service does not know the method or the name: services of the reference answer 400
        or 405 then, and take the message all the same or say why not. Raises as `properties`.
        """
        key = service.url, name
        known = self._extensions.get(key)
        if known is not None:
            return known
        said = await self._ask(service, "dm3_getProfileExtension", [name])
        extension = read_extension(said.value)
        if said.lasting:
            self._extensions[key] = extension
        return extension

    async def submit(self, service: DeliveryServiceProfile, envelope: str) -> None:
        """Hand over one envelope (canonical JSON text); returns when the service answered that it keeps it.

        Raises FetchFailed and LimitExceeded when it may succeed later, RemoteRefused when it will not.
        """
        await self._hand_over(service, LayerMethod.SUBMIT, envelope)

    async def forward(self, service: DeliveryServiceProfile, layer: str) -> None:
        """Hand over one layer (gateway.dm3.layers) to a relay that offers to forward it.

        Raises as `submit`, and Unavailable when the relay does not tell its properties now. A service that does not
        offer it never gets the bytes: names of services come from strangers, and layers are repeated for days.
        """
        properties = await self._properties_of(service)
        if properties is None:
            raise Unavailable(f"{service.url} does not tell its properties")
        if not properties.forwards:
            raise RemoteRefused(f"{service.url} does not forward layers")
        if properties.size_limit is not None and len(layer) > properties.size_limit:
            raise RemoteRefused(f"{service.url} takes at most {properties.size_limit} bytes")
        await self._hand_over(service, LayerMethod.FORWARD, layer)

    async def _properties_of(self, service: DeliveryServiceProfile) -> ServiceProperties | None:
        """What the service says of itself; None when it has a passing fault, which is not remembered."""
        known = self._properties.get(service.url)
        if known is not None:
            return known
        said = await self._ask(service, "dm3_getDeliveryServiceProperties", [])
        if not said.lasting:
            return None
        self._properties[service.url] = found = ServiceProperties.from_json(said.value)
        return found

    async def _hand_over(self, service: DeliveryServiceProfile, method: LayerMethod, text: str) -> None:
        answer = await self._call(service, method, [text])
        error = _error_of(answer)
        if answer.status < 300 and error is None:
            return
        code, text = error if error is not None else (None, "")
        said = ServiceAnswer(answer.status, code, text[:MAX_WORDS])
        reason = f"{service.url}: {said.text or f'HTTP status {answer.status}'}"
        if _is_passing(answer.status, code):
            raise RemoteBusy(reason, said)
        raise RemoteRefused(reason, said)

    async def _ask(self, service: DeliveryServiceProfile, method: str, params: list[str]) -> _Said:
        """The result of a question. Not to be able to answer is an answer; to have no time now is a passing one."""
        try:
            answer = await self._call(service, method, params)
        except FetchRefused:
            # More than we read, or a redirect.
            return _Said(None, lasting=True)
        error = _error_of(answer)
        passing = _is_passing(answer.status, error[0] if error is not None else None)
        return _Said(_result_of(answer) if answer.status < 300 else None, lasting=not passing)

    async def _call(self, service: DeliveryServiceProfile, method: str, params: list[str]) -> Fetched:
        call: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        url = service.url.rstrip("/") + "/rpc"
        timeout = PATIENCE_SECONDS + sum(map(len, params)) / SLOWEST_BYTES_PER_SECOND
        async with self._turn(service.url):
            return await self._client.post_json(url, call, max_bytes=MAX_ANSWER, timeout=timeout)

    @asynccontextmanager
    async def _turn(self, url: str) -> AsyncIterator[None]:
        """One of the calls to a service; FetchFailed at once while it is silent, LimitExceeded when it is busy."""
        line = self._lines.setdefault(url, _Line())
        self._refuse_silent(url, line)
        try:
            async with asyncio.timeout(TURN_SECONDS if line.answers else TURN_SECONDS_UNKNOWN):
                await line.turns.acquire()
        except TimeoutError:
            raise LimitExceeded(f"{url}: {CALLS_AT_ONCE} calls are under way") from None
        try:
            self._refuse_silent(url, line)
            try:
                yield
                line.answers = True
            except FetchFailed:
                line.answers = False
                line.silent_until = self._monotonic() + SILENCE_SECONDS
                raise
        finally:
            line.turns.release()

    def _refuse_silent(self, url: str, line: _Line) -> None:
        if self._monotonic() < line.silent_until:
            raise FetchFailed(f"{url} did not answer a moment ago")


def _is_passing(status: int, code: int | None) -> bool:
    """A server error says nothing about what was sent, whatever JSON-RPC code its body has."""
    return status >= 500 or status in LATER_STATUSES or code in LATER_CODES


def _result_of(answer: Fetched) -> Json:
    """The result of a call: the reference gives JSON in a text, the specification the value; None when unreadable."""
    try:
        body = parse_json(answer.body, max_bytes=MAX_ANSWER)
        result = body.get("result") if isinstance(body, dict) else None
        return parse_json(result, max_bytes=MAX_ANSWER) if isinstance(result, str) else result
    except GatewayError:
        return None


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
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    return (code if isinstance(code, int) and not isinstance(code, bool) else None), (
        text if isinstance(text, str) else ""
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """The result of a question, None when there is none; not `lasting` when it may be another one in a moment."""

    value: Json
    lasting: bool


@dataclass(slots=True)
class _Line:
    """What is known about one service, and the turns of its callers."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE))
    answers: bool = False
    silent_until: float = float("-inf")
