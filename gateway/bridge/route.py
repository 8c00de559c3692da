"""Privacy routing of our own senders: the relays that messages of bridged people go through, by the operator's list.

Only the first relay is ever spoken to. What is asked of the others is their ENS record, and that at regular times
whether anybody writes or not: where a relay answers for its own name (CCIP-read), it would see our questions.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from gateway.bridge.jobs import SealedOnce, Wrapped
from gateway.dm3.canonical import stringify
from gateway.dm3.encoding import to_base64
from gateway.dm3.layers import Hop, wrap
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.names import require_normal
from gateway.ens.profiles import Profiles
from gateway.ens.relays import RemoteRelays
from gateway.errors import (
    BadProfile,
    ConfigError,
    FetchRefused,
    GatewayError,
    InvalidName,
    RemoteRefused,
    RouteRefused,
    TooLarge,
    UnknownName,
)
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.settings import RelaySettings

log = structlog.get_logger(__name__)

REFRESH_SECONDS: Final = 120.0
STALE_MS: Final = 600_000
"""Profiles older than this are not used: the chain did not answer for so long."""
WRAP_AGAIN_MS: Final = 24 * 3600 * 1000
"""The same bytes are repeated for this long; then the same envelope gets new layers, for the old ones will expire."""

Keep = Callable[[Wrapped], Awaitable[None]]
"""Writes down what is about to be sent."""
Relays = tuple[DeliveryServiceProfile, ...]


def route_names(texts: Sequence[str], own: EnsName) -> tuple[EnsName, ...]:
    """The setting relay.route as names; raises ConfigError for what is no name in normal form, twice there, or ours."""
    try:
        names = tuple(map(require_normal, texts))
    except InvalidName as error:
        raise ConfigError(f'relay.route: {error.detail} (example: route = ["ds.one.eth", "ds.two.eth"])') from None
    if len(set(names)) != len(names):
        raise ConfigError("relay.route: names a relay twice")
    if own in names:
        raise ConfigError(f"relay.route: {own} is this gateway itself")
    return names


class RelayRoute:
    """The list, its relays' profiles, and the way of an envelope to the first of them."""

    def __init__(
        self,
        *,
        names: Sequence[EnsName],
        required: bool,
        max_delay_ms: int | None,
        profiles: Profiles,
        relays: RemoteRelays,
        clock: Clock,
        offload: Offload,
    ) -> None:
        self.required = required
        """False lets a message go straight when its relays do not forward it."""
        self._names = tuple(names)
        self._max_delay_ms = max_delay_ms
        self._profiles = profiles
        self._relays = relays
        self._clock = clock
        self._offload = offload
        self._known: Relays | None = None
        self._known_at = 0

    async def run(self) -> None:
        """Look the relays up now and then, until cancelled."""
        while True:
            try:
                await self._look_up()
            except GatewayError as error:
                log.warning("route.not_known", error=type(error).__name__, detail=error.detail)
            await asyncio.sleep(REFRESH_SECONDS)

    async def send(self, sealed: SealedOnce, destination: EnsName, keep: Keep) -> None:
        """Wrap an envelope for `destination`, or take what an earlier try made, and hand it to the first relay.

        Raises RouteRefused when that will not do, and what may pass: ChainUnavailable, FetchFailed, LimitExceeded,
        Unavailable.
        """
        relays = await self._current()
        try:
            wrapped = await self._wrapped(sealed, destination, relays, keep)
            await self._relays.forward(relays[0], wrapped.text)
        except (RemoteRefused, TooLarge) as error:
            raise RouteRefused(error.detail) from None

    async def _wrapped(self, sealed: SealedOnce, destination: EnsName, relays: Relays, keep: Keep) -> Wrapped:
        now, digest = self._clock(), self._digest(destination, relays)
        made = sealed.wrapped
        if made is not None and made.route == digest and 0 <= now - made.made_at < WRAP_AGAIN_MS:
            return made
        hops = [Hop(name, relay.public_encryption_key) for name, relay in zip(self._names, relays, strict=True)]
        text = await self._offload.run(
            len(sealed.envelope),
            wrap,
            sealed.envelope,
            hops,
            destination=destination,
            now=now,
            max_delay_ms=self._max_delay_ms,
        )
        made = Wrapped(text, digest, now)
        await keep(made)
        return made

    async def _current(self) -> Relays:
        if self._known is not None and 0 <= self._clock() - self._known_at < STALE_MS:
            return self._known
        return await self._look_up()

    async def _look_up(self) -> Relays:
        """Ask for every profile; RouteRefused when one is not there."""
        asked_at = self._clock()
        try:
            found = tuple([await self._profiles.delivery_service(name, fresh=True) for name in self._names])
        except (UnknownName, BadProfile, FetchRefused) as error:
            self._known = None
            raise RouteRefused(error.detail) from None
        self._known, self._known_at = found, asked_at
        return found

    def _digest(self, destination: EnsName, relays: Relays) -> str:
        """Short name of the way to `destination` with the relays' present keys."""
        way = stringify([destination, *self._names, *(to_base64(relay.public_encryption_key) for relay in relays)])
        return hashlib.sha256(way.encode()).hexdigest()[:16]


def route_by(
    settings: RelaySettings,
    own: EnsName,
    *,
    profiles: Profiles,
    relays: RemoteRelays,
    clock: Clock,
    offload: Offload,
) -> RelayRoute | None:
    """The route of the settings, None when messages go straight; raises ConfigError. `own` is our service's name."""
    if not settings.route:
        return None
    return RelayRoute(
        names=route_names(settings.route, own),
        required=settings.route_required,
        max_delay_ms=settings.route_max_delay_seconds * 1000 or None,
        profiles=profiles,
        relays=relays,
        clock=clock,
        offload=offload,
    )
