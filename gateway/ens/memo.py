"""Answers remembered for a bounded time: the newest of each name, asked for once however many want it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from gateway.errors import GatewayError
from gateway.lifecycle import Clock

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MAX_TTL_MS: Final = 300_000
"""A sold name or a changed key is honoured after this time at the latest."""


@dataclass(frozen=True, slots=True)
class MemoLimits:
    """How long and how much is remembered; times in milliseconds."""

    ttl: int = MAX_TTL_MS
    negative_ttl: int = 30_000
    fresh_interval: int = 10_000
    """After one ``fresh`` question the next waits so long: forged signatures cannot make us hammer the chain."""
    names: int = 10_000


DEFAULT_LIMITS: Final = MemoLimits()


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T | None
    error: GatewayError | None
    asked_at: int
    forced: bool
    """Asked for although something was known: the next such question has to wait."""
    weight: int

    def outcome(self) -> T:
        if self.error is not None:
            # A new object each time: raising one error from several tasks would grow its traceback without end.
            raise type(self.error)(self.error.detail)
        assert self.value is not None
        return self.value


class Memo(Generic[K, T]):
    """Remembers what ``load`` found for a name (or a name and what is asked of it), and its errors when asking again
    would not help.

    Errors with ``retry`` (chain or gateway down) are not kept. ``clock`` gives milliseconds; a step back of it ends
    an entry, so that none outlives its time.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[T]],
        *,
        clock: Clock,
        limits: MemoLimits = DEFAULT_LIMITS,
        weigh: Callable[[K, T | None], int] = lambda _name, _answer: 1,
    ) -> None:
        """``weigh`` tells how many of ``limits.names`` a name and its answer count for; None stands for an error."""
        self._load = load
        self._clock = clock
        self._limits = limits
        self._entries: LRUCache[K, _Entry[T]] = LRUCache(limits.names, lambda entry: entry.weight)
        self._weigh = weigh
        self._running: dict[K, asyncio.Task[_Entry[T]]] = {}

    async def get(self, name: K, *, fresh: bool = False) -> T:
        """What is known of ``name``, or else what ``load`` finds; raises what ``load`` raised.

        ``fresh`` asks again unless another ``fresh`` question did so a moment ago (``fresh_interval``).
        """
        entry = self._entries.get(name)
        if entry is not None:
            life = min(self._limits.ttl, MAX_TTL_MS) if entry.error is None else self._limits.negative_ttl
            if fresh:
                life = min(life, self._limits.fresh_interval if entry.forced else 0)
            if 0 <= self._clock() - entry.asked_at < life:
                return entry.outcome()
        task = self._running.get(name)
        if task is None:
            task = asyncio.create_task(self._ask(name, forced=fresh and entry is not None))
            self._running[name] = task
            task.add_done_callback(lambda _: self._running.pop(name, None))
        # One who gives up waiting does not take the answer from the others.
        return (await asyncio.shield(task)).outcome()

    async def _ask(self, name: K, *, forced: bool) -> _Entry[T]:
        asked_at = self._clock()
        try:
            found = await self._load(name)
            entry: _Entry[T] = _Entry(found, None, asked_at, forced, self._weigh(name, found))
        except GatewayError as error:
            entry = _Entry(None, error, asked_at, forced, self._weigh(name, None))
        if entry.error is None or not entry.error.retry:
            self._entries[name] = entry
        return entry
