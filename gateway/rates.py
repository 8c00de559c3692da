"""How often somebody may ask: a bucket of tokens for each asker, in memory that cannot grow.

Buckets are those of one node. When there are more askers than places, the one that was idle longest starts anew,
which costs the defence nothing: whoever asks too often is never idle.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from gateway.errors import LimitExceeded

ASKERS: Final = 50_000
"""Buckets that are kept at one time; each takes about 200 bytes."""
MINUTE_NS: Final = 60 * 10**9
IPV6_PREFIX: Final = 64
"""One customer has all addresses of such a network."""


class Rate:
    """At most ``per_minute`` questions of each asker on average; 0 per minute is no limit.

    ``burst`` of them may come at once, those of one minute when it is not given.

    The generic cell rate algorithm: what is kept per asker is the time at which the bucket will be full again, in
    whole nanoseconds, because sums of fractions would take one question away now and then. ``clock`` gives monotonic
    seconds.
    """

    def __init__(
        self, per_minute: int, *, burst: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = MINUTE_NS // per_minute if per_minute else 0
        self._tolerance = self._pause * (per_minute if burst is None else burst)
        self._clock = clock
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, asker: str, count: int = 1) -> None:
        """Count one question, or as many as it stands for; raises LimitExceeded when the asker has to wait.

        What stands for more than a burst counts as one, or it would never be let in.
        """
        if not self._pause:
            return
        now = int(self._clock() * 1e9)
        before = self._full_at.pop(asker, now)
        full_at = max(now, before) + min(self._pause * count, self._tolerance)
        fits = full_at - now <= self._tolerance
        # Put back as the newest, also when refused: whoever asks too often is never forgotten.
        self._full_at[asker] = full_at if fits else before
        if len(self._full_at) > ASKERS:
            self._full_at.popitem(last=False)
        if not fits:
            raise LimitExceeded("too many requests of one asker")


def asker_of(scope: Scope) -> str:
    """Who asks, by address: behind trusted proxies the server has put the client's address into the scope."""
    client = scope.get("client")
    return _asker(client[0] if client else "")


@lru_cache(maxsize=4096)
def _asker(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
