"""In which spelling an envelope goes to a delivery service: two generations of the reference refuse each other's.

The newer one first. A service that refuses it and takes the older one is remembered in the store, so that every node
and every later start knows; and in memory for a moment, so that a letter costs no look-up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from cachetools import TTLCache

from gateway.dm3.envelope import Dialect
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.op import Op
from gateway.store.services import DialectOf, ForgetDialect, LearnDialect, LearnedDialect

NEWER_FIRST: Final = (Dialect.DEVELOP, Dialect.NPM)
OLDER_FIRST: Final = (Dialect.NPM, Dialect.DEVELOP)
FRONT_SECONDS: Final = 300
"""For so long a node may not see what another one learned; it then tries one spelling too many."""
FRONT_SERVICES: Final = 4096
MAX_URL_BYTES: Final = 1024
"""Of a URL that is remembered: it is a key, and PostgreSQL's have an end."""


class Spellings:
    """Knows the order in which the spellings are tried. ``monotonic`` gives seconds."""

    def __init__(self, store: Store, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._front: TTLCache[str, LearnedDialect | None] = TTLCache(FRONT_SERVICES, FRONT_SECONDS, monotonic)

    async def order(self, url: str) -> tuple[Dialect, Dialect]:
        """The spellings for the service at ``url``, the likely one first; raises Unavailable without the store."""
        if not _is_key(url):
            return NEWER_FIRST
        if url not in self._front:
            self._front[url] = await self._store.read(DialectOf(url))
        learned = self._front.get(url)
        older = learned is not None and learned.counts(self._clock()) and learned.dialect is Dialect.NPM
        return OLDER_FIRST if older else NEWER_FIRST

    def second_taken(self, url: str, dialect: Dialect) -> tuple[Op[Any], ...]:
        """To be committed when the second in the order was taken after the first one had been refused."""
        if not _is_key(url):
            return ()
        if dialect is NEWER_FIRST[0]:
            self._front[url] = None
            return (ForgetDialect(url),)
        now = self._clock()
        self._front[url] = LearnedDialect(dialect, now)
        return (LearnDialect(url, dialect, now),)


def _is_key(url: str) -> bool:
    """Whether both databases can hold it."""
    return len(url.encode()) <= MAX_URL_BYTES and "\0" not in url
